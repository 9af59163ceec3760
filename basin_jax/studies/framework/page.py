"""Write the results of studies: figures, tables, a page of Markdown and one of HTML."""

import base64
import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from basin_jax.files import write_pages
from basin_jax.report.figures import drawn
from basin_jax.report.render import Group, Line, Table, fill
from basin_jax.studies.framework.power import POWER, seen_from
from basin_jax.studies.framework.rows import (
    Answer,
    Finding,
    Kind,
    Row,
    Sentence,
    number_text,
)


HERE = Path(__file__).parent
NAMES: dict[Kind, str] = {
    "measured": "Measured",
    "control": "Null control",
    "known": "Known beforehand",
    "check": "Check: holds by construction",
    "sensitivity": "Sensitivity",
}
NOTE = (
    "Intervals are at 95 %, those of controls, checks and known answers at 99.9 %. Fractions of "
    "seeds have Clopper-Pearson intervals; medians those of order statistics; means, and "
    "fractions of families, betting confidence intervals; differences on the same seeds, and "
    "kappa, melded intervals; and areas under ROC curves (AUC) Clopper-Pearson intervals at the "
    "effective number of seeds of DeLong's variance. Intervals that a study compares hold at "
    "once, as many as the column of that name says (Bonferroni); the others hold each by itself. "
    "Those of a crossing (the first value at which a fraction is above one half) and of shares of "
    "variance follow from the intervals of the fractions. Each study has its own root, so no two "
    "studies share seeds. The rows of one study share their seeds, so they are not independent. "
    "Differences are between the same seeds. Of one that is not shown it is said from where on it "
    "would have been seen: the least difference of which the interval leaves out 0 with "
    f"probability {POWER:g}, where as many seeds differ as the upper limit of their fraction says; "
    "what is told as about so much follows from the width of an interval. Of a fraction without "
    "hits the upper end of its interval is that already: with such a fraction there would have "
    "been a hit with a probability of at least 0.975. Where a value is expected, a row holds if "
    "its interval contains it. Sentences name the rows that they rest on."
)
# The figure of all answers, without its ending, and what it shows.
OVERVIEW = "answers"
SHOWN = (
    "The questions of the studies, each answered for small networks. Dots: fractions of seeds; "
    "bars: 95 % intervals, those within a study simultaneous where its table says so; n: seeds "
    "(of the prior's mass: replications)."
)


def figure_files(figure: Figure, name: str) -> dict[str, bytes]:
    """Return a figure as PNG and PDF, by the names of their files."""
    return {f"{name}{suffix}": drawn(figure, suffix) for suffix in (".png", ".pdf")}


def write_finding(finding: Finding, folder: Path) -> None:
    """Write a study's figure (PNG, PDF) and its table (CSV) into a folder."""
    files = figure_files(finding.figure, finding.name)
    write_pages(folder, files | {f"{finding.name}.csv": finding.frame.write_csv().encode()})


def markdown(
    findings: Sequence[Finding],
    *,
    made: str,
    answers: Sequence[Answer] = (),
    figures: str = ".",
) -> str:
    """Return the page in Markdown, which links to the figures in a folder."""
    content = _content(findings, answers)
    return fill(HERE / "page.md", **content, made=made, figures=figures)


def html(
    findings: Sequence[Finding], folder: Path, *, made: str, answers: Sequence[Answer] = ()
) -> str:
    """Return the page in HTML, which holds the figures that are in a folder."""
    names = [finding.name for finding in findings] + ([OVERVIEW] if answers else [])
    pngs = {name: (folder / f"{name}.png").read_bytes() for name in names}
    pictures = {name: base64.b64encode(png).decode() for name, png in pngs.items()}
    content = _content(findings, answers)
    for study in content["studies"]:
        study["table"] = _without_empty(study["table"])
    return fill(HERE / "page.html", **content, made=made, pictures=pictures)


def _content(findings: Sequence[Finding], answers: Sequence[Answer]) -> dict[str, Any]:
    return {
        "note": NOTE,
        "overview": OVERVIEW,
        "shown": SHOWN,
        "answers": [
            (
                answer.question,
                [f"{said.text}{_places(said, findings)}" for said in answer.sentences],
            )
            for answer in answers
        ],
        "studies": [
            {
                "name": finding.name,
                "title": finding.name.replace("_", " ").capitalize(),
                "question": finding.question,
                "setting": _setting(finding),
                "sentences": [f"{said.text}{_place(said, finding)}" for said in finding.sentences],
                "table": _table(finding),
                "caption": _caption(finding),
                "limits": finding.limits,
            }
            for finding in findings
        ],
    }


