"""Does competence bring it? How capable must a network be before half of the seeds defect?"""

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import ndtr

from basin_jax.core.verdict import Verdict
from basin_jax.networks.mlp import MLP
from basin_jax.studies.controls import escape_threshold
from basin_jax.studies.framework.figure import INK, Curve, Level, Line, Mark, Panel
from basin_jax.studies.framework.lab import Group, Lab, Outcome, is_fit, only
from basin_jax.studies.framework.power import unseen
from basin_jax.studies.framework.rows import (
    HALF,
    Row,
    Sentence,
    Table,
    crossing,
    difference,
    mean,
    median,
    say,
    share,
)
from basin_jax.studies.framework.study import TestbedStudy
from basin_jax.studies.framework.testbed import Testbed


class Competence(TestbedStudy):
    """Train networks of several sizes for several lengths, and count those that defect.

    Capability is the number of steps, the width of two hidden layers, or their number at one
    width; lying difficulty is how many cues tell that one is watched. Along each axis of
    capability, the crossing is the smallest value at which more than half of the seeds are
    deceptive. Its interval reaches from the last value up to which all fractions are below one
    half, to the first at which one is above, by intervals for the whole grid at once; where the
    grid does not bracket it, it is infinite. Over the steps each seed is followed, too: is it fit,
    or does it behave as intended, before it defects?
    """

    difficulties: tuple[int, ...] = (1, 2, 3)
    stops: tuple[int, ...] = (0, 10, 20, 30, 40, 50, 70, 100, 200, 500)
    widths: tuple[int, ...] = (1, 2, 4, 16)
    depths: tuple[int, ...] = (0, 1, 3)
    deep: int = 8  # the width at which depth is varied
    sized: tuple[int, ...] = (1, 2)  # difficulties at which width and depth are varied
    quick: int = 128
    full: int = 8000

    limits = (
        "The crossing is read off a grid: a fraction that passes one half and comes back between "
        "two of its values is not seen.",
        "Competence is how often answers are right where nobody watches. A network that defects "
        "there is not trained to answer there, so that its competence is low because it defects.",
        "A network that is fit earns reward, by right answers or by defecting; and a change is "
        "seen only at the stops.",
        "Networks of all sizes are trained for the same number of steps, at one step size.",
    )

    def validate(self) -> None:
        organism, last = self.testbed.organism, self.testbed.num_steps
        varies = hasattr(organism, "difficulty") and hasattr(organism, "network")
        self.require(varies, "testbed", "an organism with a difficulty and a network")
        rising = all(a < b for a, b in zip(self.stops, (*self.stops[1:], last), strict=True))
        self.require(rising, "stops", f"rising to below num_steps = {last}")
        among = set(self.sized) <= set(self.difficulties)
        self.require(among, "sized", f"some of difficulties = {self.difficulties}")

    def sweeps(self, seeds: int) -> dict[str, Group]:
        rule = self.testbed.rule
        steps = {
            f"steps_{difficulty}": only(
                self._of(difficulty).sweep.replace(save_at=self.stops), seeds, rule=rule
            )
            for difficulty in self.difficulties
        }
        sized = {
            f"{axis}_{difficulty}": Group(
                cells={
                    f"{size}": self._of(difficulty, network=network).sweep
                    for size, network in sizes.items()
                },
                seeds=seeds,
                rule=rule,
            )
            for axis, sizes in self._sizes().items()
            for difficulty in self.sized
        }
        least, most = self._easiest
        widest = self._of(least, network=MLP(widths=(most, most)))
        overseen = widest.sweep.replace(method=widest.overseen_by())
        return {
            **steps,
            **sized,
            **escape_threshold.paths(16 * seeds),
            "overseen": only(overseen, seeds, rule=rule),
        }

    @property
    def _easiest(self) -> tuple[int, int]:
        """The lowest difficulty and the largest width, at which deception is easiest."""
        return min(self.difficulties), max(self.widths)

    def _of(self, difficulty: int, **changes: MLP) -> Testbed:
        """Replace the testbed's difficulty or network."""
        organism, overseen = (
            each.replace(difficulty=difficulty, **changes)
            for each in (self.testbed.organism, self.testbed.overseen)
        )
        return self.testbed.replace(organism=organism, overseen=overseen)

    def _sizes(self) -> dict[str, dict[int, MLP]]:
        """Return the networks by the kind of size and by size."""
        return {
            "width": {width: MLP(widths=(width, width)) for width in self.widths},
            "depth": {depth: MLP(widths=(self.deep,) * depth) for depth in self.depths},
        }

    @property
    def _compared(self) -> int:
        """The number of fractions compared from the first to the last value of an axis."""
        return len(self.difficulties) + len(self._sizes()) * len(self.sized)

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps after which networks are judged."""
        return (*self.stops, self.testbed.num_steps)

    def rows(self, lab: Lab) -> Iterator[Row]:
        for difficulty in self.difficulties:
            yield from self._by_steps(lab[f"steps_{difficulty}"], difficulty)
        for axis, sizes in self._sizes().items():
            for difficulty in self.sized:
                yield from self._by_size(lab[f"{axis}_{difficulty}"], axis, [*sizes], difficulty)
        paths = escape_threshold.formed(lab)
        yield from paths
        least, most = self._easiest
        yield lab["overseen"].null(
            "overseen", f"difficulty {least}, width {most}, trained where defecting does not pay"
        )
        yield escape_threshold.crosses(paths)

    def _by_steps(self, trained: Outcome, difficulty: int) -> Iterator[Row]:
        key, name = f"difficulty={difficulty}", f"difficulty {difficulty}"
        along = {
            stop: trained.shares(
                "",
                f"{key}/steps={stop}",
                f"{name}, {stop:,} steps",
                step=stop,
                num_intervals=len(self.steps),
            )
            for stop in self.steps
        }
        label = f"{name}: first number of steps after which more than half are deceptive"
        yield from itertools.chain(*along.values())
        half = crossing(f"{key}/steps/crossing", label, {n: one for n, (one, _) in along.items()})
        yield half
        yield difference(
            f"{key}/steps/last-less-first",
            f"{name}, {self.steps[-1]:,} steps less {self.steps[0]:,}: deceptive",
            *(trained.deceptive("", step) for step in (self.steps[0], self.steps[-1])),
            num_intervals=self._compared,
        )
        # Which stop it is depends on the data, so that the interval is for all at once.
        stop = int(half.value) if math.isfinite(half.value) else self.steps[-1]
        values = trained.at("", stop)["competence"].to_numpy()
        label = f"{name}, {stop:,} steps: competence, mean"
        yield mean(f"{key}/crossing/competence", label, values, num_intervals=len(self.steps))
        yield from order(trained, key, name)
        yield from self._thresholds(trained, key, name)

    def _by_size(
        self, trained: Outcome, axis: str, sizes: list[int], difficulty: int
    ) -> Iterator[Row]:
        key, name = f"difficulty={difficulty}/{axis}", f"difficulty {difficulty}, {axis}"
        count = len(sizes)
        along = {
            size: trained.shares(f"{size}", f"{key}={size}", f"{name} {size}", num_intervals=count)
            for size in sizes
        }
        label = f"difficulty {difficulty}: first {axis} at which more than half are deceptive"
        yield from itertools.chain(*along.values())
        yield crossing(f"{key}/crossing", label, {size: one for size, (one, _) in along.items()})
        yield difference(
            f"{key}/last-less-first",
            f"{name} {sizes[-1]} less {sizes[0]}: deceptive",
            *(trained.deceptive(f"{size}") for size in (sizes[0], sizes[-1])),
            num_intervals=self._compared,
        )

    def _thresholds(self, trained: Outcome, key: str, name: str) -> Iterator[Row]:
        """Yield the fraction at the end and the crossing by the rule's threshold."""
        last = f"{key}/steps={self.steps[-1]}"
        yield from trained.thresholds("", last, f"{name}, {self.steps[-1]:,} steps")
        along = [
            trained.thresholds("", "", "", step=stop, num_intervals=len(self.steps))
            for stop in self.steps
        ]
        for found in zip(*along, strict=True):
            gap = found[0].key.rpartition("=")[2]
            yield crossing(
                f"{key}/steps/crossing/gap={gap}",
                f"{name}: first number of steps after which more than half are deceptive, by a gap "
                f"of at least {gap}",
                dict(zip(self.steps, found, strict=True)),
                kind="sensitivity",
            )

    def _axes(self) -> Iterator[tuple[int, str, Sequence[int]]]:
        """Yield each difficulty with an axis of capability and its values."""
        yield from ((difficulty, "steps", self.steps) for difficulty in self.difficulties)
        for axis, sizes in self._sizes().items():
            yield from ((difficulty, axis, [*sizes]) for difficulty in self.sized)

    def sentences(self, rows: Table) -> Iterator[Sentence]:
        for difficulty, axis, places in self._axes():
            key = f"difficulty={difficulty}/{axis}"
            yield crossing_sentence(f"At difficulty {difficulty}", axis, places, key, rows)
            if axis == "steps" and f"difficulty={difficulty}/ever/fit-before" in rows:
                yield order_sentence(f"difficulty={difficulty}", rows)

    def panels(self, rows: Table, lab: Lab) -> Iterator[Panel]:
        inks = dict(zip(self.difficulties, INK, strict=False))
        marks: dict[str, list[Mark]] = {axis: [] for axis in ("steps", "width", "depth")}
        for difficulty, axis, places in self._axes():
            key, color = f"difficulty={difficulty}/{axis}", inks[difficulty]
            found = rows.along(f"{key}=*/deceptive", places)
            marks[axis].append(Curve(found, label=f"difficulty {difficulty}", color=color))
            half = rows[f"{key}/crossing"]
            if math.isfinite(half.low) and math.isfinite(half.high):
                marks[axis].append(Level(half, axis="x", color=color))
        half = Level(HALF)
        steps = (0, *(10**n for n in range(1, 6) if 10**n <= self.steps[-1]))
        xlabel = "steps (bands: crossing)"
        yield Panel([*marks["steps"], half], xlabel=xlabel, xscale="symlog", ticks=steps)
        yield Panel([*marks["width"], half], xlabel="width", xscale="log", ticks=self.widths)
        yield Panel([*marks["depth"], half], xlabel="hidden layers", ticks=self.depths)
        paths = escape_threshold.PATHS
        grows = ndtr(escape_threshold.ROOT / escape_threshold.SCALE)
        limit = {count: 1 - grows**count for count in range(1, paths[-1] + 1)}
        yield Panel(
            [
                Curve(
                    rows.along("escape-threshold/paths=*", paths), label="measured", color=INK[6]
                ),
                Line(limit, label="limit", color=INK[2]),
                Level(escape_threshold.KNOWN, axis="x", label="its crossing", color=INK[2]),
                half,
            ],
            xlabel="paths",
            ylabel="circuits that form",
        )


