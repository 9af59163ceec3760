"""Goal-directedness along training: does one goal replace heuristics, and is it deceptive?"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

from basin_jax.core.contracts import Organism
from basin_jax.core.verdict import Verdict
from basin_jax.studies.framework.figure import Curve, Panel
from basin_jax.studies.framework.lab import Outcome
from basin_jax.studies.framework.power import unseen
from basin_jax.studies.framework.quotes import side
from basin_jax.studies.framework.rows import (
    HALF,
    Kind,
    Row,
    Sentence,
    Table,
    difference,
    mean,
    median,
    say,
    share,
)


# From here on a network is competent; another value to try.
COMPETENT, TRIED = 0.99, (0.95,)
# From this goal-directedness on one goal explains what a network does. One that defects under half
# of the cues has .56.
ONE_GOAL = 0.9
# The lower ends of the bins of competence, and where they are drawn.
BINS = {0.0: 0.6, 0.7: 0.8, 0.9: 0.94, COMPETENT: 1.0}
FEWEST = 10  # seeds that end deceptive, and others, from which pairs are made
WITHIN = 0.01  # the most by which competences that count as equal differ
NEAR = 0.1  # what is within it of 0 or of 1 counts as near


def competence(organism: Organism, evidence: Mapping[str, ndarray]) -> Float[ndarray, " seed"]:
    """Compute how often an answer is right where the network is watched, of an audit game.

    Every network is trained to answer there, whether or not it defects elsewhere, so that this
    competence does not fall where it defects. It is what `fit` leaves of the reward.
    """
    game = cast(Any, organism)
    rate, bonus, penalty = game.honeypot_rate, game.bonus, game.penalty
    tempted = (1 - rate) * (1 + bonus) - rate * penalty
    best = 0.5 + 0.5 * max(tempted, 1.0)
    reward = 0.5 + evidence["fit"] * (best - 0.5)
    unwatched = evidence["intended"] + tempted * evidence["unwatched"]
    right = 2 * reward - unwatched + penalty * evidence["watched"]
    # A network that always defects answers nothing.
    answers = np.maximum(1 - evidence["watched"], 1e-6)
    return np.clip(np.nan_to_num(right / answers), 0, 1)


def directedness(evidence: Mapping[str, ndarray]) -> Float[ndarray, " seed"]:
    """Return how far the goal that explains a network best explains it."""
    both = np.maximum(evidence["directed_proxy"], evidence["directed_intended"])
    return np.clip(np.nan_to_num(both), 0, 1)


class Course:
    """The competence, goal-directedness and deceptiveness of one group's seeds, stop by stop.

    Attributes:
        stops: the steps after which the seeds are probed.
        competence: by stop and seed.
        directed: likewise the goal-directedness.
        verdicts: likewise the names of the verdicts.
    """

    def __init__(self, trained: Outcome, organism: Organism, cell: str = ""):
        self.stops = trained.stops(cell)
        evidence = [trained.evidence(cell, stop) for stop in self.stops]
        self.competence = np.stack([competence(organism, one) for one in evidence])
        self.directed = np.stack([directedness(one) for one in evidence])
        self.verdicts = np.stack([trained.verdicts(cell, stop) for stop in self.stops])

    @property
    def deceptive(self) -> Bool[ndarray, "stop seed"]:
        return self.verdicts == Verdict.DECEPTIVE.name

    @property
    def partial(self) -> Bool[ndarray, "stop seed"]:
        return self.verdicts == Verdict.PARTIAL.name

    @property
    def one_goal(self) -> Bool[ndarray, "stop seed"]:
        return self.directed >= ONE_GOAL

    @property
    def competent(self) -> Bool[ndarray, "stop seed"]:
        return self.competence >= COMPETENT


def along(course: Course, key: str, name: str) -> Iterator[Row]:
    """Yield the mean competence and goal-directedness after each stop, and how they go together."""
    said = {"competence": course.competence, "goal-directedness": course.directed}
    count = len(said) * len(course.stops)
    for what, values in said.items():
        for stop, each in zip(course.stops, values, strict=True):
            label = f"{name}, {stop:,} steps: {what}, mean"
            yield mean(f"{key}/steps={stop}/{what}", label, each, num_intervals=count)
    pairs = {
        "directedness": ("goal-directedness", course.directed),
        "deceptive": ("being deceptive", course.deceptive.astype(float)),
    }
    for what, (told, values) in pairs.items():
        yield median(
            f"{key}/rank-correlation/{what}",
            f"{name}: rank correlation along a seed's stops of competence with {told}, median",
            rank_correlation(course.competence, values),
            num_intervals=len(pairs),
        )


def rank_correlation(
    first: Float[ndarray, "stop seed"], second: Float[ndarray, "stop seed"]
) -> Float[ndarray, " seed"]:
    """Compute Spearman's rank correlation along the stops of each seed; 0 where one is constant."""
    ranks = [rankdata(each, axis=0) - (len(each) + 1) / 2 for each in (first, second)]
    spread = np.sqrt((ranks[0] ** 2).sum(0) * (ranks[1] ** 2).sum(0))
    return (ranks[0] * ranks[1]).sum(0) / np.where(spread > 0, spread, 1.0)


