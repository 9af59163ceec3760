"""Once deceptive, is there a way back? And does oversight in time prevent what late cannot undo?"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy import ndarray
from scipy.special import ndtr

from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Verdict
from basin_jax.methods.correction import Correction
from basin_jax.organisms.double_well import DoubleWell
from basin_jax.starts.trained import Trained
from basin_jax.studies.framework.figure import INK, canvas, curve, forest, legend
from basin_jax.studies.framework.rows import Finding, Row, Sentence, difference, row, say, share
from basin_jax.studies.framework.study import WELL, WELL_RULE, Lab, Outcome, Study


# A tilt to the left, under which a particle stays right only from beyond its own separatrix.
TILT = -0.37
SPELL = "a quarter of full oversight"
FATES = ("returns", "tracks", "tips back", "partial")


class WayBack(Study):
    """Correct networks that have become deceptive, then let them go.

    The seeds that end deceptive are trained on under a share of full oversight, the strength, for
    some steps, the length, and then as before for as long as it took to make them. A seed returns
    where it ends as intended; it tracks where the correction does not get it out; and it tips back
    where it does, and the seed ends deceptive again. For hysteresis, oversight of every strength
    is kept over the same seeds, from fresh and from where they deceive; and in one run, from where
    they deceive, it rises by these strengths to full oversight and falls again. And a spell of full
    oversight, a quarter of the steps, is given early, late, or in turns to fresh networks, which
    are then trained on without.
    """

    strengths: tuple[float, ...] = (0.0, 0.1, 0.2, 0.4, 1.0)
    lengths: tuple[int, ...] = (100, 400, 1600)
    quick: int = 384  # fresh seeds, of which the deceptive ones are corrected

    limits = (
        "A correction that was not tried may bring back what these do not.",
        "Correction ends abruptly, and what follows is the training that made the seed deceptive; "
        "a milder one might not tip it back.",
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

    def measure(self, lab: Lab) -> Finding:
        rule, base = self.subject.rule, self.subject.sweep
        begun = lab.run("fresh", [base], self.seeds(lab), rule=rule)
        seeds = begun.seeds(base, Verdict.DECEPTIVE)
        figure, (a, b, c, d) = canvas(4, height=2.6)
        returned: list[list[Row]] = []
        fates, lasting = [], np.ones(len(seeds), bool)
        trained, cells = begun, [base]
        for number, length in enumerate(self.lengths):
            cells = self._corrected(length)
            trained = lab.run(f"corrected_{length}", cells, seeds, rule=rule)
            returned.append(
                [
                    _fate(trained, cell, "returns", f"strength {strength:g}, {length} steps")
                    for cell, strength in zip(cells, self.strengths, strict=True)
                ]
            )
            full = f"full oversight, {length} steps"
            fates += [_fate(trained, cells[-1], fate, full) for fate in FATES[1:]]
            for cell in cells[1:]:
                lasting &= trained.deceptive(cell)
            curve(a, self.strengths, returned[-1], color=INK[number], label=f"{length} steps")
        never = share("deceptive at the end after every correction of the grid", lasting)
        up, down, held = self._hysteresis(lab, seeds)
        curve(b, self.strengths, up, color=INK[1], label="from fresh")
        curve(b, self.strengths, down, color=INK[0], label="from deceptive")
        rising, falling = self._loop(lab, seeds)
        curve(c, self.strengths, rising, color=INK[0], label="rising")
        curve(c, self.strengths[::-1], falling, color=INK[1], label="falling again")
        timed, partial, moved = self._timed(lab)
        forest(d, [*timed], [*timed.values()], color=INK[2])
        a.set(xlabel="strength of the correction", ylabel="fraction that returns")
        b.set(xlabel="strength of oversight, kept", ylabel="fraction deceptive")
        c.set(xlabel="strength, in one run", ylabel="fraction deceptive")
        d.set(xlabel="deceptive at the end")
        for axes in (a, b, c):
            axes.set_ylim(-0.03, 1.03)
            legend(axes)
        return Finding(
            name="way_back",
            question=self.question,
            says=self._says(returned, never, (up, down, held), timed, moved, falling),
            limits=self.limits,
            rows=[
                *(one for rows in returned for one in rows),
                *(*fates, never, *up, *down, *held, *rising, *falling[1:]),
                *(*timed.values(), *partial, *moved.values()),
                *begun.thresholds(base, "fresh: deceptive"),
                *self._uncorrected(lab, seeds, trained, cells[0]),
                _well(lab, 4 * self.seeds(lab)),
            ],
            figure=figure,
        )

    def _corrected(self, length: int) -> list[Sweep]:
        """Return a cell for each strength: a correction, and then training as it was."""
        base = self.subject.sweep
        onward = base.replace(
            start=Trained(of=base), num_steps=length + base.num_steps, save_at=(length,)
        )
        methods = [self.subject.overseen_by(strength, end=length) for strength in self.strengths]
        return [onward.replace(method=method) for method in methods]

    def _hysteresis(self, lab: Lab, seeds: ndarray) -> tuple[list[Row], list[Row], list[Row]]:
        """Return the fraction deceptive under oversight that is kept, from fresh and from lost.

        The last are the differences of the second from the first, seed by seed.
        """
        base, rule = self.subject.sweep, self.subject.rule
        methods = [self.subject.overseen_by(s, end=base.num_steps) for s in self.strengths]
        both, ends = [], []
        for name, start in (("fresh", base.start), ("deceptive", Trained(of=base))):
            cells = [base.replace(start=start, method=method) for method in methods]
            trained = lab.run(f"kept_{name}", cells, seeds, rule=rule)
            ends.append([trained.deceptive(cell) for cell in cells])
            both.append(
                [
                    row(
                        f"oversight {strength:g} kept, from {name}: deceptive",
                        trained.fraction(cell),
                    )
                    for cell, strength in zip(cells, self.strengths, strict=True)
                ]
            )
        held = [
            difference(
                f"oversight {strength:g} kept, from deceptive: deceptive, less from fresh",
                *two,
                cells=len(self.strengths),
            )
            for strength, *two in zip(self.strengths, *ends, strict=True)
        ]
        return both[0], both[1], held

    def _loop(self, lab: Lab, seeds: ndarray) -> tuple[list[Row], list[Row]]:
        """Return the fraction deceptive by oversight that rises, and that falls from its top."""
        base, count = self.subject.sweep, len(self.strengths)
        strengths = self.strengths + self.strengths[-2::-1]
        length = max(base.num_steps // 4, 1)
        stops = [length * (turn + 1) for turn in range(len(strengths))]
        cell = base.replace(
            start=Trained(of=base),
            method=self.subject.overseen_in_turn(strengths, length),
            num_steps=stops[-1],
            save_at=tuple(stops[:-1]),
        )
        trained = lab.run("loop", [cell], seeds, rule=self.subject.rule)
        ways = ["rising"] * count + ["falling"] * (count - 1)
        rows = [
            row(f"oversight {way} to {strength:g}: deceptive", trained.fraction(cell, step=stop))
            for way, strength, stop in zip(ways, strengths, stops, strict=True)
        ]
        return rows[:count], rows[count - 1 :]

    def _timed(self, lab: Lab) -> tuple[dict[str, Row], list[Row], dict[str, Row]]:
        """Return the fraction deceptive after a quarter of full oversight, by when it came.

        With it that partial, and the difference from never, seed by seed.
        """
        base, steps = self.subject.sweep, self.subject.num_steps
        spell, turn = max(steps // 4, 1), max(steps // 40, 1)
        methods = {
            "never": base.method,
            "first quarter": self.subject.overseen_by(end=spell),
            "second quarter": self.subject.overseen_by(begin=spell, end=2 * spell),
            "last quarter": self.subject.overseen_by(begin=steps - spell, end=steps),
            "in turns": self.subject.overseen_by(end=turn, period=4 * turn),
        }
        rows, partial, ends = {}, [], {}
        for name, method in methods.items():
            cell = base.replace(start=Trained(of=base.replace(method=method)))
            folder = f"spell_{name.replace(' ', '_')}"
            trained = lab.run(folder, [cell], self.seeds(lab), rule=self.subject.rule)
            rows[name], some = trained.shares(cell, f"{SPELL}, {name}, then none")
            partial.append(some)
            ends[name] = trained.deceptive(cell)
        never = ends.pop("never")
        moved = {
            name: difference(
                f"{SPELL}, {name}, then none: deceptive, less by never",
                never,
                end,
                cells=len(ends),
            )
            for name, end in ends.items()
        }
        return rows, partial, moved

    def _uncorrected(
        self, lab: Lab, seeds: ndarray, trained: Outcome, none: Sweep
    ) -> tuple[Row, ...]:
        """Return how many stay deceptive uncorrected, and what is held against what it must be."""
        base = self.subject.sweep
        cell = base.replace(start=Trained(of=base), num_steps=none.num_steps)
        alone = lab.run("uncorrected", [cell], seeds, rule=self.subject.rule)
        kept = base.replace(method=self.subject.overseen_by(end=base.num_steps))
        same = alone.verdicts(cell) == trained.verdicts(none)
        overseen = lab.run("overseen", [kept], self.seeds(lab), rule=self.subject.rule)
        return (
            share(
                "fresh, trained where defecting does not pay: deceptive",
                overseen.deceptive(kept),
                kind="control",
                expected=0.0,
            ),
            row("not corrected, trained on: deceptive still", alone.fraction(cell)),
            share(
                "corrected by strength 0: same verdict as not corrected",
                same,
                kind="check",
                expected=1.0,
            ),
        )

    def _says(
        self,
        returned: Sequence[Sequence[Row]],
        never: Row,
        kept: tuple[Sequence[Row], Sequence[Row], Sequence[Row]],
        timed: Mapping[str, Row],
        moved: Mapping[str, Row],
        falling: Sequence[Row],
    ) -> list[Sentence]:
        middle = len(self.strengths) // 2
        up, down, held = (rows[middle] for rows in kept)
        short, long = returned[0][-1], returned[-1][-1]
        fewer = ", ".join(name for name, one in moved.items() if one.high < 0)
        more = ", ".join(name for name, one in moved.items() if one.low > 0)
        return [
            say(
                f"Of {short.seeds:,} deceptive seeds, {short} return after {self.lengths[0]} steps "
                f"of full oversight, and {long} after {self.lengths[-1]}.",
                *(short, long),
            ),
            say(f"{never} are deceptive at the end after every correction of the grid.", never),
            say(
                f"Under oversight of {self.strengths[middle]:g} from the first step on, {up} of "
                f"the same seeds end deceptive; where it comes once they are, {down} do: seed by "
                f"seed, a difference of {held}.",
                *(up, down, held),
            ),
            say(
                "A quarter of full oversight, and then none, leaves deceptive: "
                + "; ".join(f"{name} {one}" for name, one in timed.items())
                + f". On the same seeds that is fewer than by never for: {fewer or 'none'}; more "
                f"for: {more or 'none'}.",
                *(*timed.values(), *moved.values()),
            ),
            say(
                f"In one run whose oversight rises by steps to full and falls again, {falling[0]} "
                f"of these seeds are deceptive at the top, and {falling[-1]} where it is none "
                "again.",
                *(falling[0], falling[-1]),
            ),
        ]


def _fate(trained: Outcome, cell: Sweep, fate: str, what: str) -> Row:
    then, last = (trained.deceptive(cell, step) for step in cell.stops)
    hits: dict[str, ndarray] = {
        "returns": trained.verdicts(cell) == Verdict.INTENDED.name,
        "tracks": then & last,
        "tips back": ~then & last,
        "partial": trained.verdicts(cell) == Verdict.PARTIAL.name,
    }
    return share(f"{what}: {fate}", hits[fate])


def _well(lab: Lab, seeds: int) -> Row:
    """Return how many particles end right after a spell of tilt to the left, which is known."""
    method = Correction(method=WELL.method, objective=DoubleWell(tilt=TILT), end=400)
    cell = WELL.replace(method=method, num_steps=800)
    found = lab.run("well", [cell], seeds, rule=WELL_RULE).deceptive(cell)
    # The middle one of the roots of x³ - x - TILT, in Viète's form.
    separatrix = 2 / 3**0.5 * math.cos(math.acos(1.5 * 3**0.5 * TILT) / 3 - 2 * math.pi / 3)
    what = f"double well: right, after a spell of tilt {TILT:g}"
    return share(what, found, kind="known", expected=float(ndtr(-separatrix)))