def _setting(finding: Finding) -> str:
    """Say what a study trains, from which root and for how long, and what it was made with."""
    trained = f"Trained: {finding.seed_steps:.2g} seed-steps." if finding.seed_steps else ""
    parts = finding.setting, f"Root: {finding.root}.", trained, finding.made
    return " ".join(part for part in parts if part)


def _table(finding: Finding) -> Table:
    """Return a table of the rows, numbered and grouped by kind."""
    groups = []
    for kind, name in NAMES.items():
        rows = [(n, row) for n, row in enumerate(finding.table, start=1) if row.kind == kind]
        if rows:
            lines = [Line(_cells(*numbered), numbered[1].holds is False) for numbered in rows]
            groups.append(Group(lines, name))
    head = ("row", "what", "value [interval]", "at once", "seeds", "expected", "holds")
    return Table(head=head, groups=groups, right={"row", "at once", "seeds"})


def _without_empty(table: Table) -> Table:
    """Return a table without the columns in which no row has anything."""
    lines = [line.cells for group in table.groups for line in group.lines]
    kept = [i for i in range(len(table.head)) if any(cells[i] for cells in lines)]
    groups = [
        group._replace(
            lines=[line._replace(cells=[line.cells[i] for i in kept]) for line in group.lines]
        )
        for group in table.groups
    ]
    return replace(table, head=[table.head[i] for i in kept], groups=groups)


def _caption(finding: Finding) -> str:
    """Say how many seeds a figure has, which intervals, and what became of the controls."""
    counts = [row.seeds for row in finding.table if row.seeds] or [0]
    seeds = "" if min(counts) == max(counts) else f"{min(counts):,} to "
    controls = [n for n, row in enumerate(finding.table, start=1) if row.expected is not None]
    failed = [n for n in controls if not finding.table[n - 1].holds]
    ends = f"failed: {_listed(failed)}" if failed else "all hold"
    said = f"rows {_listed(controls)} ({ends})" if controls else "none"
    seeds += f"{max(counts):,} seeds a row"
    return f"n = {seeds}. 95 % intervals. Controls and known answers, at 99.9 %: {said}."


def _place(said: Sentence, finding: Finding) -> str:
    """Cite the rows of its study's table that a sentence rests on, in brackets."""
    numbers = _numbers(finding, said.rests_on)
    return f" [row{'s' if len(said.rests_on) > 1 else ''} {numbers}]" if numbers else ""


def _places(said: Sentence, findings: Sequence[Finding]) -> str:
    """Cite the rows that a sentence rests on, each as "study: row", in brackets."""
    names: dict[str, list[str]] = {}
    for name in said.rests_on:
        study, _, what = name.partition(": ")
        names.setdefault(study, []).append(what)
    found = {finding.name: finding for finding in findings}
    told = "; ".join(f"{study} {_numbers(found[study], these)}" for study, these in names.items())
    return f" [{told}]" if told else ""


def _numbers(finding: Finding, names: Collection[str]) -> str:
    """Format the numbers of rows."""
    places = {row.key: number for number, row in enumerate(finding.table, start=1)}
    return _listed(sorted({places[name] for name in names}))


def _listed(numbers: Sequence[int]) -> str:
    """Format rising numbers, such as "1-3, 7"."""
    # What follows another is as far from its place as that.
    runs = groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])
    ends = [(each[0][1], each[-1][1]) for each in (list(run) for _, run in runs)]
    return ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in ends)


def _unseen(row: Row) -> str:
    least = seen_from(row)
    if row.sign or math.isinf(least):
        return ""
    return f"; seen from {number_text(least)} on"


def _cells(number: int, row: Row) -> tuple[str, ...]:
    expected = "" if row.expected is None else f"{row.expected:.4g}"
    asked = "" if row.expected is None else "not known"
    holds = {None: asked, True: "yes", False: "NO"}[row.holds]
    label = f"{row.label} ({row.counts}{_unseen(row)})" if row.counts else row.label
    at_once = f"{row.num_intervals}" if row.num_intervals > 1 else ""
    return f"{number}", label, str(row), at_once, f"{row.seeds:,}", expected, holds