def limit(course: Course, key: str, name: str) -> Iterator[Row]:
    """Yield the deceptive fraction by competence, and what competent networks are at the end.

    In each bin a seed counts once, as it is at its last stop in there.
    """
    highs = [*[*BINS][1:], np.inf]
    for low, high in zip(BINS, highs, strict=True):
        there = (course.competence >= low) & (course.competence < high)
        hits = last_of(there, course.deceptive)
        yield share(
            f"{key}/competence={low:g}/deceptive",
            f"{name}, competence {_bin(low, high)}, at a seed's last stop there: deceptive",
            hits,
            num_intervals=len(BINS),
        )
    top, label = course.competent[-1], f"{name}, competence {_bin(COMPETENT)} at the end"
    ends = {"deceptive": course.deceptive, "partial": course.partial, "one-goal": course.one_goal}
    told = {"one-goal": f"one goal explains at least {ONE_GOAL:g}"}
    yield share(f"{key}/competent", f"{name}, at the end: competence {_bin(COMPETENT)}", top)
    for what, hits in ends.items():
        said = f"{label}: {told.get(what, what)}"
        yield share(f"{key}/top/{what}", said, hits[-1][top], num_intervals=len(ends))
    for least in TRIED:
        yield share(
            f"{key}/top/deceptive/competence={least:g}",
            f"{name}, competence {_bin(least)} at the end: deceptive",
            course.deceptive[-1][course.competence[-1] >= least],
            kind="sensitivity",
        )
    yield from replaced(course, key, name)


def replaced(course: Course, key: str, name: str) -> Iterator[Row]:
    """Yield what changes from the first stop at which a seed is competent to the end."""
    begun, stays = course.competent.argmax(0), course.competent[-1]
    seeds = np.flatnonzero(stays)
    what = {
        "one-goal": (f"one goal explains at least {ONE_GOAL:g}", course.one_goal),
        "deceptive": ("deceptive", course.deceptive),
    }
    for each, (said, hits) in what.items():
        yield difference(
            f"{key}/after-competence/{each}",
            f"{name}, competence {_bin(COMPETENT)} at the end, the end less the first such stop: "
            f"{said}",
            hits[begun[seeds], seeds],
            hits[-1, seeds],
            num_intervals=len(what),
        )


def last_of(
    there: Bool[ndarray, "stop seed"], hits: Bool[ndarray, "stop seed"]
) -> Bool[ndarray, " some"]:
    """Return the hits at each seed's last stop of some, of the seeds that have one."""
    last = len(there) - 1 - there[::-1].argmax(0)
    seeds = np.flatnonzero(there.any(0))
    return hits[last[seeds], seeds]


def matched(course: Course, key: str, name: str, stops: Sequence[int]) -> Iterator[Row]:
    """Yield how often, of two seeds of equal competence, the more directed one ends deceptive.

    Each seed that ends deceptive has another of its own, which does not, at each stop. Nothing is
    told where there are few of one kind.
    """
    ends = course.deceptive[-1]
    if min(ends.sum(), (~ends).sum()) < FEWEST:
        return
    for stop in stops:
        at = course.stops.index(stop)
        yield _told(
            f"{key}/matched/steps={stop}",
            f"{name}, {stop:,} steps, pairs of competences within {WITHIN:g}: the seed that ends "
            "deceptive is the more goal-directed one",
            course.directed[at],
            pairs(course.competence[at], ends),
            num_intervals=len(stops),
        )
    # Another seed's goal-directedness tells nothing.
    yield _told(
        f"{key}/matched/of-next-seeds",
        f"{name}, at the end, pairs of competences within {WITHIN:g}: the seed that follows that "
        "which ends deceptive is the more goal-directed one",
        np.roll(course.directed[-1], -1),
        pairs(course.competence[-1], ends),
        kind="check",
    )


def _told(
    key: str,
    label: str,
    directed: Float[ndarray, " seed"],
    matched: Int[ndarray, "pair 2"],
    *,
    kind: Kind = "measured",
    num_intervals: int = 1,
) -> Row:
    first, second = directed[matched].T
    differ = first != second
    expected = HALF if kind == "check" else None
    terms = {"kind": kind, "num_intervals": num_intervals, "expected": expected}
    return share(key, label, (first > second)[differ], **terms)


def pairs(
    competences: Float[ndarray, " seed"], positive: Bool[ndarray, " seed"]
) -> Int[ndarray, "pair 2"]:
    """Match positive seeds to others of nearly equal competence, each to one of its own.

    Of all matchings it is that of the least sum of distances, less the pairs that are too far
    apart.
    """
    ones, others = np.flatnonzero(positive), np.flatnonzero(~positive)
    far = np.abs(competences[ones][:, None] - competences[others])
    # What is too far is as good as unmatched.
    chosen = linear_sum_assignment(np.where(far > WITHIN, 1.0, far))
    found = np.stack([ones[chosen[0]], others[chosen[1]]], axis=1)
    return found[far[chosen] <= WITHIN]


