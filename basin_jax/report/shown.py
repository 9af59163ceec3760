"""Show records: as a table to quote, at a prompt, and in a notebook."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from basin_jax.core.labels import short_names, texts_of
from basin_jax.core.plugin import closest
from basin_jax.core.sweep import siblings_of
from basin_jax.core.verdict import Verdict
from basin_jax.files import printable, reason
from basin_jax.report import tables
from basin_jax.report.render import HERE, Group, Line, Table, fill
from basin_jax.results.records import Records
from basin_jax.statistics.rows import fraction_row


AT_A_PROMPT, IN_A_NOTEBOOK = 6, 20  # cells
LEVEL = 0.95


def quoted(
    records: Records,
    *,
    columns: Sequence[str | Verdict] | None,
    by: str | Sequence[str] | None,
    level: float,
) -> Table:
    """Return a table of fractions with some columns; see `Records.table`."""
    if columns is not None and not len(columns):
        raise ValueError("columns is empty; allowed: at least one, or None")
    frame = records.fractions(by, level=level)
    fields = short_names(frame.columns[2 : frame.columns.index("verdict")])
    given = frame.unique("cell", maintain_order=True)
    texts = {"cell": [tables.cell_name(records, cell) for cell in given["cell"]]}
    for path, name in fields.items():
        texts[name] = [" ".join(text.split()) for text in texts_of(given[path].to_list())]
    rows = [own for _, own in tables.by_cell(frame)]
    texts["seeds"] = [f"{tables.seeds(own):,}" for own in rows]
    texts |= {v.name: [tables.amount(own[v]) for own in rows] for v in Verdict}

    occurring = [verdict.name for verdict in tables.occurring(frame)]
    if columns is None:
        head = [*(["cell"] if by is None else fields.values()), "seeds", *occurring]
    else:
        head = [_column(one, texts, fields) for one in columns]
    lines = [Line(cells) for cells in zip(*(texts[name] for name in head), strict=True)]
    numbers = {name for path, name in fields.items() if given[path].dtype.is_numeric()}
    first = None if by is None or len(fields) < 2 else texts[next(iter(fields.values()))]
    note = _note(records, head, occurring, level)
    return Table(head=head, groups=_groups(lines, first), right={"seeds", *numbers}, note=note)


def _column(name: str | Verdict, texts: dict[str, Any], fields: dict[str, str]) -> str:
    meant = name.name if isinstance(name, Verdict) else fields.get(name, name)
    if meant not in texts:
        raise ValueError(f"columns = {name!r}; allowed: {closest(meant, texts)}")
    return meant


def _groups(lines: list[Line], first: list[str] | None) -> list[Group]:
    """Group rows by the first of several fields, in the order in which its values occur."""
    if first is None:
        return [Group(lines)]
    found: dict[str, list[Line]] = {}
    for value, line in zip(first, lines, strict=True):
        found.setdefault(value, []).append(line)
    return [Group(own) for own in found.values()]


def _note(records: Records, head: Sequence[str], occurring: Sequence[str], level: float) -> str:
    """Say what the intervals are, and which verdicts are left out."""
    said = [f"{100 * level:g} % intervals, each by itself. {tables.method(records)}."]
    names = [verdict.name for verdict in tables.ORDER if verdict.name not in head]
    if hidden := [name for name in names if name in occurring]:
        said.append(f"Not shown: {', '.join(hidden)}.")
    *most, last = [name for name in names if name not in occurring] or [""]
    if last:
        said.append(f"No seed is {', '.join(most)}{' or ' if most else ''}{last}.")
    return " ".join(said)


def prompt(records: Records) -> str:
    """Describe records in a few lines."""
    title, table = _described(records, AT_A_PROMPT)
    return f"{title}\n{table}" if table.head else f"{title}: {table.note}"


def html(records: Records) -> str:
    """Describe records as a small table in a notebook."""
    title, table = _described(records, IN_A_NOTEBOOK)
    return fill(HERE / "notebook.html", title=title, table=table)


def _described(records: Records, most: int) -> tuple[str, Table]:
    """Return a title and a table of the first cells, or why there is none."""
    cells = f"{len(records.cells):,} cell{'s' if len(records.cells) > 1 else ''}"
    folders = f" and {len(records.stores) - 1} more" if len(records.stores) > 1 else ""
    where = f"{cells} of {printable(records.store.where)}{folders}"
    try:
        table = _first(records, [*records.cells][:most])
        return f"Records: {len(records):,} trials in {where}", table
    except (OSError, ValueError) as error:  # a folder that cannot be read is described, too
        return f"Records: {where}", Table(head=(), groups=(), note=reason(error))


def _first(records: Records, cells: Sequence[str]) -> Table:
    # Not by `Records.fractions`, which takes some 10 ms for each row of children in every cell.
    rows = [_row(records, cell, verdict) for cell in cells for verdict in Verdict]
    said = f"{100 * LEVEL:g} % intervals. {tables.method(records)}."
    left = len(records.cells) - len(cells)
    if left:
        said = f"{left:,} more cells: `table()` has them all. {said}"
    return replace(tables.fractions(records, pl.DataFrame(rows)), note=said)


def _row(records: Records, cell: str, verdict: Verdict) -> dict[str, Any]:
    ends = ((judged[:, -1] == verdict, seeds) for seeds, judged in records.counted(cell))
    row = fraction_row(
        ends,
        siblings=siblings_of(records.cells[cell]),
        level=LEVEL,
        num_intervals=1,
        basis=records.interval,
    )
    return {"cell": cell, "verdict": verdict.name, **row}