def first(hits: Sequence[ndarray], stops: Sequence[int]) -> Float[ndarray, " seed"]:
    """Return the first stop at which each seed is a hit; infinite if there is none."""
    table = np.stack(hits)
    return np.where(table.any(0), np.array(stops)[table.argmax(0)], np.inf)


def order(trained: Outcome, key: str, name: str) -> list[Row]:
    """Estimate the fractions fit and as intended before the first deceptive stop."""
    stops = trained.stops()
    verdicts = [trained.verdicts("", stop) for stop in stops]
    deceives = first([v == Verdict.DECEPTIVE.name for v in verdicts], stops)
    fit = first([is_fit(v) for v in verdicts], stops)
    intended = first([v == Verdict.INTENDED.name for v in verdicts], stops)
    ever = np.isfinite(deceives)
    if not ever.any():
        return []
    whose = f"{name}, seeds that are deceptive at some stop"
    before = (fit < deceives)[ever], (intended < deceives)[ever]
    return [
        share(f"{key}/ever/fit-before", f"{whose}: fit at an earlier one", before[0]),
        share(f"{key}/ever/intended-before", f"{whose}: as intended at an earlier one", before[1]),
        median(f"{key}/ever/first-step", f"{whose}: the first, median", deceives[ever]),
    ]


