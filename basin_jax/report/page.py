"""Write the report of a sweep: table, figures, LaTeX, CSV, and a page of HTML."""

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl
from markupsafe import Markup
from matplotlib.figure import Figure
from rich.table import Table as RichTable

from basin_jax.core.verdict import Verdict
from basin_jax.files import make_folder, printable, write_pages
from basin_jax.rare import StoredSearch, load
from basin_jax.report import rare, tables
from basin_jax.report.cells import Cell, cells_of
from basin_jax.report.dose_response import caption as caption_of
from basin_jax.report.dose_response import dose_response, sentence
from basin_jax.report.explain import explain
from basin_jax.report.figures import LOOKS, caption, drawn, fractions, gaps
from basin_jax.report.panels import Selection
from basin_jax.report.picture import Picture, picture
from basin_jax.report.render import PAGE, fill
from basin_jax.report.spots import Spot, of_fractions, of_gaps
from basin_jax.report.tables import cell_name, seeds_meant, warnings
from basin_jax.results.quoted import CELLS
from basin_jax.results.records import Records
from basin_jax.results.request import Request
from basin_jax.rules.behavior import Behavior
from basin_jax.statistics.dose_response import Threshold


LISTED = 20  # values in a line, at most
POINTED = 2_500  # cells, beyond which a pointer finds none of them in the figure
DOSES = 3  # at least, for a threshold
HEADLINES = 6  # at most, of which each has a line
WHY = {
    "fixed": "The runs asked for the same seeds, or for parts of one whole, and all of these are "
    "stored. The number of seeds did not depend on the results, so the exact intervals of "
    "Clopper and Pearson hold.",
    "conditional": "The runs asked for the same chosen seeds, or for parts of them, and all of "
    "these are stored. Given the choice, the exact intervals of Clopper and Pearson hold.",
    "anytime": "The number of seeds was not fixed beforehand, or not all of the seeds asked for "
    "are stored, so it may depend on the results. Confidence sequences (beta-binomial mixture) "
    "hold at every number of seeds; intervals for a fixed number would not.",
}
MELDED = (
    "The intervals are the melded ones of Fay and Lumbard (2021), and p is that of McNemar's "
    "exact test, with which they agree."
)
PAIRED = {
    "fixed": MELDED,
    "conditional": MELDED,
    "anytime": "The intervals and p hold at every number of seeds (confidence sequences).",
}


def write_report(records: Records, folder: Path | None = None) -> Path:
    """Write a sweep's report, to its folder `report` if `folder` is None; return the HTML's path.

    See `report_files` for what it consists of.
    """
    folder = folder or records.store.folder / "report"
    make_folder(folder)  # before what takes time
    return write_pages(folder, report_files(records)) / PAGE


def report_files(records: Records) -> dict[str, bytes]:
    """Return the files of a sweep's report by their names.

    They are `report.html`, which needs no other file; `fractions.csv`, `.tex` (a booktabs
    table), `.png` and `.pdf`; `threshold.png` and `.pdf`, where half of the seeds are deceptive, if
    one field of three numbers or more varies and they cross it; `gap.png` and `.pdf`, histograms of
    the gap with the rule's thresholds, where the evidence has a gap; for a grid `differences.csv`,
    of each cell from the first; where seeds were probed during training `agreement.csv`, of the
    verdicts at earlier stops with the last; and of searches for rare basins `rare.csv`, `.tex`,
    `.png` and `.pdf`. The same results give the same bytes.
    """
    records.near_thresholds()  # first: to count them reads the evidence and the verdicts at once
    frame = records.fractions()
    frames = {"fractions": frame}
    if len(records.cells) > 1:
        frames["differences"] = records.compare()
    if records.earlier:
        frames["agreement"] = records.agreement()
    files = {f"{name}.csv": each.write_csv().encode() for name, each in frames.items()}
    files["fractions.tex"] = latex(records, frame).encode()
    figures = {"fractions": fractions(records)}
    crossing = _crossing(records)
    if crossing is not None:
        figures["threshold"] = dose_response(crossing)
    if {"watched", "unwatched"} <= {*records.evidence_names}:
        figures["gap"] = gaps(records)
    for name, figure in figures.items():
        files |= {f"{name}{suffix}": drawn(figure, suffix) for suffix in (".png", ".pdf")}
    if searches := searches_of(records):
        files |= rare.files(searches)
    content = _content(records, frames, figures) | {"files": sorted(files)}
    content["rare"] = rare.part_of_page(searches)
    if crossing is not None:
        content |= {"crossing": sentence(crossing), "crossing_caption": caption_of(crossing)}
    page = fill(Path(__file__).with_name("page.html"), **content)
    return files | {PAGE: page.encode()}


