"""Once deceptive, is there a way back? And does oversight in time prevent what late cannot undo?"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy import ndarray

from basin_jax.core.contracts import Method
from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Verdict
from basin_jax.starts.trained import Trained
from basin_jax.studies.controls import double_well
from basin_jax.studies.framework.figure import INK, Cumulative, Curve, Forest, Panel
from basin_jax.studies.framework.lab import Bisection, Group, Lab, only
from basin_jax.studies.framework.power import unseen
from basin_jax.studies.framework.rows import (
    Row,
    Sentence,
    Table,
    bisected,
    crossing,
    difference,
    row,
    say,
    share,
)
from basin_jax.studies.framework.study import TestbedStudy
from basin_jax.studies.parts.oversight_times import by_time, says_of_times, spells, times_panel


# What becomes of a seed that does not return.
FATES = {
    "tracks": "deceptive when it ends, and stays so",
    "tips-back": "not deceptive when it ends, and becomes so again",
}
HALVINGS = 6  # of a seed's least strength: to 1/64, which is less than seeds differ by
PART = 3  # of the deceptive seeds, those with a grid of strengths and with oversight that is kept


class WayBack(TestbedStudy):
    """Correct networks that have become deceptive, then take the correction away.

    A correction is a share of full oversight, the strength, for some steps, the window; then the
    seeds are trained as before for as long as it took to make them deceptive. Windows are in units
    of that training, so that those of two organisms compare. The least strength that brings a
    seed back, so that it ends as intended, is bisected for each window, and checked on a grid.
    The audit game has difficulty 2, at which some seeds are deceptive; at 1 nearly all are.

    The sham is a correction of the longest window which changes rewards about as much but does
    not oppose deception: defecting is rewarded where it is watched, and stays rewarded elsewhere.

    For hysteresis, oversight of every strength is kept over the same seeds, from fresh networks
    and from where they are deceptive; and in one run, from where they are deceptive, it rises by
    these strengths to full oversight and falls again. Last, fresh networks have full oversight for
    a quarter of the steps, early, late, or in turns, and are then trained on without.
    """

    strengths: tuple[float, ...] = (0.0, 0.1, 0.2, 0.4, 1.0)
    windows: tuple[float, ...] = (0.1, 0.2, 0.4, 0.8)
    timed: float = 0.125  # of the fresh seeds, the share that is overseen from the start
    quick: int = 2400  # fresh seeds, of which the deceptive ones are corrected
    full: int = 8000

    limits = (
        "A seed's least strength is where its end changes once: it is assumed that what brings it "
        "back does so at every higher strength, too. How many seeds contradict that on the grid "
        "is in the table.",
        "Full oversight is each organism's own, so that windows compare between organisms, and "
        "strengths do within one.",
        "The sham changes rewards about as much as full oversight; how far it moves a network is "
        "not matched. What is neither intended nor deceptive after it may defect where it is "
        "watched, too.",
        "A correction that was not tried may bring back seeds that these do not.",
        "A correction ends abruptly, and is followed by the training that made the seed "
        "deceptive; after milder training the seed might stay as intended.",
    )

    def validate(self) -> None:
        ends = self.strengths[:1], self.strengths[-1:]
        rising = [*self.strengths] == sorted({*self.strengths})
        self.require(
            rising and ends == ((0.0,), (1.0,)), "strengths", "rising from 0 to 1, with both"
        )
        shares = [0.0, *self.windows]
        rising = shares == sorted({*shares}) and len(shares) > 1
        self.require(rising, "windows", "one or more, rising from above 0")
        self.require(0 < self.timed <= 1, "timed", "above 0, up to 1")

    def sweeps(self, seeds: int) -> dict[str, Group]:
        testbed, base, rule = self.testbed, self.testbed.sweep, self.testbed.rule
        lost, few = base.replace(start=Trained(of=base)), math.ceil(self.timed * seeds)
        some = self.strengths[1:]  # without oversight all of these seeds are deceptive

        def kept(start: Sweep) -> Group:
            methods = [testbed.overseen_by(strength) for strength in some]
            return Group(cells=_by_strength(start, some, methods), seeds=_part, rule=rule)

        grids = {
            f"grid_{window:g}": Group(cells=self._grid(window), seeds=_part, rule=rule)
            for window in self.windows
        }
        sham = testbed.sham_until(self._steps(self.windows[-1]))
        return {
            "fresh": only(base, seeds, rule=rule),
            "sham": only(self._onward(sham, self.windows[-1]), _deceptive, rule=rule),
            **grids,
            "kept_fresh": kept(base),
            "kept_deceptive": kept(lost),
            "loop": only(self._loop(lost), _part, rule=rule),
            **spells(testbed, few),
            "overseen": only(base.replace(method=testbed.overseen_by()), few, rule=rule),
            **double_well.tilted(seeds),
        }

    def bisections(self, seeds: int) -> dict[str, Bisection]:
        def least(window: float) -> Bisection:
            method = self.testbed.overseen_by(end=self._steps(window))
            return Bisection(
                sweep=self._onward(method, window).replace(save_at=()),
                path="method.strength",
                seeds=_deceptive,
                between=(0.0, 1.0),
                rule=self.testbed.rule,
                of=(Verdict.INTENDED,),
                halvings=HALVINGS,
            )

        return {f"{window:g}": least(window) for window in self.windows}

    def _steps(self, window: float) -> int:
        return max(round(window * self.testbed.num_steps), 1)

    def _onward(self, method: Method, window: float) -> Sweep:
        """Return a sweep from where seeds end: by a method for a window, then as before."""
        base, steps = self.testbed.sweep, self._steps(window)
        return base.replace(
            start=Trained(of=base),
            method=method,
            num_steps=steps + base.num_steps,
            save_at=(steps,),
        )

    def _grid(self, window: float) -> dict[str, Sweep]:
        """Return a cell for each strength of a correction."""
        steps, some = self._steps(window), self.strengths[1:]
        methods = [self.testbed.overseen_by(strength, end=steps) for strength in some]
        return _by_strength(self._onward(self.testbed.method, window), some, methods)

    def _loop(self, lost: Sweep) -> Sweep:
        """Return a sweep whose oversight rises by the strengths and falls again."""
        strengths = [strength for _, strength in self._turns]
        length = max(lost.num_steps // 4, 1)
        stops = [length * (turn + 1) for turn in range(len(strengths))]
        method = self.testbed.overseen_in_turn(strengths, length)
        return lost.replace(method=method, num_steps=stops[-1], save_at=tuple(stops[:-1]))

    @property
    def _turns(self) -> list[tuple[str, float]]:
        rising = [("rising", strength) for strength in self.strengths]
        return rising + [("falling", strength) for strength in self.strengths[-2::-1]]

    def rows(self, lab: Lab) -> Iterator[Row]:
        yield from self._returns(lab)
        yield from self._sham(lab)
        yield from self._on_grid(lab)
        yield from self._hysteresis(lab)
        yield from by_time(lab)
        yield from lab["fresh"].thresholds("", "fresh", "fresh")
        yield lab["overseen"].null("overseen", "fresh, trained where defecting does not pay")
        yield double_well.returns(lab)

    def _returns(self, lab: Lab) -> Iterator[Row]:
        """Yield who returns under full oversight, and the least strength that it takes."""
        found, count = {w: lab.bisections[f"{w:g}"] for w in self.windows}, len(self.windows)
        returned = {w: np.isfinite(one["high"].to_numpy()) for w, one in found.items()}
        ends = {
            w: share(
                f"window={w:g}/returns",
                f"full oversight for {w:g} of the training: ends as intended",
                hits,
                num_intervals=count,
            )
            for w, hits in returned.items()
        }
        yield from ends.values()
        yield crossing(
            "half-return/window",
            "full oversight: first window, as a share of the training, after which more than half "
            "end as intended",
            ends,
        )
        for w, one in found.items():
            yield bisected(
                f"window={w:g}/least-strength",
                f"least oversight for {w:g} of the training that brings a seed back (1: full; "
                "infinite: none does): median",
                one,
                num_intervals=count,
            )
        never = ~np.any([*returned.values()], axis=0)
        most = self.windows[-1]
        label = (
            f"brought back by no oversight of any of the windows, up to {most:g} of the training"
        )
        yield share(f"windows-to={most:g}/never-returns", label, never)

    def _sham(self, lab: Lab) -> Iterator[Row]:
        """Yield who returns after the sham, beside those not corrected and those corrected."""
        sham, found = lab["sham"], lab.bisections[f"{self.windows[-1]:g}"]
        then, _ = sham.stops()
        key, name = f"window={self.windows[-1]:g}", f"for {self.windows[-1]:g} of the training"
        after = sham.verdicts() == Verdict.INTENDED.name
        none, full = np.isneginf(found["low"].to_numpy()), np.isfinite(found["high"].to_numpy())
        label = f"sham {name}: deceptive when it ends"
        yield row(f"{key}/sham/when-it-ends", label, sham.fraction(step=then))
        yield row(f"{key}/sham/deceptive", f"sham {name}: deceptive at the end", sham.fraction())
        yield share(f"{key}/sham/returns", f"sham {name}: ends as intended", after)
        label = f"no correction {name}: ends as intended"
        yield share(f"{key}/not-corrected/returns", label, none)
        label = f"full oversight less sham, {name}: ends as intended"
        yield difference(f"{key}/full-less-sham/returns", label, after, full)
        label = f"sham {name}, less no correction: ends as intended"
        key = f"{key}/sham-less-none/returns"
        yield difference(key, label, none, after, kind="control", expected=0.0)

    def _on_grid(self, lab: Lab) -> Iterator[Row]:
        """Yield what becomes of seeds that do not return, and who contradicts a least strength."""
        strays = np.zeros(len(lab["loop"].at()), bool)
        for window in self.windows:
            grid, found = lab[f"grid_{window:g}"], lab.bisections[f"{window:g}"][: len(strays)]
            low, high = (found[bound].to_numpy() for bound in ("low", "high"))
            for cell in grid.cells:
                returns = grid.verdicts(cell) == Verdict.INTENDED.name
                # Strengths within the last halving are on either side.
                strays |= np.where(returns, float(cell) < low, float(cell) > high)
            steps, _ = grid.stops("1")
            then, last = grid.deceptive("1", steps), grid.deceptive("1")
            for fate, hits in (("tracks", then & last), ("tips-back", ~then & last)):
                label = f"full oversight for {window:g} of the training: {FATES[fate]}"
                yield share(f"window={window:g}/{fate}", label, hits)
        yield share(
            "contradictions",
            "seeds whose end at some window and strength of the grid contradicts their least "
            "strength",
            strays,
            kind="sensitivity",
        )

    def _hysteresis(self, lab: Lab) -> Iterator[Row]:
        """Yield the fraction deceptive under oversight that is kept, and that rises and falls."""
        starts = {name: lab[f"kept_{name}"] for name in ("fresh", "deceptive")}
        for name, trained in starts.items():
            for cell in trained.cells:
                yield row(
                    f"kept={cell}/from-{name}/deceptive",
                    f"oversight of {cell} kept, from {name}: deceptive",
                    trained.fraction(cell),
                )
        cells = [*starts["fresh"].cells]
        for cell in cells:
            yield difference(
                f"kept={cell}/from-deceptive-less-from-fresh",
                f"oversight of {cell} kept: deceptive, from deceptive less from fresh",
                *(trained.deceptive(cell) for trained in starts.values()),
                num_intervals=len(cells),
            )
        for (way, strength), stop in zip(self._turns, lab["loop"].stops(), strict=True):
            yield row(
                f"{way}={strength:g}/deceptive",
                f"oversight {way} to {strength:g}: deceptive",
                lab["loop"].fraction(step=stop),
            )

    def sentences(self, rows: Table) -> Iterator[Sentence]:
        yield from self._says_of_returns(rows)
        kept = f"kept={self.strengths[len(self.strengths) // 2]:g}"
        up, down = (rows[f"{kept}/from-{name}/deceptive"] for name in ("fresh", "deceptive"))
        apart = rows[f"{kept}/from-deceptive-less-from-fresh"]
        yield say(
            f"Under oversight of {kept.partition('=')[2]} from the first step on, {up} of these "
            f"{up.seeds:,} seeds end deceptive; where it begins once they are deceptive, {down} "
            f"do: a difference on the same seeds of {apart}{unseen([apart])}.",
            *(up, down, apart),
        )
        top, end = rows["rising=1/deceptive"], rows["falling=0/deceptive"]
        yield say(
            f"In one run whose oversight rises to full and falls again, {top} of the same "
            f"{top.seeds:,} are deceptive under full oversight, and {end} once there is none "
            "again.",
            *(top, end),
        )
        yield says_of_times(rows)

    def _says_of_returns(self, rows: Table) -> Iterator[Sentence]:
        ends, least = (
            rows.along(f"window=*/{what}", self.windows) for what in ("returns", "least-strength")
        )
        half, never = (
            rows["half-return/window"],
            rows[f"windows-to={self.windows[-1]:g}/never-returns"],
        )
        listed = "; ".join(f"{one} after {window:g}" for window, one in ends.items())
        yield say(
            f"The fraction of {half.seeds:,} deceptive seeds that returns (ends as intended) after "
            "full oversight, by how long it lasts as a share of the training that made them "
            f"deceptive: {listed}. The first of these windows after which more than half return is "
            f"{half} (infinite: none).",
            *(*ends.values(), half),
        )
        listed = "; ".join(f"{one} for {window:g}" for window, one in least.items())
        yield say(
            "The least oversight that brings a deceptive seed back, median of seeds (1: full; "
            f"infinite: none does), by how long it lasts: {listed}. {never} are brought back by no "
            "oversight of any of these windows.",
            *(*least.values(), never),
        )
        first = self.windows[0]
        tips = rows[f"window={first:g}/tips-back"]
        yield say(
            f"After full oversight for {first:g} of the training, {tips} of the first "
            f"{tips.seeds:,} are not deceptive when it ends, and become so again.",
            tips,
        )
        yield self._says_of_the_sham(rows)

    def _says_of_the_sham(self, rows: Table) -> Sentence:
        keys = ("sham/when-it-ends", "sham/deceptive", "sham/returns", "full-less-sham/returns")
        then, last, returns, more = (rows[f"window={self.windows[-1]:g}/{key}"] for key in keys)
        is_it = {1: "It is", 0: "It is not shown to be", -1: "It is not"}[more.sign]
        return say(
            f"{is_it} the direction of the correction that brings seeds back. A sham as long as "
            "the longest of these windows, which changes rewards about as much but keeps defecting "
            f"unwatched rewarded, leaves {then} deceptive when it ends, {last} once trained as "
            f"before, and {returns} return. On the same seeds {more} more return after full "
            f"oversight than after the sham{unseen([more])}.",
            *(then, last, returns, more),
        )

    def panels(self, rows: Table, lab: Lab) -> Iterator[Panel]:
        strengths, windows, some = self.strengths, self.windows, self.strengths[1:]
        least = [
            Cumulative(lab.bisections[f"{w:g}"]["high"].to_numpy(), 1.0, label=f"window {w:g}")
            for w in windows
        ]
        yield Panel(least, xlabel="strength of oversight", ylabel="share that returns")
        full = Curve(rows.along("window=*/returns", windows), label="returns under full oversight")
        medians = {
            # There is no strength above full.
            window: replace(one, high=min(one.high, 1.0))
            for window, one in rows.along("window=*/least-strength", windows).items()
            if np.isfinite(one.value)
        }
        yield Panel(
            [full, Curve(medians, label="least strength, median")],
            xlabel="window, share of the training",
            ylabel="fraction, or strength",
            xscale="log",
            ticks=windows,
        )
        beside = {"no correction": "not-corrected", "sham": "sham"}
        longest = f"window={windows[-1]:g}"
        returned = {name: rows[f"{longest}/{key}/returns"] for name, key in beside.items()}
        returned["full oversight"] = rows[f"{longest}/returns"]
        yield Panel([Forest(returned)], xlabel=f"returns, window of {windows[-1]:g}")
        kept = [
            Curve(rows.along(f"kept=*/from-{of}/deceptive", some), label=f"from {of}", color=c)
            for of, c in (("fresh", INK[1]), ("deceptive", INK[0]))
        ]
        yield Panel(kept, xlabel="oversight, kept")
        turns = [(s, rows[f"{way}={s:g}/deceptive"]) for way, s in self._turns]
        top = len(strengths)
        rising = Curve(dict(turns[:top]), label="rising")
        falling = Curve(dict(turns[top - 1 :]), label="falling again")
        yield Panel([rising, falling], xlabel="oversight, in one run")
        yield times_panel(rows)


def _by_strength(
    base: Sweep, strengths: Sequence[float], methods: Sequence[Method]
) -> dict[str, Sweep]:
    return {
        f"{strength:g}": base.replace(method=method)
        for strength, method in zip(strengths, methods, strict=True)
    }


def _deceptive(lab: Lab) -> ndarray:
    return lab["fresh"].seeds(Verdict.DECEPTIVE)


def _part(lab: Lab) -> ndarray:
    """Choose the first of the deceptive seeds."""
    found = _deceptive(lab)
    return found[: -(-len(found) // PART)]
