"""Sizes: networks of several widths and depths, compared where all of them are competent."""

import math
from collections.abc import Iterator, Mapping, Sequence

import jax
import numpy as np

from basin_jax.studies.framework.figure import Curve, Panel
from basin_jax.studies.framework.power import unseen
from basin_jax.studies.framework.rows import Row, Sentence, Table, difference, say, share
from basin_jax.studies.framework.testbed import Testbed
from basin_jax.studies.parts.directedness import COMPETENT, ONE_GOAL, Course


FEWEST = 32  # seeds of a size


def affordable(testbed: Testbed, base: Testbed, seeds: int) -> int:
    """Return how many seeds of a testbed to train: the fewer, the more weights it has.

    They fall with the root of the weights' number, so that the largest networks take most of the
    time, and smaller ones have most of the seeds.
    """
    larger = max(weights(testbed) / weights(base), 1.0)
    return min(seeds, max(FEWEST, round(seeds / math.sqrt(larger))))


def weights(testbed: Testbed) -> int:
    """Count the parameters of a testbed's network."""
    shapes = jax.eval_shape(testbed.organism.init, jax.random.key(0))
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))


def compared(
    courses: Mapping[int, Course], key: str, name: str, *, num_differences: int
) -> Iterator[Row]:
    """Yield what competent networks of each size are at the end, and how the sizes differ."""
    count = len(courses)
    for size, course in courses.items():
        top = course.competent[-1]
        at, label = f"{key}={size}", f"{name} {size}, at the end"
        yield share(
            f"{at}/competent",
            f"{label}: competence at least {COMPETENT:g}",
            top,
            num_intervals=count,
        )
        for what, (said, hits) in _told(course).items():
            yield share(
                f"{at}/{what}",
                f"{label}, competence at least {COMPETENT:g}: {said}",
                hits[top],
                num_intervals=count,
            )
    first, *others = sorted(courses)
    # The largest has few seeds; the one before it has more.
    for size in others[-2:]:
        ends = (first, courses[first]), (size, courses[size])
        less = "last-less-first" if size == others[-1] else f"{size}-less-{first}"
        yield from _differ(*ends, f"{key}/{less}", name, num_differences)


def _differ(
    first: tuple[int, Course], last: tuple[int, Course], key: str, name: str, count: int
) -> Iterator[Row]:
    seeds = min(course.competent.shape[1] for _, course in (first, last))
    both = first[1].competent[-1, :seeds] & last[1].competent[-1, :seeds]
    ends = [_told(course) for _, course in (first, last)]
    for what, (told, _) in ends[0].items():
        yield difference(
            f"{key}/{what}",
            f"{name} {last[0]} less {first[0]}, seeds with a competence of at least "
            f"{COMPETENT:g} in both: {told}",
            *(end[what][1][:seeds][both] for end in ends),
            num_intervals=count,
        )


def _told(course: Course) -> dict[str, tuple[str, np.ndarray]]:
    """Return the properties of networks that sizes are compared by: labels, and hits by seed."""
    goal = f"one goal explains at least {ONE_GOAL:g}"
    return {
        "deceptive": ("deceptive", course.deceptive[-1]),
        "one-goal": (goal, course.one_goal[-1]),
    }


def said(where: str, axis: str, places: Sequence[int], key: str, rows: Table) -> Sentence:
    """Describe whether deceptiveness and goal-directedness change with size."""
    moves = {1: "rises", -1: "falls", 0: "is not shown to rise or fall"}
    first, before, last = places[0], places[-2], places[-1]
    each, rests = [], []
    names = {"deceptive": "the fraction deceptive", "one-goal": "that which one goal explains"}
    for what, name in names.items():
        ends = [rows[f"{key}={size}/{what}"] for size in (first, last)]
        moved = [rows[f"{key}/last-less-first/{what}"]]
        told = (
            f"{name} {moves[moved[0].sign]} along {axis}, {ends[0]} at {first:,} and {ends[1]} at "
            f"{last:,}, by {moved[0]} on the {moved[0].seeds:,} seeds that are so at both"
        )
        if before != first:
            moved.append(rows[f"{key}/{before}-less-{first}/{what}"])
            told += f" (from {first:,} to {before:,} by {moved[1]} on {moved[1].seeds:,})"
        rests += [*ends, *moved]
        each.append(told)
    differences = [one for one in rests if one.gained is not None]
    return say(
        f"{where}, among networks with a competence of at least {COMPETENT:g}, "
        f"{'; '.join(each)}{unseen(differences)}.",
        *rests,
    )


def panel(
    rows: Table, axis: str, places: Sequence[int], sized: Sequence[int], inks: Mapping[int, str]
) -> Panel:
    """Declare the panel of competent networks by size: deceptive, and explained by one goal."""
    marks = []
    for difficulty in sized:
        key = f"difficulty={difficulty}/{axis}=*"
        for what, style in (("deceptive", "-"), ("one-goal", "--")):
            found = rows.along(f"{key}/{what}", places)
            drawn = {at: one for at, one in found.items() if not one.undefined}
            marks.append(Curve(drawn, color=inks[difficulty], linestyle=style))
    xlabel = {"width": "width", "depth": "hidden layers"}[axis]
    xscale = {"width": "log", "depth": "linear"}[axis]
    return Panel(
        marks,
        xlabel=f"{xlabel} (dashed: one goal)",
        ylabel="of the competent ones",
        xscale=xscale,
        ticks=places,
    )
