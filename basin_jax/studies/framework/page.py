"""Write what studies found: figures, tables, a page of Markdown and one of HTML."""

import base64
from collections.abc import Collection, Iterator, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from string import Template

from basin_jax.report.figures import save
from basin_jax.studies.framework.rows import Answer, Finding, Kind, Row, Sentence


NAMES: dict[Kind, str] = {
    "measured": "Measured",
    "control": "Null control",
    "known": "Known beforehand",
    "check": "Check: holds by construction",
    "sensitivity": "Sensitivity",
}
NOTE = (
    "Intervals are at 95 %, those of rows with an expected value at 99.9 %. Fractions of seeds "
    "have Clopper-Pearson intervals, medians those of order statistics, means and children of one "
    "parent intervals by betting, differences on the same seeds and kappa melded ones, and areas "
    "under ROC curves (AUC) Clopper-Pearson intervals at the effective number of seeds that "
    "DeLong's variance gives. Intervals of what a study compares (scales and networks, methods "
    "and their pairs, pushes, quarters of the gap, forks, tickets and predictors, widths and "
    "temperatures, rules and their pairs, stops, sizes, drifts and what is put back, prompts) "
    "hold for all of their kind at once, the others each by itself; those of a crossing (the "
    "first value at which a fraction is above one half) and of shares of variance follow from "
    "such. Each study has a root of its own, so that no two studies share seeds; the rows of one "
    "study share theirs, and what is lucky in one of its rows may be in others. What is compared "
    "on the same seeds is compared seed by seed. A control, a check or a known value passes if "
    "its interval contains the expected value. Sentences name the rows that they rest on."
)


def write_finding(finding: Finding, folder: Path) -> None:
    """Write a study's figure (PNG, PDF) and its table (CSV) into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in ("png", "pdf"):
        save(finding.figure, folder / f"{finding.name}.{suffix}")
    finding.frame.write_csv(folder / f"{finding.name}.csv")


def markdown(
    findings: Sequence[Finding],
    *,
    made: str,
    answers: Sequence[Answer] = (),
    figures: str = ".",
) -> str:
    """Return a page of Markdown; `figures` is where the page finds them."""
    lines = ["# Results", "", made, "", NOTE, ""]
    lines += ["## The argument, from these measurements", ""] if answers else []
    for answer in answers:
        lines += [f"**{answer.question}**", ""]
        lines += [f"- {said.text}{_places(said, findings)}" for said in answer.sentences]
        lines.append("")
    for finding in findings:
        lines += [f"## {_title(finding)}", "", finding.question, "", finding.setting, ""]
        lines += [f"- {said.text}{_place(said, finding)}" for said in finding.sentences]
        lines += ["", f"![{_title(finding)}]({figures}/{finding.name}.png)", ""]
        lines += ["| row | what | value [interval] | seeds | expected | holds |"]
        lines += ["|--:|---|---|--:|---|---|"]
        for name, rows in _groups(finding):
            lines += [f"| | **{name}** | | | | |"]
            lines += [f"| {' | '.join(_cells(*numbered))} |" for numbered in rows]
        lines += ["", "What this cannot tell:", ""]
        lines += [f"- {limit}" for limit in finding.limits]
        lines.append("")
    return "\n".join(lines)


def html(
    findings: Sequence[Finding], folder: Path, *, made: str, answers: Sequence[Answer] = ()
) -> str:
    """Return a page of HTML that needs no other file; figures are read from a folder."""
    parts = ["<h2>The argument, from these measurements</h2>"] if answers else []
    for answer in answers:
        texts = (f"{said.text}{_places(said, findings)}" for said in answer.sentences)
        said = "".join(f"<li>{escape(text)}</li>" for text in texts)
        parts.append(f"<h3>{escape(answer.question)}</h3>\n<ul>{said}</ul>")
    for finding in findings:
        picture = base64.b64encode((folder / f"{finding.name}.png").read_bytes()).decode()
        texts = (f"{said.text}{_place(said, finding)}" for said in finding.sentences)
        says = "".join(f"<li>{escape(text)}</li>" for text in texts)
        limits = "".join(f"<li>{escape(limit)}</li>" for limit in finding.limits)
        body = []
        for name, rows in _groups(finding):
            body.append(f'<tr><th colspan="6">{name}</th></tr>')
            for number, row in rows:
                cells = "".join(f"<td>{escape(cell)}</td>" for cell in _cells(number, row))
                body.append(f"<tr{' class=bad' if row.holds is False else ''}>{cells}</tr>")
        parts.append(
            f'<h2 id="{finding.name}">{escape(_title(finding))}</h2>\n'
            f"<p>{escape(finding.question)}</p>\n<p>{escape(finding.setting)}</p>\n<ul>{says}</ul>\n"
            f'<img alt="{escape(_title(finding))}" src="data:image/png;base64,{picture}">\n'
            "<table><thead><tr><td>row</td><td>what</td><td>value [interval]</td><td>seeds</td>"
            f"<td>expected</td><td>holds</td></tr></thead><tbody>{''.join(body)}</tbody></table>\n"
            f"<p>What this cannot tell:</p><ul>{limits}</ul>"
        )
    template = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    return Template(template).substitute(
        made=escape(made), note=escape(NOTE), body="\n".join(parts)
    )


def _title(finding: Finding) -> str:
    return finding.name.replace("_", " ").capitalize()


def _groups(finding: Finding) -> Iterator[tuple[str, list[tuple[int, Row]]]]:
    """Yield the rows of each kind that there is, with their numbers."""
    for kind, name in NAMES.items():
        rows = [(n, row) for n, row in enumerate(finding.table, start=1) if row.kind == kind]
        if rows:
            yield name, rows


def _place(said: Sentence, finding: Finding) -> str:
    """Return which rows of its study's table a sentence rests on, in brackets."""
    numbers = _numbers(finding, said.rests_on)
    return f" [row{'s' if len(said.rests_on) > 1 else ''} {numbers}]" if numbers else ""


def _places(said: Sentence, findings: Sequence[Finding]) -> str:
    """Return which rows a sentence rests on, each "study: row", in brackets."""
    names: dict[str, list[str]] = {}
    for name in said.rests_on:
        study, _, what = name.partition(": ")
        names.setdefault(study, []).append(what)
    found = {finding.name: finding for finding in findings}
    told = "; ".join(f"{study} {_numbers(found[study], these)}" for study, these in names.items())
    return f" [{told}]" if told else ""


def _numbers(finding: Finding, names: Collection[str]) -> str:
    """Return the numbers of some rows, such as "1-3, 7"."""
    places = {row.key: number for number, row in enumerate(finding.table, start=1)}
    numbers = sorted({places[name] for name in names})
    # What follows another is as far from its place as that.
    runs = groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])
    ends = [(each[0][1], each[-1][1]) for each in (list(run) for _, run in runs)]
    return ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in ends)


def _cells(number: int, row: Row) -> tuple[str, ...]:
    expected = "" if row.expected is None else f"{row.expected:.4g}"
    asked = "" if row.expected is None else "not known"
    holds = {None: asked, True: "yes", False: "**no**"}[row.holds]
    label = f"{row.label} ({row.counts})" if row.counts else row.label
    return f"{number}", label, str(row), f"{row.seeds:,}", expected, holds
