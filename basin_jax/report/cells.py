"""The table of cells of a report's page, and what it tells of the cell that a reader asks for."""

import shlex
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from basin_jax.core.verdict import Verdict
from basin_jax.report import tables
from basin_jax.results.records import Records


EXAMPLES = 3  # seeds of each verdict of a cell, for whom the page has a command


class Share(NamedTuple):
    """The seeds of a cell that have a verdict.

    Attributes:
        hits: how many they are.
        amount: their fraction, and the interval of the row alone.
        together: the interval of all rows at once.
        told: all of that as a sentence.
        seeds: the first of them, as text, since JavaScript has not enough bits for a seed.
    """

    hits: str
    amount: str
    together: str
    told: str
    seeds: list[str]


class Cell(NamedTuple):
    """A row of the table: its label, its seeds, and a share for each verdict that is shown."""

    name: str
    trials: str
    shares: list[Share]
    tail: str  # of the command that replays a seed


def cells_of(records: Records, frame: pl.DataFrame, verdicts: Sequence[Verdict]) -> list[Cell]:
    """Return a row for each cell of a frame of fractions."""
    # The folder by itself: a command knows no labels that were given to `load`.
    found, own = list[Cell](), Records(records.store.where)
    for cell, rows in tables.by_cell(frame):
        seeds = _examples(records, cell, verdicts)
        shares = [_share(rows[verdict], seeds[verdict]) for verdict in verdicts]
        name, trials = tables.cell_name(records, cell), f"{tables.seeds(rows):,}"
        found.append(Cell(name, trials, shares, _tail(own, cell)))
    return found


def _share(row: dict[str, Any], seeds: list[str]) -> Share:
    hits, amount = f"{row['hits']:,}", tables.amount(row)
    if not row["trials"]:
        return Share(hits, amount, "", "", [])
    point, low, high = tables.numbers(row)
    _, low_all, high_all = tables.numbers(row, "_all")
    told = (
        f"{row['verdict']}: {hits} of {row['trials']:,}, fraction {point};\n"
        f"{100 * row['level']:g} % interval, this row alone: {low} to {high};\n"
        f"all rows at once: {low_all} to {high_all}"
    )
    return Share(hits, amount, f"[{low_all}, {high_all}]", told, seeds)


def _examples(records: Records, cell: str, verdicts: Sequence[Verdict]) -> dict[Verdict, list[str]]:
    """Find the first counted seeds of each verdict."""
    found: dict[Verdict, list[str]] = {verdict: [] for verdict in verdicts}
    for seeds, judged in records.counted(cell):
        for verdict, some in found.items():
            at = np.flatnonzero(judged[:, -1] == verdict)[: EXAMPLES - len(some)]
            some += map(str, seeds[at].tolist())
    return found


def _tail(own: Records, cell: str) -> str:
    """Return the option that names a cell: by its label if that is one line, else by its digest."""
    if len(own.cells) == 1:
        return ""
    label = own.label(cell) if cell in own.cells else cell
    return f" --cell {shlex.quote(label if label.isprintable() else cell)}"
