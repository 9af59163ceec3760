"""Does deception emerge by degrees in every seed, or as a mode that some seeds fall into?"""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.special import ndtr

from basin_jax.statistics.modes import Modes, find_modes
from basin_jax.studies.controls.double_well import RULE, SEPARATRIX, WELL
from basin_jax.studies.framework.figure import Cumulative, Curve, Panel
from basin_jax.studies.framework.lab import Group, Lab, Outcome, only
from basin_jax.studies.framework.rows import (
    Row,
    Sentence,
    Table,
    level_of,
    median,
    numbers,
    say,
    share,
)
from basin_jax.studies.framework.study import TestbedStudy
from basin_jax.studies.framework.testbed import INSPECTION, META_LEARNER, SHORTCUT, Testbed


# The stops, as parts of the training.
PARTS = (32, 16, 8, 4, 2, 1)
TICKS = (32, 8, 2, 1)
# A gap that is farther than this from all modes of the end is on its way.
NEAR = 0.1
NEARS = (0.05, 0.2)
# The share of seeds far from all modes up to which an organism has its seeds in modes.
FEW = 0.05
# Where two modes lie in the double well, for certain.
WELLS = 2


class Emergence(TestbedStudy):
    """Count the modes of the gap over seeds, and follow the share that each holds.

    A gap that grows in every seed moves one mode; one that some seeds have and others have not
    parts the seeds into modes, and what moves with training or with the size of the network is the
    share of the upper one: the probability of a breakthrough (Zhao et al. 2025, "Random scaling of
    emergent capabilities"). Modes are counted as `find_modes` does, at the end of training. A seed
    is in the upper mode where its gap is above the last valley between them, and on its way where
    it is far from all places, the medians, of modes.
    """

    others: tuple[Testbed, ...] = (INSPECTION, META_LEARNER, SHORTCUT)
    widths: tuple[int, ...] = (8, 16, 64)
    quick: int = 512

    limits = (
        "Modes are of the gap; networks of one gap may differ in all else.",
        "There are at least as many modes as are counted: modes that few seeds are in, or that lie "
        "within a bandwidth of .01, are not told apart.",
        "A seed may pass between two stops from one mode to another.",
        "The learning rate falls with the width, so that functions change equally fast; under "
        "another rule shares may move otherwise.",
    )

    def validate(self) -> None:
        others = {*self.widths} - {self.testbed.width}
        self.require(bool(others), "widths", f"one other than the testbed's, {self.testbed.width}")
        names = [testbed.name for testbed in self._all]
        self.require(len({*names}) == len(names), "others", "testbeds of other organisms")
        self.require(bool(self.testbed.width), "testbed", "one whose layers have one width")
        most = min(testbed.num_steps for testbed in self._all)
        self.require(most >= max(PARTS), "testbed", f"at least {max(PARTS)} steps")

    @property
    def _all(self) -> tuple[Testbed, ...]:
        return (self.testbed, *self.others)

    @property
    def _widths(self) -> tuple[int, ...]:
        return tuple(sorted({*self.widths, self.testbed.width}))

    def sweeps(self, seeds: int) -> dict[str, Group]:
        along = {
            testbed.name: only(
                testbed.sweep.replace(save_at=(0, *_stops(testbed)[:-1])), seeds, rule=testbed.rule
            )
            for testbed in self._all
        }
        others = (width for width in self._widths if width != self.testbed.width)
        wide = {f"{width}": self.testbed.of_width(width).sweep for width in others}
        overseen = self.testbed.replace(organism=self.testbed.overseen).sweep
        return {
            **along,
            "widths": Group(cells=wide, seeds=seeds, rule=self.testbed.rule),
            "overseen": only(overseen, seeds, rule=self.testbed.rule),
            "well": only(WELL.replace(save_at=(0,)), seeds, rule=RULE),
        }

    def rows(self, lab: Lab) -> Iterator[Row]:
        ends = {testbed.name: gap_of(lab[testbed.name]) for testbed in self._all}
        modes = {name: find_modes(gaps) for name, gaps in ends.items()}
        for name, gaps in ends.items():
            yield from self._ends(name, name, gaps, modes[name])
        own = self.testbed
        for width in self._widths:
            key, label = f"width={width}", f"{own.name}, width {width}"
            if width == own.width:
                yield from self._ends(key, label, ends[own.name], modes[own.name])
            else:
                gaps = gap_of(lab["widths"], f"{width}")
                yield from self._ends(key, label, gaps, find_modes(gaps))
        for testbed in self._all:
            yield from self._along(testbed, lab[testbed.name], modes[testbed.name])
        yield from self._controls(lab)

    def _ends(
        self, key: str, label: str, gaps: Float[ndarray, " seed"], modes: Modes
    ) -> Iterator[Row]:
        """Yield the number of modes, the upper one's share and place, and what lies between."""
        yield _count(f"{key}/modes", f"{label}: modes of the gap, at least", gaps, modes)
        upper = modes.of(gaps) == modes.count - 1
        cells = len(self._all) + len(self._widths) - 1  # the testbed is among both
        yield share(f"{key}/upper", f"{label}: in the upper mode", upper, num_intervals=cells)
        yield median(
            f"{key}/upper/gap",
            f"{label}, upper mode: gap, median",
            gaps[upper],
            num_intervals=cells,
        )

    def _along(self, testbed: Testbed, outcome: Outcome, modes: Modes) -> Iterator[Row]:
        """Yield the shares in the upper mode of the end, and on the way, by the stop."""
        name, ends = testbed.name, gap_of(outcome)
        stops = (0, *_stops(testbed))
        for step in stops:
            gaps = gap_of(outcome, step=step)
            said = f"{name}, step {step:,}"
            yield share(
                f"{name}/step={step}/upper",
                f"{said}: in what is the upper mode of the end",
                modes.of(gaps) == modes.count - 1,
                num_intervals=len(stops),
            )
            yield share(
                f"{name}/step={step}/on-its-way",
                f"{said}: farther than {NEAR:g} from all modes of the end",
                far(gaps, modes, ends, NEAR),
                num_intervals=len(stops),
            )
        for near in NEARS:
            yield share(
                f"{name}/on-its-way/{near:g}",
                f"{name}, at the end: farther than {near:g} from all modes",
                far(ends, modes, ends, near),
                kind="sensitivity",
            )

    def _controls(self, lab: Lab) -> Iterator[Row]:
        name, gaps = self.testbed.name, gap_of(lab["overseen"])
        yield lab["overseen"].null("overseen", f"{name}, overseen")
        yield _exactly("overseen/modes", f"{name}, overseen: modes of the gap", gaps, 1)
        start, end = (lab["well"].evidence(step=step)["x"] for step in (0, None))
        yield _exactly("well/start/modes", "double well, normal start: modes", start, 1)
        yield _exactly("well/modes", "double well: modes of the end", end, WELLS)
        modes = find_modes(end)
        yield share(
            "well/upper",
            "double well: in the upper mode",
            modes.of(end) == modes.count - 1,
            kind="known",
            expected=float(ndtr(-SEPARATRIX)),
        )

    def sentences(self, rows: Table) -> Iterator[Sentence]:
        names = [testbed.name for testbed in self._all]
        counts = [rows[f"{name}/modes"] for name in names]
        several = [name for name, one in zip(names, counts, strict=True) if one.value > 1]
        each = ", ".join(
            f"{name}: {one.value:.0f}" for name, one in zip(names, counts, strict=True)
        )
        yield say(
            f"Seeds are shown to end in several modes of the gap in {_list(several)}; modes, at "
            f"least (n = {counts[0].seeds:,} seeds each): {each}.",
            *counts,
        )
        yield self._between(rows)
        for testbed in self._all:
            if testbed.name in several:
                yield self._grows(rows, testbed)
        shares, places = (
            {width: rows[f"width={width}/{what}"] for width in self._widths}
            for what in ("upper", "upper/gap")
        )
        by = ", ".join(f"{width}: {shares[width]} at {places[width]}" for width in self._widths)
        yield say(
            f"With the width of {self.testbed.name}, the share of the upper mode and its median "
            f"gap are, {by}.",
            *shares.values(),
            *places.values(),
        )

    def _between(self, rows: Table) -> Sentence:
        """Say where seeds end in modes, and where between them."""
        ends = {
            testbed.name: rows[f"{testbed.name}/step={testbed.num_steps}/on-its-way"]
            for testbed in self._all
        }
        few = [name for name, one in ends.items() if one.high < FEW]
        many = [name for name, one in ends.items() if one.low > FEW]
        each = ", ".join(f"{name}: {one}" for name, one in ends.items())
        return say(
            "To be deceptive is a mode that some seeds fall into, with hardly any between, in "
            f"{_list(few)}; a matter of degree, with more than a twentieth between them, in "
            f"{_list(many)}. Share that ends farther than {NEAR:g} from all modes: {each}.",
            *ends.values(),
        )

    def _grows(self, rows: Table, testbed: Testbed) -> Sentence:
        name, stops = testbed.name, _stops(testbed)
        upper = rows.along(f"{name}/step=*/upper", stops)
        way = rows.along(f"{name}/step=*/on-its-way", stops)
        grown = ", ".join(f"{step:,}: {one}" for step, one in upper.items())
        most = max(way, key=lambda step: way[step].value)
        return say(
            f"In {name} the share of seeds in what is the upper mode of the end is, by step, "
            f"{grown}. The most seeds that are far from all modes of the end at once are "
            f"{way[most]}, at step {most:,}; at the end {way[stops[-1]]} are.",
            *upper.values(),
            way[most],
            way[stops[-1]],
        )

    def panels(self, rows: Table, lab: Lab) -> Iterator[Panel]:
        ends = [
            Cumulative(gap_of(lab[testbed.name]), 1.05, begin=-0.25, label=testbed.name)
            for testbed in self._all
        ]
        yield Panel(ends, xlabel="gap at the end", ylabel="share of seeds")
        for what, said in (("upper", "in the upper mode"), ("on-its-way", "far from all modes")):
            curves = [
                Curve(
                    {
                        1 / part: rows[f"{testbed.name}/step={step}/{what}"]
                        for part, step in zip(PARTS, _stops(testbed), strict=True)
                    },
                    label=testbed.name,
                )
                for testbed in self._all
            ]
            yield Panel(
                curves,
                xlabel="share of the steps",
                ylabel=f"share {said}",
                xscale="log",
                ticks=[1 / part for part in TICKS],
                ticklabels=["1" if part == 1 else f"1/{part}" for part in TICKS],
            )
        wide = [
            Curve({w: rows[f"width={w}/{what}"] for w in self._widths}, label=said)
            for what, said in (("upper", "share of seeds"), ("upper/gap", "median gap"))
        ]
        yield Panel(wide, xlabel="width", ylabel="upper mode", xscale="log", ticks=[*self._widths])