def searches_of(records: Records) -> list[StoredSearch]:
    """Return the searches for rare basins in the records' folders.

    There are none if another rule replaces the sweep's own: it was not searched for.
    """
    if records.rule is not None:
        return []
    return [search for store in records.stores for search in load(store.where)]


def _crossing(records: Records) -> Threshold | None:
    """Estimate where half of the seeds are deceptive, if one field of several numbers varies."""
    if len(records.varied) != 1 or len(records.cells) < DOSES:
        return None
    try:
        found = records.threshold(records.varied[0])
    except ValueError:  # its values are no numbers, or no seed is in all cells
        return None
    return found if math.isfinite(found.value) else None


def text_table(records: Records) -> RichTable:
    """Return the table for a terminal."""
    frame = records.fractions()
    level = f"{100 * frame['level'][0]:g} %"
    said = [f"Fraction of {seeds_meant(records)} [{level} interval]. {tables.method(records)}."]
    said += [f"Warning: {each}" for each in warnings(records)]
    said += filter(None, [tables.left_out(records)])
    return tables.fractions(records, tables.shown(records, frame)).rich("\n".join(said))


def latex(records: Records, frame: pl.DataFrame) -> str:
    """Return the table for a paper, with remarks as comments."""
    absent = ", ".join(v.name for v in tables.ORDER if v not in tables.occurring(frame)) or "none"
    said = [
        f"{100 * frame['level'][0]:g} % intervals, each by itself. {tables.method(records)}.",
        f"Verdicts that no seed has, which are left out: {absent}.",
        *(f"Warning: {each}" for each in warnings(records)),
    ]
    return "\n".join([*(f"% {each}" for each in said), tables.fractions(records, frame).latex()])


def _headlines(records: Records, frame: pl.DataFrame) -> list[tuple[str, str]]:
    """Say of each cell how many of its seeds ended deceptive; of many cells, of two extremes.

    The intervals of extremes are those of all rows at once, since they were picked.
    """
    cells = list(tables.by_cell(frame))
    if len(cells) <= HEADLINES:
        return [(cell_name(records, c), _headline(records, rows)) for c, rows in cells]
    # Cells without a seed are the least.
    cells.sort(key=lambda cell: tables.seeds(cell[1]) and cell[1][Verdict.DECEPTIVE]["fraction"])
    return [
        (
            f"{which} of {len(cells):,} cells, {cell_name(records, c)}",
            _headline(records, rows, "_all"),
        )
        for which, (c, rows) in (("Least", cells[0]), ("Most", cells[-1]))
    ]


def _headline(records: Records, rows: dict[Verdict, dict[str, Any]], suffix: str = "") -> str:
    """State the fraction of seeds that ended deceptive or partial."""
    if tables.seeds(rows) == 0:
        return "no seeds yet"
    said = f"{_counted(records, rows[Verdict.DECEPTIVE], suffix)} ended deceptive"
    if rows[Verdict.PARTIAL]["hits"]:
        said += f", and {_counted(records, rows[Verdict.PARTIAL], suffix)} in some contexts only"
    return said


def _counted(records: Records, row: dict[str, Any], suffix: str) -> str:
    hits, trials = row["hits"], row["trials"]
    point, low, high = tables.numbers(row, suffix)
    reach = f"{100 * row['level']:g}\N{NO-BREAK SPACE}% interval"
    if hits == 0:
        inside = f"{reach}: at most {high}"
    elif hits == trials:
        inside = f"{reach}: at least {low}"
    else:
        inside = f"{point}, {reach} {low} to {high}"
    if records.sample == "range":
        return f"{hits:,} of {trials:,} seeds ({inside})"
    criterion = " ".join(records.criterion.split())
    return f"{hits:,} of the {trials:,} chosen seeds ({criterion}; {inside})"


