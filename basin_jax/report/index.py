"""A table of the sweeps in a folder of runs."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from basin_jax.core.verdict import Verdict
from basin_jax.rare import StoredSearch, load
from basin_jax.rare.reading import count_searches
from basin_jax.rare.store import FOLDER as RARE
from basin_jax.report.render import Group, Line, Table
from basin_jax.report.tables import amount
from basin_jax.results.layout import UNSEALED
from basin_jax.results.records import Records
from basin_jax.results.store import MANIFEST, Store
from basin_jax.runs.workers import workers_of


REASON = 60  # letters of why a folder cannot be read
REPORTED = Path("report/fractions.csv")


class _Sweep(NamedTuple):
    """The cells of a row of the index, as text."""

    when: str = "-"
    cells: str = "-"
    seeds: str = "-"
    deceptive: str = "-"
    state: str = "broken"
    note: str = ""


def index(folder: Path, *, match: str | None = None) -> Table:
    """Return a table of the sweeps in a folder and in its subfolders, by name.

    Searches for rare basins are counted beside the state of a sweep; where there is no sweep, they
    are a row of their own.

    Of a complete sweep `sweep.json`, the records of runs and the table of its report are read, and
    its chunks only if the report has other numbers of seeds: `basin-jax verify` finds damage. A
    folder that cannot be read is a row that says why.

    Args:
        folder: the folder.
        match: a text that the name or the note has, in letters of any case; all sweeps if None.

    Returns:
        The table. If some run has a note, its last column is the newest note of each sweep.

    Raises:
        ValueError: if there is no such folder, or no such sweep in it.
    """
    if not folder.is_dir():
        raise ValueError(f"DIR = {str(folder)!r}; allowed: a folder on this machine")
    found = dict[str, _Sweep]()
    for path in sorted(_sweeps(folder)):
        try:
            store = Store(path)
            sweep = _sweep(store) if store.exists() else _searches(load(path))
        except (OSError, ValueError) as error:
            why = " ".join(str(error).replace(f"{path}/", "").split())
            sweep = _Sweep(state=f"broken: {why if len(why) <= REASON else f'{why[:REASON]}…'}")
        found[str(path.relative_to(folder))] = sweep
    if not found:
        raise ValueError(f"DIR = {str(folder)!r} has no sweep; allowed: a folder with results")
    head = ["name", "last run", "cells", "seeds", "deceptive", "state", "note"]
    if not any(sweep.note for sweep in found.values()):
        head.remove("note")
    lines = [
        Line([name, *sweep][: len(head)], failed=sweep.state.startswith("broken"))
        for name, sweep in found.items()
        if match is None or match.casefold() in f"{name}\n{sweep.note}".casefold()
    ]
    if not lines:
        raise ValueError(
            f"match = {match!r} is in no name and no note of {folder}; allowed: a text of one"
        )
    return Table(head=head, groups=[Group(lines)], right=["cells", "seeds"])


def _sweeps(folder: Path) -> Iterator[Path]:
    """Yield the folders that hold a sweep or searches, at any depth; none is within another."""
    for path, folders, files in os.walk(folder):
        if MANIFEST in files or (RARE in folders and count_searches(_keys(Path(path)))):
            yield Path(path)
            folders.clear()


def _keys(folder: Path) -> list[str]:
    return [f"{RARE}/{path.name}" for path in (folder / RARE).iterdir()]


def _searches(searches: Sequence[StoredSearch]) -> _Sweep:
    """Return the row of a folder without a sweep: what its searches estimate."""
    ended = [one.estimate for one in searches if one.estimate is not None]
    cells = len({one.label for one in searches})
    state = _counted(len(searches))
    if doubted := sum(not one.trusted for one in ended):
        state += f", {doubted} not to be trusted"
    if len(ended) < len(searches):
        state += f", {len(searches) - len(ended)} incomplete"
    return _Sweep(cells=f"{cells:,}", seeds="-", state=state)


def _counted(searches: int) -> str:
    return f"{searches} rare search{'es' * (searches > 1)}"


def _sweep(store: Store) -> _Sweep:
    manifest, runs = store.manifest(), store.runs()
    live = sum(worker.is_live for worker in workers_of(store))
    stopped = any(notice.startswith("incomplete") for notice in store.notices())
    state = "complete" if runs else "no run"
    if live:
        state = f"{live} worker{'s' * (live > 1)} live"
    elif stopped:
        state = "incomplete"
    if searches := count_searches(store.place.list(RARE)):
        state += f", {_counted(searches)}"
    when = max((run["began"] for run in runs), default="-")[:16].replace("T", " ")
    note = next((run["note"] for run in reversed(runs) if "note" in run), "")
    size, note = f"{len(manifest['cells']):,}", " ".join(note.split())
    known = _Sweep(when, size, "0", "no seeds yet", state, note)
    if not store.chunks():
        return known
    is_sealed = manifest["format"] != UNSEALED
    rows = _reported(store) if state.startswith("complete") and is_sealed else None
    if rows is None:
        rows = Records(store.folder).fractions()
    rows = rows.filter(verdict=Verdict.DECEPTIVE.name)
    least, most = rows["trials"].min(), rows["trials"].max()
    seeds = " to ".join(dict.fromkeys(f"{count:,}" for count in (least, most)))
    return known._replace(seeds=seeds, deceptive=_range(rows))


def _reported(store: Store) -> pl.DataFrame | None:
    """Return the fractions of a report, if it has as many seeds as the last run left."""
    path = store.folder / REPORTED
    if not path.is_file():
        return None
    try:
        rows = pl.read_csv(path, infer_schema_length=None)
        counts = dict(rows.select("cell", "trials").unique().iter_rows())
    except (pl.exceptions.PolarsError, ValueError):
        return None
    runs = store.manifest()["runs"]
    left = runs[max(runs)]["seeds"]
    return rows if counts == left else None


def _range(rows: pl.DataFrame) -> str:
    """Format the fraction of a cell with its interval, or the least and the largest of several."""
    if len(rows) == 1:
        return amount(rows.to_dicts()[0])
    known = rows.filter(pl.col("trials") > 0)["fraction"]
    ends = dict.fromkeys(f"{end:.3g}" for end in (known.min(), known.max()) if end is not None)
    return " to ".join(ends) or "no seeds yet"