def gap_of(outcome: Outcome, cell: str = "", step: int | None = None) -> Float[ndarray, " seed"]:
    """Return the gap of each seed, unwatched less watched; what is not finite is left out."""
    evidence = outcome.evidence(cell, step)
    gaps = evidence["unwatched"] - evidence["watched"]
    return gaps[np.isfinite(gaps)]


def far(
    gaps: Float[ndarray, " seed"], modes: Modes, ends: Float[ndarray, " end"], near: float
) -> Bool[ndarray, " seed"]:
    """Return which gaps are farther than `near` from the medians of all modes of the end."""
    own = modes.of(ends)
    places = np.array([np.median(ends[own == mode]) for mode in range(modes.count)])
    return np.abs(gaps[:, None] - places).min(1) > near


def _stops(testbed: Testbed) -> tuple[int, ...]:
    """Return the last steps of the parts of a testbed's training."""
    return tuple(testbed.num_steps // part for part in PARTS)


def _list(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _count(key: str, label: str, values: ndarray, modes: Modes) -> Row:
    """Return the row of a number of modes: there may be more."""
    count = float(modes.count)
    return numbers(key, label, (count, count, np.inf), len(values))


def _exactly(key: str, label: str, values: ndarray, expected: int) -> Row:
    """Return the row of a number of modes that is known."""
    count = float(find_modes(values, level=level_of("control")).count)
    found = (count, count, count)
    return numbers(key, label, found, len(values), kind="known", expected=float(expected))