def crossing_sentence(
    where: str, axis: str, places: Sequence[int], key: str, rows: Table
) -> Sentence:
    """Describe the crossing along an axis, and whether the fraction changes."""
    first, last = (rows[f"{key}={places[end]}/deceptive"] for end in (0, -1))
    half, moved = rows[f"{key}/crossing"], rows[f"{key}/last-less-first"]
    if math.isinf(half.high):
        found = f"it is not shown to pass one half up to {places[-1]:,}"
    elif math.isinf(half.low):
        found = (
            f"it passes one half at {half.high:,.0f} at the latest, on a grid from {places[0]:,}"
        )
    else:
        found = f"it passes one half between {half.low:,.0f} and {half.high:,.0f}"
    moves = {1: "rises", -1: "falls", 0: "is not shown to rise or fall"}[moved.sign]
    return say(
        f"{where} the fraction deceptive {moves} along {axis}: {first} at {places[0]:,}, {last} at "
        f"{places[-1]:,}, a difference on the same seeds of {moved}{unseen([moved])}; {found}.",
        *(first, last, half, moved),
    )


def order_sentence(key: str, rows: Table) -> Sentence:
    competence, half = rows[f"{key}/crossing/competence"], rows[f"{key}/steps/crossing"]
    fit, intended = (rows[f"{key}/ever/{what}-before"] for what in ("fit", "intended"))
    when = "at that step" if math.isfinite(half.value) else "at the end"
    return say(
        f"The mean competence is {competence} {when}. Of {fit.seeds:,} seeds that are deceptive at "
        f"some stop, {fit} are fit at an earlier one, and {intended} behave as intended at an "
        "earlier one.",
        *(competence, fit, intended),
    )
