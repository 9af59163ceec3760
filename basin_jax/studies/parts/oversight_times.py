"""Oversight in time: what it prevents by when it comes, for a quarter of the training."""

from collections.abc import Iterator

from basin_jax.core.contracts import Method
from basin_jax.starts.trained import Trained
from basin_jax.studies.framework.figure import Forest, Panel
from basin_jax.studies.framework.lab import Group, Lab, only
from basin_jax.studies.framework.power import unseen
from basin_jax.studies.framework.rows import Row, Sentence, Table, difference, key_of, row, say
from basin_jax.studies.framework.testbed import Testbed


# When fresh networks have full oversight, which is for a quarter of the steps.
TIMES = ("never", "first quarter", "second quarter", "last quarter", "in turns")


def spells(testbed: Testbed, seeds: int) -> dict[str, Group]:
    """Return fresh networks with full oversight for a quarter, then trained on without."""
    base = testbed.sweep
    return {
        f"spell_{key_of(time)}": only(
            base.replace(start=Trained(of=base.replace(method=method))), seeds, rule=testbed.rule
        )
        for time, method in _timed(testbed).items()
    }


def _timed(testbed: Testbed) -> dict[str, Method]:
    steps = testbed.num_steps
    spell, turn = max(steps // 4, 1), max(steps // 40, 1)
    methods = (
        testbed.method,
        testbed.overseen_by(end=spell),
        testbed.overseen_by(begin=spell, end=2 * spell),
        testbed.overseen_by(begin=steps - spell, end=steps),
        testbed.overseen_by(end=turn, period=4 * turn),
    )
    return dict(zip(TIMES, methods, strict=True))


def by_time(lab: Lab) -> Iterator[Row]:
    """Yield the fraction deceptive by the time of oversight, and its difference from never."""
    trained = {time: lab[f"spell_{key_of(time)}"] for time in TIMES}
    for time, one in trained.items():
        label = f"full oversight for a quarter, {time}: deceptive"
        yield row(f"overseen={time}/deceptive", label, one.fraction())
    never, *others = trained
    for time in others:
        yield difference(
            f"overseen={time}-less-never",
            f"full oversight for a quarter, {time} less never: deceptive",
            trained[never].deceptive(),
            trained[time].deceptive(),
            num_intervals=len(others),
        )


def says_of_times(rows: Table) -> Sentence:
    """Say what oversight prevents, by when it comes."""
    timed = {time: rows[f"overseen={time}/deceptive"] for time in TIMES}
    moved = {time: rows[f"overseen={time}-less-never"] for time in TIMES[1:]}
    fewer = ", ".join(time for time, one in moved.items() if one.sign < 0)
    more = ", ".join(time for time, one in moved.items() if one.sign > 0)
    listed = "; ".join(f"{time} {one}" for time, one in timed.items())
    return say(
        "The fraction deceptive after full oversight for a quarter of the steps, and then "
        f"none, by when it comes: {listed}. On the same seeds it is smaller than with never "
        f"for: {fewer or 'none'}; larger for: {more or 'none'}"
        f"{unseen(moved.values())}.",
        *(*timed.values(), *moved.values()),
    )


def times_panel(rows: Table) -> Panel:
    """Declare the panel of the fractions by the time of oversight."""
    timed = Forest({time: rows[f"overseen={time}/deceptive"] for time in TIMES})
    return Panel([timed], xlabel="deceptive, by when", limits=(0.0, None))
