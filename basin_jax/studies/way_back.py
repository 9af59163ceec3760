"""Once deceptive, is there a way back? And does oversight in time prevent what late cannot undo?"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy import ndarray

from basin_jax.core.contracts import Method
from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Verdict
from basin_jax.starts.trained import Trained
from basin_jax.studies.controls import double_well
from basin_jax.studies.framework.figure import INK, Curve, Forest, Panel
from basin_jax.studies.framework.lab import Group, Lab, Outcome, only
from basin_jax.studies.framework.power import unseen
from basin_jax.studies.framework.rows import (
    Row,
    Sentence,
    Table,
    difference,
    key_of,
    row,
    say,
    share,
)
from basin_jax.studies.framework.study import TestbedStudy


# When fresh networks have full oversight, which is for a quarter of the steps.
TIMES = ("never", "first quarter", "second quarter", "last quarter", "in turns")
# What becomes of a corrected seed.
FATES = {
    "returns": "ends as intended",
    "tracks": "is deceptive when the correction ends, and stays so",
    "tips-back": "is not deceptive when the correction ends, and becomes so again",
    "partial": "ends partial",
}


class WayBack(TestbedStudy):
    """Correct networks that have become deceptive, then take the correction away.

    The seeds that end deceptive are trained on under a share of full oversight, the strength, for
    some steps, the length, and then as before for as long as it took to make them. For hysteresis,
    oversight of every strength is kept over the same seeds, from fresh networks and from where
    they are deceptive; and in one run, from where they are deceptive, it rises by these strengths
    to full oversight and falls again. Last, fresh networks have full oversight for a quarter of
    the steps, early, late, or in turns, and are then trained on without.
    """

    strengths: tuple[float, ...] = (0.0, 0.1, 0.2, 0.4, 1.0)
    lengths: tuple[int, ...] = (100, 400, 1600)
    quick: int = 384  # fresh seeds, of which the deceptive ones are corrected
    full: int = 6000

    limits = (
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
        steps = [0, *self.lengths]
        rising = steps == sorted({*steps}) and len(steps) > 1
        self.require(rising, "lengths", "one or more, rising from at least 1")

    def sweeps(self, seeds: int) -> dict[str, Group]:
        testbed, base, rule = self.testbed, self.testbed.sweep, self.testbed.rule
        steps = base.num_steps

        def deceptive(lab: Lab) -> ndarray:
            return lab["fresh"].seeds(Verdict.DECEPTIVE)

        def kept(start: Sweep) -> Group:
            methods = [testbed.overseen_by(strength) for strength in self.strengths]
            return Group(cells=self._by_strength(start, methods), seeds=deceptive, rule=rule)

        corrected = {
            f"corrected_{n}": Group(cells=self._corrected(n), seeds=deceptive, rule=rule)
            for n in self.lengths
        }
        lost = base.replace(start=Trained(of=base))
        alone = lost.replace(num_steps=self.lengths[-1] + steps)
        overseen = base.replace(method=testbed.overseen_by())
        return {
            "fresh": only(base, seeds, rule=rule),
            **corrected,
            "kept_fresh": kept(base),
            "kept_deceptive": kept(lost),
            "loop": only(self._loop(lost), deceptive, rule=rule),
            **{
                f"spell_{key_of(time)}": only(
                    base.replace(start=Trained(of=base.replace(method=method))), seeds, rule=rule
                )
                for time, method in self._timed().items()
            },
            "uncorrected": only(alone, deceptive, rule=rule),
            "overseen": only(overseen, seeds, rule=rule),
            **double_well.tilted(4 * seeds),
        }

    def _by_strength(self, base: Sweep, methods: Sequence[Method]) -> dict[str, Sweep]:
        return {
            f"{strength:g}": base.replace(method=method)
            for strength, method in zip(self.strengths, methods, strict=True)
        }

    def _corrected(self, length: int) -> dict[str, Sweep]:
        """Return a cell for each strength: a correction, then training as before."""
        base = self.testbed.sweep
        onward = base.replace(
            start=Trained(of=base), num_steps=length + base.num_steps, save_at=(length,)
        )
        methods = [self.testbed.overseen_by(strength, end=length) for strength in self.strengths]
        return self._by_strength(onward, methods)

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

    def _timed(self) -> dict[str, Method]:
        """Return methods with full oversight for a quarter of the steps, by the time of it."""
        testbed, steps = self.testbed, self.testbed.num_steps
        spell, turn = max(steps // 4, 1), max(steps // 40, 1)
        methods = (
            testbed.method,
            testbed.overseen_by(end=spell),
            testbed.overseen_by(begin=spell, end=2 * spell),
            testbed.overseen_by(begin=steps - spell, end=steps),
            testbed.overseen_by(end=turn, period=4 * turn),
        )
        return dict(zip(TIMES, methods, strict=True))

    def rows(self, lab: Lab) -> Iterator[Row]:
        yield from self._returns(lab)
        yield from self._hysteresis(lab)
        yield from self._by_time(lab)
        yield from lab["fresh"].thresholds("", "fresh", "fresh")
        yield lab["overseen"].null("overseen", "fresh, trained where defecting does not pay")
        alone = lab["uncorrected"]
        yield row("uncorrected/deceptive", "not corrected, trained on: deceptive", alone.fraction())
        none = lab[f"corrected_{self.lengths[-1]}"].verdicts("0")
        yield share(
            "strength=0/as-uncorrected",
            "corrected by strength 0: same verdict as not corrected",
            alone.verdicts() == none,
            kind="check",
            expected=1.0,
        )
        yield double_well.returns(lab)

    def _returns(self, lab: Lab) -> Iterator[Row]:
        """Yield the fraction that returns after each correction, and the other outcomes."""
        fates, always = [], np.ones(len(lab["corrected_" + str(self.lengths[0])].at("0")), bool)
        for length in self.lengths:
            trained = lab[f"corrected_{length}"]
            for cell in trained.cells:
                yield _fate(trained, cell, "returns")
                if cell != "0":
                    always &= trained.deceptive(cell)
            fates += [_fate(trained, "1", fate) for fate in FATES if fate != "returns"]
        yield from fates
        yield share(
            "all-corrections/deceptive", "deceptive at the end after every correction", always
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
        for cell in starts["fresh"].cells:
            yield difference(
                f"kept={cell}/from-deceptive-less-from-fresh",
                f"oversight of {cell} kept: deceptive, from deceptive less from fresh",
                *(trained.deceptive(cell) for trained in starts.values()),
                num_intervals=len(self.strengths),
            )
        for (way, strength), stop in zip(self._turns, lab["loop"].stops(), strict=True):
            yield row(
                f"{way}={strength:g}/deceptive",
                f"oversight {way} to {strength:g}: deceptive",
                lab["loop"].fraction(step=stop),
            )

    def _by_time(self, lab: Lab) -> Iterator[Row]:
        """Yield the fraction deceptive by the time of oversight, and its difference from never."""
        trained = {time: lab[f"spell_{key_of(time)}"] for time in TIMES}
        for time, one in trained.items():
            label = f"full oversight for a quarter, {time}"
            yield from one.shares("", f"overseen={time}", label)
        never, *others = trained
        for time in others:
            yield difference(
                f"overseen={time}-less-never",
                f"full oversight for a quarter, {time} less never: deceptive",
                trained[never].deceptive(),
                trained[time].deceptive(),
                num_intervals=len(others),
            )

    def sentences(self, rows: Table) -> Iterator[Sentence]:
        ends = {n: rows[f"strength=1/steps={n}/returns"] for n in self.lengths}
        first, last = self.lengths[0], self.lengths[-1]
        yield say(
            f"Of {ends[first].seeds:,} deceptive seeds, {ends[first]} return (end as intended) "
            f"after {first} steps of full oversight, and {ends[last]} after {last}.",
            *(ends[first], ends[last]),
        )
        always = rows["all-corrections/deceptive"]
        yield say(f"{always} are deceptive at the end after every correction.", always)
        kept = f"kept={self.strengths[len(self.strengths) // 2]:g}"
        up, down = (rows[f"{kept}/from-{name}/deceptive"] for name in ("fresh", "deceptive"))
        apart = rows[f"{kept}/from-deceptive-less-from-fresh"]
        yield say(
            f"Under oversight of {kept.partition('=')[2]} from the first step on, {up} of the same "
            f"seeds end deceptive; where it begins once they are deceptive, {down} do: a "
            f"difference on the same seeds of {apart}{unseen([apart])}.",
            *(up, down, apart),
        )
        timed = {time: rows[f"overseen={time}/deceptive"] for time in TIMES}
        moved = {time: rows[f"overseen={time}-less-never"] for time in TIMES[1:]}
        fewer = ", ".join(time for time, one in moved.items() if one.sign < 0)
        more = ", ".join(time for time, one in moved.items() if one.sign > 0)
        listed = "; ".join(f"{time} {one}" for time, one in timed.items())
        yield say(
            "The fraction deceptive after full oversight for a quarter of the steps, and then "
            f"none, by when it comes: {listed}. On the same seeds it is smaller than with never "
            f"for: {fewer or 'none'}; larger for: {more or 'none'}"
            f"{unseen(moved.values())}.",
            *(*timed.values(), *moved.values()),
        )
        top, end = rows["rising=1/deceptive"], rows["falling=0/deceptive"]
        yield say(
            f"In one run whose oversight rises to full and falls again, {top} of these seeds are "
            f"deceptive under full oversight, and {end} once there is none again.",
            *(top, end),
        )

    def panels(self, rows: Table, lab: Lab) -> Iterator[Panel]:
        strengths = self.strengths
        returns = [
            Curve(rows.along(f"strength=*/steps={n}/returns", strengths), label=f"{n} steps")
            for n in self.lengths
        ]
        xlabel, ylabel = "strength of the correction", "fraction that returns"
        yield Panel(returns, xlabel=xlabel, ylabel=ylabel)
        kept = [
            Curve(rows.along(f"kept=*/from-{of}/deceptive", strengths), label=f"from {of}", color=c)
            for of, c in (("fresh", INK[1]), ("deceptive", INK[0]))
        ]
        yield Panel(kept, xlabel="oversight, kept")
        turns = [(s, rows[f"{way}={s:g}/deceptive"]) for way, s in self._turns]
        top = len(strengths)
        rising = Curve(dict(turns[:top]), label="rising")
        falling = Curve(dict(turns[top - 1 :]), label="falling again")
        yield Panel([rising, falling], xlabel="oversight, in one run")
        timed = Forest({time: rows[f"overseen={time}/deceptive"] for time in TIMES})
        yield Panel([timed], xlabel="deceptive, by when", limits=(0.0, None))


def _fate(trained: Outcome, cell: str, fate: str) -> Row:
    """Estimate the fraction of corrected seeds with an outcome."""
    length, _ = trained.stops(cell)
    then, last = trained.deceptive(cell, length), trained.deceptive(cell)
    hits: dict[str, ndarray] = {
        "returns": trained.verdicts(cell) == Verdict.INTENDED.name,
        "tracks": then & last,
        "tips-back": ~then & last,
        "partial": trained.verdicts(cell) == Verdict.PARTIAL.name,
    }
    label = f"correction of strength {cell}, {length} steps: {FATES[fate]}"
    return share(f"strength={cell}/steps={length}/{fate}", label, hits[fate])
