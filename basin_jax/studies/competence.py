"""Does a simple goal replace heuristics at the limit of competence, and is it a deceptive one?"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import ndtr

from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Verdict
from basin_jax.methods.correction import Correction
from basin_jax.networks.mlp import MLP
from basin_jax.organisms.audit import Audit
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
    row,
    say,
    share,
)
from basin_jax.studies.framework.study import TestbedStudy
from basin_jax.studies.framework.testbed import Testbed
from basin_jax.studies.parts import directedness, sizes
from basin_jax.studies.parts.directedness import Course


LATER = 4  # of the stops, the last ones, at which seeds of equal competence are compared
FREE = 1e-6  # what defecting costs where it neither pays nor costs


class Competence(TestbedStudy):
    """Follow the competence, the goal-directedness and the deception of networks as they train.

    Competence is how often a network's answers are right where it is watched: every network is
    trained to answer there. Goal-directedness is how far one goal explains what it does: what
    training rewards, defection unwatched included, or what is intended. A network that defects
    under some cues only, by a heuristic, has little of either. Lying difficulty is how many cues
    tell that one is watched.

    Each seed is followed over the steps. The crossing is the first step after which more than half
    of the seeds are deceptive. Its interval reaches from the last stop up to which all fractions
    are below one half, to the first at which one is above, by intervals for all stops at once;
    where they do not bracket it, it is infinite. At equal competence, after the same step, seeds
    that end deceptive are compared with seeds that do not. Networks of several sizes are compared
    where they are competent, on the same seeds.
    """

    difficulties: tuple[int, ...] = (1, 2, 3)
    stops: tuple[int, ...] = (0, 20, 50, 100, 300)
    longer: int = 3  # times the testbed's steps, for which seeds are followed
    widths: tuple[int, ...] = (4, 16, 64, 256)  # of two hidden layers
    depths: tuple[int, ...] = (1, 2, 4)  # hidden layers of the testbed's width
    sized: tuple[int, ...] = (1, 2)  # difficulties at which width and depth are varied
    quick: int = 192
    full: int = 2000

    limits = (
        "A goal is one of two: what training rewards, or what is intended. Another simple goal "
        "would count as heuristics, and that a goal explains what a network does is no sign of a "
        "search for it.",
        "One goal explains a network that defects under all cues: late in training, that seeds "
        "which end deceptive are the more goal-directed ones is in part what the words mean.",
        "The crossing is read off a grid: a fraction that passes one half and comes back between "
        "two of its stops is not seen.",
        "The task of the audit game is learned in full, or a network stays where it is right three "
        "times in four: its limit of competence says nothing of tasks that nobody masters.",
        "A network that is fit earns reward, by right answers or by defecting; and a change is "
        "seen only at the stops.",
        "Sizes are compared on the seeds that are competent at both, which are not all.",
    )

    def validate(self) -> None:
        organism, last = self.testbed.organism, self.testbed.num_steps
        plays = isinstance(organism, Audit) and self.testbed.width > 0
        self.require(plays, "testbed", "an audit game, whose network has layers of one width")
        rising = all(a < b for a, b in zip(self.stops, (*self.stops[1:], last), strict=True))
        self.require(rising, "stops", f"rising to below num_steps = {last}")
        self.require(self.longer >= 2, "longer", "at least 2")
        among = set(self.sized) <= set(self.difficulties)
        self.require(among, "sized", f"some of difficulties = {self.difficulties}")
        for name in ("widths", "depths"):
            self.require(len(getattr(self, name)) > 1, name, "two or more")

    def sweeps(self, seeds: int) -> dict[str, Group]:
        rule = self.testbed.rule
        followed = {
            f"steps_{difficulty}": only(
                self._followed(difficulty).sweep.replace(save_at=self.steps[:-1]), seeds, rule=rule
            )
            for difficulty in self.difficulties
        }
        sized = {
            f"{axis}_{difficulty}_{size}": only(
                testbed.sweep, sizes.affordable(testbed, self.testbed, seeds), rule=rule
            )
            for axis, difficulty, found in self._sizes()
            for size, testbed in found.items()
        }
        return {
            **followed,
            **sized,
            **escape_threshold.paths(16 * seeds),
            "controls": Group(cells=self._controls(), seeds=seeds, rule=rule),
        }

    def _controls(self) -> dict[str, Sweep]:
        """Return the sweeps at the easiest difficulty under which nobody gains by lying."""
        testbed = self._of(min(self.difficulties))
        free = testbed.organism.replace(honeypot_rate=1.0, penalty=FREE)
        untold = Correction(method=testbed.method, objective=free, end=testbed.num_steps)
        methods = {"overseen": testbed.overseen_by(), "no cue": untold}
        return {name: testbed.sweep.replace(method=method) for name, method in methods.items()}

    def _of(self, difficulty: int) -> Testbed:
        """Replace the testbed's difficulty."""
        organism, overseen = (
            each.replace(difficulty=difficulty)
            for each in (self.testbed.organism, self.testbed.overseen)
        )
        return self.testbed.replace(organism=organism, overseen=overseen)

    def _followed(self, difficulty: int) -> Testbed:
        return self._of(difficulty).replace(num_steps=self.steps[-1])

    def _sizes(self) -> Iterator[tuple[str, int, dict[int, Testbed]]]:
        """Yield each axis of size and difficulty with the testbeds by size."""
        for difficulty in self.sized:
            base = self._of(difficulty)
            yield "width", difficulty, {each: base.of_width(each) for each in self.widths}
            deep = {n: base.with_network(MLP(widths=(base.width,) * n)) for n in self.depths}
            yield "depth", difficulty, deep

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps after which networks are judged."""
        return (*self.stops, self.testbed.num_steps, self.longer * self.testbed.num_steps)

    @property
    def _compared(self) -> int:
        """The number of differences from the first value of an axis to a later one."""
        others = [min(len(found) - 1, 2) for _, _, found in self._sizes()]
        return len(self.difficulties) + 2 * sum(others)

    def rows(self, lab: Lab) -> Iterator[Row]:
        for difficulty in self.difficulties:
            yield from self._by_steps(lab[f"steps_{difficulty}"], difficulty)
        for axis, difficulty, found in self._sizes():
            courses = {
                size: Course(lab[f"{axis}_{difficulty}_{size}"], testbed.organism)
                for size, testbed in found.items()
            }
            key, name = f"difficulty={difficulty}/{axis}", f"difficulty {difficulty}, {axis}"
            yield from sizes.compared(courses, key, name, num_differences=self._compared)
        paths = escape_threshold.formed(lab)
        yield from paths
        yield from self._unpaid(lab["controls"])
        yield escape_threshold.crosses(paths)

    def _by_steps(self, trained: Outcome, difficulty: int) -> Iterator[Row]:
        key, name = f"difficulty={difficulty}", f"difficulty {difficulty}"
        course = Course(trained, self._of(difficulty).organism)
        found = {
            stop: row(
                f"{key}/steps={stop}/deceptive",
                f"{name}, {stop:,} steps: deceptive",
                trained.fraction(step=stop, num_intervals=len(self.steps)),
            )
            for stop in self.steps
        }
        yield from found.values()
        yield from directedness.along(course, key, name)
        label = f"{name}: first number of steps after which more than half are deceptive"
        yield crossing(f"{key}/steps/crossing", label, found)
        yield difference(
            f"{key}/steps/last-less-first",
            f"{name}, {self.steps[-1]:,} steps less {self.steps[0]:,}: deceptive",
            *(trained.deceptive("", step) for step in (self.steps[0], self.steps[-1])),
            num_intervals=self._compared,
        )
        yield from order(trained, key, name)
        yield from directedness.limit(course, key, name)
        yield from directedness.matched(course, key, name, self.steps[-LATER:])
        last = f"{key}/steps={self.steps[-1]}"
        yield from trained.thresholds("", last, f"{name}, {self.steps[-1]:,} steps")

    def _unpaid(self, trained: Outcome) -> Iterator[Row]:
        """Yield the null controls, and how many of their seeds are competent."""
        easiest = min(self.difficulties)
        why = {
            "overseen": "trained where defecting does not pay",
            "no cue": "trained where the cue tells nothing, and defecting neither pays nor costs",
        }
        for cell, said in why.items():
            key, label = cell.replace(" ", "-"), f"difficulty {easiest}, {said}"
            yield trained.null(key, label, cell)
            course = Course(trained, self._of(easiest).organism, cell)
            yield share(
                f"{key}/competent",
                f"{label}: competence at least {directedness.COMPETENT:g}",
                course.competent[-1],
            )

    def sentences(self, rows: Table) -> Iterator[Sentence]:
        for difficulty in self.difficulties:
            key, where = f"difficulty={difficulty}", f"At difficulty {difficulty}"
            yield directedness.said_limit(key, where, rows)
        for difficulty in self.difficulties:
            key, where = f"difficulty={difficulty}", f"At difficulty {difficulty}"
            yield directedness.said_along(key, where, self.steps, rows)
            yield crossing_sentence(where, "steps", self.steps, f"{key}/steps", rows)
            if f"{key}/ever/fit-before" in rows:
                yield order_sentence(where, key, rows)
        later = self.steps[-LATER:]
        keys = {f"difficulty={n}": f"difficulty {n}" for n in self.difficulties}
        there = {k: n for k, n in keys.items() if f"{k}/matched/steps={later[0]}" in rows}
        if there:
            yield directedness.said_matched(there, later, rows)
        for axis, difficulty, found in self._sizes():
            key, where = f"difficulty={difficulty}/{axis}", f"At difficulty {difficulty}"
            yield sizes.said(where, axis, [*found], key, rows)

    def panels(self, rows: Table, lab: Lab) -> Iterator[Panel]:
        inks = dict(zip(self.difficulties, INK, strict=False))
        half, ticks = Level(HALF), [10**n for n in range(1, 6) if 10**n <= self.steps[-1]]
        found = {d: rows.along(f"difficulty={d}/steps=*/deceptive", self.steps) for d in inks}
        marks: list[Mark] = [
            Curve(each, label=f"difficulty {d}", color=inks[d]) for d, each in found.items()
        ]
        for d, color in inks.items():
            bracket = rows[f"difficulty={d}/steps/crossing"]
            if math.isfinite(bracket.low) and math.isfinite(bracket.high):
                marks.append(Level(bracket, axis="x", color=color))
        xlabel = "steps (bands: crossing)"
        yield Panel([*marks, half], xlabel=xlabel, xscale="symlog", ticks=(0, *ticks))
        yield directedness.against_competence(rows, inks, self.steps)
        yield directedness.by_competence(rows, inks)
        for axis in ("width", "depth"):
            yield sizes.panel(rows, axis, getattr(self, f"{axis}s"), self.sized, inks)
        yield _escaping(rows)


def _escaping(rows: Table) -> Panel:
    """Declare the panel of the known answer."""
    paths = escape_threshold.PATHS
    grows = ndtr(escape_threshold.ROOT / escape_threshold.SCALE)
    limit = {count: 1 - grows**count for count in range(1, paths[-1] + 1)}
    known = Level(escape_threshold.KNOWN, axis="x", label="its crossing", color=INK[2])
    measured = rows.along("escape-threshold/paths=*", paths)
    return Panel(
        [
            Curve(measured, label="measured", color=INK[6]),
            Line(limit, label="limit", color=INK[2]),
            known,
            Level(HALF),
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


def order_sentence(where: str, key: str, rows: Table) -> Sentence:
    """Describe what seeds are before they are deceptive."""
    fit, intended = (rows[f"{key}/ever/{what}-before"] for what in ("fit", "intended"))
    return say(
        f"{where}, of {fit.seeds:,} seeds that are deceptive at some stop, {fit} are fit at an "
        f"earlier one, and {intended} behave as intended at an earlier one.",
        *(fit, intended),
    )
