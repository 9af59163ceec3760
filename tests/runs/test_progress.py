"""What the lines of a run show, and when."""

import io

import pytest
from rich.console import Console

from basin_jax.runs import progress
from basin_jax.runs.progress import CellProgress, Lines


@pytest.fixture
def clock(monkeypatch):
    """The time, in a list, which a test moves."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def cells_of(count):
    return [CellProgress(label=f"cell {i}", steps=10, asked=1024) for i in range(count)]


def test_the_first_seeds_are_shown_at_once_and_others_now_and_then(clock):
    written = io.StringIO()
    lines, cells = Lines(Console(file=written, width=200)), cells_of(2)
    for done in (0, 0, 64, 128, 192):
        cells[0].done = done
        lines.update(cells, cells[0])
        clock[0] += 2
    assert [line.split(" of")[0].split()[-1] for line in written.getvalue().splitlines()] == [
        "0",
        "64",
    ]


def test_another_run_has_a_pace_of_its_own(clock):
    written = io.StringIO()
    lines, (before,), (after,) = Lines(Console(file=written, width=200)), cells_of(1), cells_of(1)
    for cell, done in ((before, 0), (before, 1024), (after, 0), (after, 32), (after, 64)):
        cell.done = done
        lines.update([cell], cell)
        clock[0] += 20
    said = [line.rsplit("; ")[1].split(",")[0] for line in written.getvalue().splitlines()]
    assert said == [
        "starting",
        "512 seed-steps/s",
        "starting",
        "16 seed-steps/s",
        "16 seed-steps/s",
    ]


def test_many_cells_do_not_each_have_a_line_at_their_end(clock):
    written = io.StringIO()
    lines, cells = Lines(Console(file=written, width=200)), cells_of(1000)
    for cell in cells:
        cell.done, cell.finished = 1024, True
        lines.update(cells, cell)
        clock[0] += 0.125
    said = written.getvalue().splitlines()
    assert len(said) == 9  # in 125 seconds
    assert said[-1].endswith("961 of 1,000 cells finished")