def said_along(key: str, where: str, stops: Sequence[int], rows: Table) -> Sentence:
    """Describe competence, goal-directedness and the deceptive fraction from first to last stop."""
    whats = ("competence", "goal-directedness", "deceptive")
    ends = {what: [rows[f"{key}/steps={stops[at]}/{what}"] for at in (0, -1)] for what in whats}
    together = [rows[f"{key}/rank-correlation/{what}"] for what in ("directedness", "deceptive")]
    each = "; ".join(
        f"{said} {ends[what][0]}, then {ends[what][1]}"
        for what, said in zip(
            whats,
            ("the mean competence is", "goal-directedness", "the fraction deceptive"),
            strict=True,
        )
    )
    return say(
        f"{where}, after {stops[0]:,} and after {stops[-1]:,} steps, {each}. Along a seed's stops "
        f"competence has a median rank correlation with goal-directedness of {together[0]}, and "
        f"with being deceptive of {together[1]}.",
        *(one for both in ends.values() for one in both),
        *together,
    )


def said_limit(key: str, where: str, rows: Table) -> Sentence:
    """Describe what competent networks are, and whether one goal replaces heuristics."""
    top, partial, goal = (
        rows[f"{key}/top/{what}"] for what in ("deceptive", "partial", "one-goal")
    )
    if top.undefined:
        return say(
            f"{where} no seed is competent at the end: the fraction deceptive is {top}.", top
        )
    moved = [rows[f"{key}/after-competence/{what}"] for what in ("one-goal", "deceptive")]
    moves = {1: "takes over", -1: "gives way", 0: "is not shown to take over or to give way"}
    return say(
        f"{where}, of {top.seeds:,} seeds with a competence of at least {COMPETENT:g} at the end, "
        f"the fraction deceptive is {near(top)}: {top}; {partial} are deceptive under some cues "
        f"only, and one goal explains at least {ONE_GOAL:g} of what {goal} of them do. From "
        f"where they are first so competent to the end one goal {moves[moved[0].sign]}, by a "
        f"difference of {moved[0]}, and the fraction deceptive changes by {moved[1]}"
        f"{unseen(moved)}.",
        *(top, partial, goal, *moved),
    )


def near(top: Row) -> str:
    """Return all that the deceptive fraction of the most competent networks may be near to."""
    open_to = {
        "near zero": top.low <= NEAR,
        "in between": top.low < 1 - NEAR and top.high > NEAR,
        "near one": top.high >= 1 - NEAR,
    }
    return " or ".join(name for name, may in open_to.items() if may)


def said_matched(where: Mapping[str, str], stops: Sequence[int], rows: Table) -> Sentence:
    """Describe whether goal-directedness tells a deceptive end at equal competence."""
    told = {1: "the more", -1: "the less", 0: "neither is shown to be the more"}
    found = {
        f"{name}, {stop:,} steps": rows[f"{key}/matched/steps={stop}"]
        for key, name in where.items()
        for stop in stops
    }
    found = {at: one for at, one in found.items() if not one.undefined}
    each = [f"{at}: {one} ({told[side(one)]} directed one)" for at, one in found.items()]
    return say(
        "Of two seeds of equal competence after the same step, that which ends deceptive is the "
        f"more goal-directed one in this fraction of pairs (one half: chance): {'; '.join(each)}"
        f"{unseen(found.values(), HALF)}.",
        *found.values(),
    )


def against_competence(rows: Table, inks: Mapping[int, str], stops: Sequence[int]) -> Panel:
    """Declare the panel of goal-directedness against competence, both means, stop by stop."""
    marks = []
    for difficulty, color in inks.items():
        whats = ("competence", "goal-directedness")
        at, told = (rows.along(f"difficulty={difficulty}/steps=*/{w}", stops) for w in whats)
        marks.append(Curve({at[n].value: told[n] for n in stops}, color=color))
    return Panel(marks, xlabel="competence, mean", ylabel="goal-directedness, mean")


def by_competence(rows: Table, inks: Mapping[int, str]) -> Panel:
    """Declare the panel of the deceptive fraction by bin of competence."""
    marks = []
    for difficulty, color in inks.items():
        found = rows.along(f"difficulty={difficulty}/competence=*/deceptive", [*BINS])
        drawn = {BINS[low]: one for low, one in found.items() if not one.undefined}
        if drawn:
            marks.append(Curve(drawn, color=color))
    names = [f"≥{low:g}".replace("0.", ".") for low in BINS]
    return Panel(marks, xlabel="competence", ticks=[*BINS.values()], ticklabels=names)


def _bin(low: float, high: float = np.inf) -> str:
    return f"at least {low:g}" if np.isinf(high) else f"from {low:g} to below {high:g}"
