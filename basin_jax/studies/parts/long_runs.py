"""Long runs: how many good starts two methods lose along time, and when they lose them."""

from collections.abc import Iterator, Mapping

import numpy as np

from basin_jax.studies.framework.figure import Curve, Panel
from basin_jax.studies.framework.power import unseen
from basin_jax.studies.framework.rows import Row, Sentence, Table, difference, median, say, share
from basin_jax.studies.parts.equal_progress import Course


# Steps at which the lost are counted, in units of the testbed's; the last is the length of a run.
TIMES = (1 / 64, 1 / 16, 1 / 4, 1.0, 2.0, 4.0, 8.0)


def times(unit: int) -> list[int]:
    """Return the steps after which the lost are counted."""
    return sorted({max(round(time * unit), 1) for time in TIMES})


def along(long: Mapping[str, Course], labels: Mapping[str, str], unit: int) -> Iterator[Row]:
    """Yield who is lost along time, when half of them were, and how two methods compare.

    Of two methods the first is the one that the other is compared with: at another time, and where
    the other has first come to the skill with which the first ends its long run.

    Args:
        long: the courses of two methods, by name.
        labels: how to call them.
        unit: the steps of the testbed.
    """
    stops, last = times(unit), times(unit)[-1]
    for name, one in long.items():
        for step in stops:
            label = f"{labels[name]}, long run, after {step:,} steps: lost"
            lost = one.after(step).lost[:, -1]
            yield share(f"{name}/steps={step}/lost", label, lost, num_intervals=2 * len(stops))
    for name, one in long.items():
        lost = one.lost[one.lost[:, -1]]
        if len(lost):
            label = f"{labels[name]}, lost after {last:,} steps: steps until first lost, median"
            first = one.stops[lost.argmax(1)].astype(float)
            yield median(f"{name}/half-lost/steps", label, first, num_intervals=2)
    (first, own), (second, other) = long.items()
    arrived = other.arrival(own, "skill")
    yield difference(
        f"{second}/early-less-{first}-late/lost",
        f"{labels[second]} after {unit:,} steps, less {labels[first]} after {last:,}: lost",
        own.lost[:, -1],
        other.after(unit).lost[:, -1],
    )
    yield difference(
        f"{second}/skill-of-long/lost-less-{first}",
        f"{labels[second]} at the skill of {labels[first]} after {last:,} steps, less the latter: "
        "lost",
        own.lost[:, -1],
        arrived.lost,
    )


def says(rows: Table, labels: Mapping[str, str], unit: int) -> Sentence:
    """Say what longer training does."""
    last, (own, other) = times(unit)[-1], labels.values()
    first, second = labels
    ends = {name: rows[f"{name}/steps={last}/lost"] for name in labels}
    halves = {name: f"{name}/half-lost/steps" for name in labels}
    shown = {name: rows[key] for name, key in halves.items() if key in rows}
    listed = " and ".join(
        f"{one if np.isfinite([one.low, one.high]).all() else 'not shown'} under {labels[name]} "
        f"(n = {one.seeds:,})"
        for name, one in shown.items()
    )
    early = rows[f"{second}/early-less-{first}-late/lost"]
    there = rows[f"{second}/skill-of-long/lost-less-{first}"]
    parts = "Time is not what parts them: " if early.sign > 0 else ""
    return say(
        f"After {last:,} steps {own} has lost {ends[first]}, and {other} {ends[second]}; the steps "
        f"until half of these were lost are {listed or 'not shown'}. {parts}"
        f"{other} after {unit:,} steps less {own} after {last:,} is {early} lost{unseen([early])}; "
        f"where {other} first comes to the skill of the latter, it is {there}{unseen([there])}.",
        *(*ends.values(), *shown.values(), early, there),
    )


def panel(rows: Table, labels: Mapping[str, str], inks: Mapping[str, str], unit: int) -> Panel:
    """Declare the panel of the lost along time."""
    curves = [
        Curve(rows.along(f"{name}/steps=*/lost", times(unit)), label=labels[name], color=inks[name])
        for name in labels
    ]
    return Panel(curves, xlabel="steps", ylabel="lost in long runs", xscale="log")