def _content(
    records: Records, frames: dict[str, pl.DataFrame], figures: dict[str, Figure]
) -> dict[str, Any]:
    whose, everything = seeds_meant(records), frames["fractions"]
    frames = {name: tables.shown(records, frame) for name, frame in frames.items()}
    frame, differences, stops = (frames.get(n) for n in ("fractions", "differences", "agreement"))
    assert frame is not None
    verdicts = tables.occurring(everything)
    pointed = len(records.cells) <= POINTED
    told = cells_of(records, everything if pointed else frame, verdicts)
    spots: dict[str, Iterable[Spot]] = (
        {"gap": of_gaps(figures["gap"], records)} if "gap" in figures else {}
    )
    if pointed:
        spots["fractions"] = of_fractions(figures["fractions"], Selection(records), told)
    pictures = {name: picture(one, [*spots.get(name, ())]) for name, one in figures.items()}
    cells = told[: tables.SHOWN]
    return {
        "name": printable(records.store.folder.resolve().name),
        "whose": whose,
        "headlines": _headlines(records, everything),
        "picked": len(records.cells) > HEADLINES,
        "caption": f"{caption(records, everything)} {_control(records)}",
        "pictures": pictures,
        "warnings": warnings(records),
        "judges_gap": isinstance(records.judged_by, Behavior),
        "verdicts": [_chip(verdict) for verdict in verdicts],
        "absent": _either([v.name for v in tables.ORDER if v not in verdicts]),
        "cells": cells,
        "data": _data(verdicts, cells, pictures),
        "level": f"{100 * frame['level'][0]:g} %",
        "rows": f"{len(everything):,}",
        "left_out": tables.left_out(records),
        "baseline": None if differences is None else cell_name(records, differences["baseline"][0]),
        "differences": None if differences is None else tables.differences(records, differences),
        "paired": PAIRED[records.interval],
        "stops": None if stops is None else tables.agreement(records, stops),
        "why": " ".join([WHY[records.interval], *(f"{one}." for one in tables.remarks(records))]),
        "meanings": [(_chip(verdict), text) for verdict, text in tables.MEANINGS.items()],
        "rule": explain(records),
        "replaced": records.rule is not None,
        "varied": _varied(records),
        "fixed": _fixed(records),
        "provenance": list(_provenance(records)),
        "commands": list(_commands(records)),
    }


def _control(records: Records) -> str:
    """Say what the cells are compared with."""
    if len(records.cells) == 1:
        return "No control: there is one cell."
    first = cell_name(records, next(iter(records.cells)))
    return f"No control of its own: cells are compared with the first, {first}, on the same seeds."


def _data(
    verdicts: Sequence[Verdict], cells: Sequence[Cell], pictures: Mapping[str, Picture]
) -> dict[str, Any]:
    """Return what the page's script needs."""
    told = [
        {
            "tail": cell.tail,
            "verdicts": [{"told": share.told, "seeds": share.seeds} for share in cell.shares],
        }
        for cell in cells
    ]
    names, spots = [v.name for v in verdicts], {name: one.spots for name, one in pictures.items()}
    return {"verdicts": names, "cells": told, "figures": spots}


def _either(names: Sequence[str]) -> str:
    """Join names, such as "A, B or C"."""
    return " or ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _chip(verdict: Verdict) -> Markup:
    return Markup('<i style="background:{}"></i>{}').format(LOOKS[verdict][0], verdict.name)


def _varied(records: Records) -> list[tuple[str, str]]:
    cells = records.cells.values()
    return [
        (path, _listed(list(dict.fromkeys(str(fields.get(path)) for fields in cells))))
        for path in records.varied
    ]


def _listed(values: list[str]) -> str:
    """List values, and how many there are if they are many."""
    if len(values) <= LISTED:
        return ", ".join(values)
    return f"{', '.join(values[:3])}, ... {values[-1]} ({len(values):,} values)"


def _fixed(records: Records) -> list[tuple[str, str]]:
    fields = next(iter(records.cells.values()))
    return [(path, str(value)) for path, value in fields.items() if path not in records.varied]


def _provenance(records: Records) -> Iterable[tuple[str, str]]:
    """Yield what decides the evidence's bits, a row for each, and the number of seeds."""
    for name, values in records.provenance().items():
        if name == CELLS:
            yield name, _listed(values)
        else:
            yield from ((name, value) for value in values)


def _commands(records: Records) -> Iterable[str]:
    """Yield the commands that reproduce these results, and that open them."""
    yield from dict.fromkeys(line for run in records.runs for line in _run_again(run))
    yield "basin-jax verify DIR"
    yield "python -c 'import basin_jax; print(basin_jax.load(\"DIR\").fractions())'"


def _run_again(run: dict[str, Any]) -> Iterable[str]:
    """Yield the command that repeats a run, or a comment if no option names its seeds."""
    source, request = run.get("origin"), Request.read(run)
    asked = request.range
    words = ["basin-jax", "run", PurePosixPath(source["file"]).name if source else "FILE"]
    for override in source["set"] if source else ():
        words += ["--set", override]
    if request.width is not None:
        words += ["--until-width", f"{request.width:g}"]
    elif asked is not None and asked == range(len(asked)):
        words += ["--seeds", str(len(asked))]
    else:
        yield f"# {' '.join(str(request).split())}"
    if request.pilot is not None:
        words += ["--pilot", request.pilot]
    yield shlex.join([*words, "--out", "DIR"])
