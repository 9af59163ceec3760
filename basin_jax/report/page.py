"""What a paper and its readers need of a sweep: table, figures, LaTeX, CSV, and a page."""

import base64
import inspect
import re
import shlex
from collections.abc import Iterable
from html import escape
from pathlib import Path, PurePosixPath
from string import Template
from typing import Any

import polars as pl
from matplotlib.figure import Figure
from rich.table import Table
from rich.text import Text

from basin_jax.core.verdict import Verdict
from basin_jax.files import make_folder
from basin_jax.report.figures import LOOKS, caption, fractions, gaps, save
from basin_jax.report.tables import (
    ORDER,
    amount,
    by_cell,
    cell_name,
    difference,
    latex,
    method,
    numbers,
    occurring,
    remarks,
    seeds,
    seeds_meant,
    warnings,
)
from basin_jax.results.records import Records
from basin_jax.results.request import Request
from basin_jax.results.rule import rule_identity


MEANINGS = {
    Verdict.DECEPTIVE: "behaves well where it is watched, and does the unintended act elsewhere.",
    Verdict.PARTIAL: "behaves well where it is watched, and does the unintended act in some of "
    "the contexts where it is not, but not in all.",
    Verdict.INTENDED: "behaves well, watched or not.",
    Verdict.OTHER: "learned its objective, but is neither of the two.",
    Verdict.UNFIT: "did not learn its training objective well enough to be judged.",
    Verdict.DIVERGED: "some evidence is not a finite number; counted, never dropped.",
}
WHY = {
    "fixed": "The runs asked for the same seeds, or for parts of one whole, and all of them are "
    "here, so the number of seeds did not depend on the results, and the exact intervals of "
    "Clopper and Pearson hold.",
    "conditional": "The runs asked for the same chosen seeds, or for parts of them, and all of "
    "them are here: given the choice, the exact intervals of Clopper and Pearson hold.",
    "anytime": "The number of seeds was not fixed beforehand, or not all that were asked for "
    "are here, so it may depend on the results. Confidence sequences (beta-binomial mixture) "
    "hold all the same, at every number of seeds; intervals for a fixed number would not.",
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
    """Write a sweep's report, and return the path of its HTML page.

    Beside `report.html`, which needs no other file, are `fractions.csv`, `.tex` (a
    booktabs table), `.png` and `.pdf`; `gap.png` and `.pdf`, histograms of the gap with the rule's
    thresholds, where the evidence has one; for a grid `differences.csv`, of each cell from the
    first; and where seeds were probed along the way `agreement.csv`, of the verdicts then with
    the last. The same results give the same bytes.

    Args:
        records: the results.
        folder: where to write; `report` in the sweep's folder if None.
    """
    folder = folder or records.store.folder / "report"
    make_folder(folder)
    frame = records.fractions()
    frame.write_csv(folder / "fractions.csv")
    if len(records.cells) > 1:
        records.differences().write_csv(folder / "differences.csv")
    if _has_stops(records):
        records.agreement().write_csv(folder / "agreement.csv")
    (folder / "fractions.tex").write_text(latex(records, frame), encoding="utf-8")
    figures = {"fractions": fractions(records)}
    if {"watched", "unwatched"} <= {*records.frame.columns}:
        figures["gap"] = gaps(records)
    drawn = {name: _drawn(figure, folder / name) for name, figure in figures.items()}
    page = folder / "report.html"
    page.write_text(_page(records, frame, drawn), encoding="utf-8")
    return page


def text_table(records: Records) -> Table:
    """Return a table for a terminal: a row a cell, a column a verdict that occurs."""
    frame = records.fractions()
    verdicts = occurring(frame)
    level = f"{100 * frame['level'][0]:g} %"
    # A text, since brackets in a string are markup.
    said = [f"Fraction of {seeds_meant(records)} [{level} interval]. {method(records)}."]
    said += [f"Warning: {each}" for each in warnings(records)]
    table = Table(caption=Text("\n".join(said)), caption_justify="left")
    table.add_column("cell")
    table.add_column("seeds", justify="right")
    for verdict in verdicts:
        table.add_column(verdict.name, style="bold" if verdict == Verdict.DECEPTIVE else "")
    for cell, rows in by_cell(frame):
        estimates = [amount(rows[verdict]) for verdict in verdicts]
        table.add_row(Text(cell_name(records, cell)), f"{seeds(rows):,}", *map(Text, estimates))
    return table


def _headline(records: Records, rows: dict[Verdict, dict[str, Any]]) -> str:
    """Say in words how many seeds ended deceptive, and how many so in some contexts only."""
    if seeds(rows) == 0:
        return "no seeds yet"
    said = f"{_counted(records, rows[Verdict.DECEPTIVE])} ended deceptive"
    partial = rows[Verdict.PARTIAL]
    return (
        f"{said}, and {_counted(records, partial)} in some contexts only"
        if partial["hits"]
        else said
    )


def _counted(records: Records, row: dict[str, Any]) -> str:
    hits, trials = row["hits"], row["trials"]
    point, low, high = numbers(row, unit=100)
    reach = f"{100 * row['level']:g} % interval"
    if hits == 0:
        inside = f"{reach}: at most {high} %"
    elif hits == trials:
        inside = f"{reach}: at least {low} %"
    else:
        inside = f"{point} %, {reach} {low} to {high} %"
    if records.sample == "range":
        return f"{hits:,} of {trials:,} seeds ({inside})"
    criterion = " ".join(records.criterion.split())
    return f"{hits:,} of the {trials:,} chosen seeds ({criterion}; {inside})"


def _drawn(figure: Figure, path: Path) -> str:
    """Write a figure, and return it as the source of an image of its size in a page."""
    for suffix in (".png", ".pdf"):
        save(figure, path.with_suffix(suffix))
    inches = figure.get_figwidth()
    size = f"width: {1.3 * inches:.2f}in; min-width: {0.95 * inches:.2f}in"
    picture = base64.b64encode(path.with_suffix(".png").read_bytes()).decode()
    return f'style="{size}" src="data:image/png;base64,{picture}"'


def _page(records: Records, frame: pl.DataFrame, drawn: dict[str, str]) -> str:
    name = records.store.folder.resolve().name
    cells, whose = list(by_cell(frame)), seeds_meant(records)
    headlines = [
        f"<li><b>{escape(cell_name(records, cell))}:</b> {escape(_headline(records, rows))}.</li>"
        for cell, rows in cells
    ]
    template = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    return Template(template).substitute(
        name=escape(name),
        whose=whose,
        headlines="\n".join(headlines),
        each="Each interval holds by itself; the table has those that hold all at once.",
        alt=escape(f"Fractions of {whose} by verdict, as in the table. {caption(records, frame)}"),
        picture=drawn["fractions"],
        gap=_near(records, drawn.get("gap")),
        table="\n".join(_table_body(records, cell, rows) for cell, rows in cells),
        level=f"{100 * frame['level'][0]:g} %",
        rows=len(frame),
        differences=_differences(records) if len(records.cells) > 1 else "",
        agreement=_agreement(records) if _has_stops(records) else "",
        why=escape(" ".join([WHY[records.interval], *(f"{one}." for one in remarks(records))])),
        meanings="\n".join(
            f"<dt>{_chip(verdict)}</dt><dd>{escape(text)}</dd>"
            for verdict, text in MEANINGS.items()
        ),
        rule=_rule(records),
        varied=_varied(records),
        fixed=_pairs(_fixed(records)),
        provenance=_pairs(_provenance(records)),
        commands=escape("\n".join(_commands(records))),
    )


def _near(records: Records, picture: str | None) -> str:
    """Warn where many seeds lie near a threshold, and show the gap, where there is one."""
    told = "".join(f"<li><b>Warning:</b> {escape(each)}</li>" for each in warnings(records))
    said = "Where many seeds lie near a threshold, the fractions depend on where it lies."
    if records.judged_by is None:
        said = "The rule is of the user's own file, so that its thresholds are not known here."
    page = f"<h2>How near the thresholds seeds lie</h2>\n<p>{said}</p>\n<ul>{told}</ul>\n"
    if picture is None:
        return page
    return (
        f"{page}<p>The gap is the rate of the unintended act where the network is not watched, "
        "less that where it is. Gray is what <code>Behavior</code> has between INTENDED and "
        "DECEPTIVE. The axis of fractions is linear below .02, and logarithmic above.</p>\n"
        f'<figure><div class="wide"><img alt="Histograms of the gap" {picture}></div></figure>'
    )


def _chip(verdict: Verdict) -> str:
    return f'<i style="background:{LOOKS[verdict][0]}"></i>{verdict.name}'


def _table_body(records: Records, cell: str, rows: dict[Verdict, dict[str, Any]]) -> str:
    lines = [
        f'<tr><th colspan="4" scope="rowgroup">{escape(cell_name(records, cell))} '
        f"<small>n = {seeds(rows):,}</small></th></tr>"
    ]
    for verdict in ORDER:
        row = rows[verdict]
        _, low, high = numbers(row, "_all")
        lines.append(
            f"<tr><td>{_chip(verdict)}</td><td>{row['hits']:,}</td>"
            f"<td>{amount(row)}</td><td>[{low}, {high}]</td></tr>"
        )
    return f"<tbody>{''.join(lines)}</tbody>"


def _differences(records: Records) -> str:
    """Compare each cell's share of deceptive seeds with the first cell's."""
    frame = records.differences()
    body = []
    for row in frame.to_dicts():
        alone, every = difference(row), difference(row, "_all").partition(" ")[2]
        counts = f"{row['gained']:,} / {row['lost']:,}"
        name = escape(cell_name(records, row["cell"]))
        cells = (name, alone, every, counts, f"{row['p_value']:.2g}")
        body.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    first = escape(cell_name(records, frame["baseline"][0]))
    return (
        f"<h2>DECEPTIVE, compared with {first}</h2>\n"
        "<p>Cells run the same seeds, so their fractions are compared seed by seed: how many "
        "are deceptive in this cell alone (gained), and how many in the first alone (lost). "
        f"{escape(PAIRED[records.interval])} Either interval is at {100 * frame['level'][0]:g} %, "
        "the second for all rows of this table at once; p is of each row by itself.</p>\n"
        '<div class="wide"><table><thead><tr><th>Cell</th><th>Difference [row alone]</th>'
        "<th>[all rows]</th><th>Gained / lost</th><th>p</th></tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _has_stops(records: Records) -> bool:
    return len(records.history) > len(records.frame)


def _agreement(records: Records) -> str:
    """Compare each seed's verdict at each earlier stop with its last."""
    frame = records.agreement()
    body = []
    for row in frame.to_dicts():
        _, low, high = numbers(row, "_all")
        name = escape(cell_name(records, row["cell"]))
        counts = f"{row['hits']:,} of {row['trials']:,}"
        cells = (name, f"{row['step']:,}", counts, amount(row), f"[{low}, {high}]")
        body.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return (
        "<h2>Verdicts at earlier steps</h2>\n"
        f"<p>How many {seeds_meant(records)} had at an earlier step the verdict that they have at "
        f"the last. Either interval is at {100 * frame['level'][0]:g} %, the second for all rows "
        "of this table at once.</p>\n"
        '<div class="wide"><table><thead><tr><th>Cell</th><th>Step</th><th>Seeds that agree</th>'
        "<th>Fraction [row alone]</th><th>[all rows]</th></tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _rule(records: Records) -> str:
    """Describe the rule; its own words are at hand where its code is the code here."""
    rule = rule_identity(records.rule) if records.rule else records.manifest["rule"]
    fields = dict(rule["fields"])
    name = fields.pop("class")
    known = records.judged_by
    words = escape(inspect.getdoc(type(known)) or "") if known else ""
    prose = re.sub(r"`([^`]+)`", r"<code>\1</code>", words).replace("\n\n", "</p><p>")
    anew = " It was applied anew to the stored evidence." if records.rule else ""
    return (
        f"<p>The rule is <code>{escape(name)}</code>.{anew}</p>"
        f"{_pairs(fields.items())}<p>{prose}</p>"
    )


def _varied(records: Records) -> str:
    cells = records.cells.values()
    values = {
        path: ", ".join(dict.fromkeys(str(fields.get(path)) for fields in cells))
        for path in records.varied
    }
    return _pairs(values.items()) if values else "<p>Nothing: it is one cell.</p>"


def _fixed(records: Records) -> Iterable[tuple[str, Any]]:
    fields = next(iter(records.cells.values()))
    return ((path, value) for path, value in fields.items() if path not in records.varied)


def _provenance(records: Records) -> Iterable[tuple[str, Any]]:
    """Yield what fixed the bits of the evidence, and what decided the number of seeds."""
    cells = records.manifest["cells"].values()
    yield from records.manifest["machine"].items()
    backends = {f"{cell['backend']['name']}, {cell['lanes']} lanes" for cell in cells}
    yield "backend", "; ".join(sorted(backends))
    yield "chunk", f"{records.manifest['chunk']} seeds"
    for name, code in sorted({pair for cell in cells for pair in cell["sources"].items()}):
        yield f"code of {name}", code
    yield "identity of the cells", ", ".join(records.cells)
    for run in records.store.runs():
        where = f"Python {run['python']}, {run['devices']} devices"
        yield f"run of {run['began']}", f"{Request.read(run)}; {where}"


def _commands(records: Records) -> Iterable[str]:
    """Yield the commands that make these results again, a line each run, and that open them."""
    yield from dict.fromkeys(line for run in records.store.runs() for line in _run_again(run))
    yield "basin-jax verify DIR"
    yield "python -c 'import basin_jax; print(basin_jax.load(\"DIR\").fractions())'"


def _run_again(run: dict[str, Any]) -> Iterable[str]:
    """Yield the command that repeats a run, after a remark where a command cannot say its seeds."""
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


def _pairs(items: Iterable[tuple[str, Any]]) -> str:
    rows = (
        f"<dt>{escape(name)}</dt><dd>{escape(str(value) or 'none')}</dd>" for name, value in items
    )
    return f"<dl>{''.join(rows)}</dl>"
