"""Write what studies found: figures, tables, a page of Markdown and one of HTML."""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

from basin_jax.plots import save
from basin_jax.studies.finding import Answer, Finding, Row


KINDS = {
    "measured": "Measured",
    "control": "Null control",
    "known": "Known beforehand",
    "sensitivity": "Sensitivity",
}
NOTE = (
    "Intervals are at 95 %: exact ones of Clopper and Pearson for fractions of seeds, order "
    "statistics for medians, by betting for means and for children of one parent, melded ones for "
    "differences on the same seeds and for kappa, and for areas under ROC curves (AUC) those of as "
    "many trials as their variance is worth. Those of what a study reads side by side (scales and "
    "networks, methods and their pairs, pushes, quarters of the gap, forks, tickets and "
    "predictors, widths and temperatures, rules and their pairs, stops, sizes, drifts and what is "
    "put back, prompts) hold for all of their kind at once, the others each by itself; those of a "
    "turn and of shares of variance follow from such. What is compared on the same seeds is "
    "compared seed by seed. A control, or what is known, holds where the interval has it."
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
        lines += [f"**{answer.question}**", "", *(f"- {said}" for said in answer.says), ""]
    for finding in findings:
        lines += [f"## {_title(finding)}", "", finding.question, "", finding.put_to, ""]
        lines += [f"- {sentence}" for sentence in finding.says]
        lines += ["", f"![{_title(finding)}]({figures}/{finding.name}.png)", ""]
        lines += ["| what | value [95 %] | seeds | expected | holds |", "|---|---|--:|---|---|"]
        for kind, name in KINDS.items():
            rows = [row for row in finding.rows if row.kind == kind]
            lines += [f"| **{name}** | | | | |"] if rows else []
            lines += [f"| {' | '.join(_cells(row))} |" for row in rows]
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
        said = "".join(f"<li>{escape(sentence)}</li>" for sentence in answer.says)
        parts.append(f"<h3>{escape(answer.question)}</h3>\n<ul>{said}</ul>")
    for finding in findings:
        picture = base64.b64encode((folder / f"{finding.name}.png").read_bytes()).decode()
        says = "".join(f"<li>{escape(sentence)}</li>" for sentence in finding.says)
        limits = "".join(f"<li>{escape(limit)}</li>" for limit in finding.limits)
        body = []
        for kind, name in KINDS.items():
            rows = [row for row in finding.rows if row.kind == kind]
            body += [f'<tr><th colspan="5">{name}</th></tr>'] if rows else []
            for row in rows:
                cells = "".join(f"<td>{escape(cell)}</td>" for cell in _cells(row))
                body.append(f"<tr{' class=bad' if row.holds is False else ''}>{cells}</tr>")
        parts.append(
            f'<h2 id="{finding.name}">{escape(_title(finding))}</h2>\n'
            f"<p>{escape(finding.question)}</p>\n<p>{escape(finding.put_to)}</p>\n<ul>{says}</ul>\n"
            f'<img alt="{escape(_title(finding))}" src="data:image/png;base64,{picture}">\n'
            "<table><thead><tr><td>what</td><td>value [95 %]</td><td>seeds</td><td>expected</td>"
            f"<td>holds</td></tr></thead><tbody>{''.join(body)}</tbody></table>\n"
            f"<p>What this cannot tell:</p><ul>{limits}</ul>"
        )
    template = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    return Template(template).substitute(
        made=escape(made), note=escape(NOTE), body="\n".join(parts)
    )


def _title(finding: Finding) -> str:
    return finding.name.replace("_", " ").capitalize()


def _cells(row: Row) -> tuple[str, ...]:
    expected = "" if row.expected is None else f"{row.expected:.4g}"
    asked = "" if row.expected is None else "not known"
    holds = {None: asked, True: "yes", False: "**no**"}[row.holds]
    return row.what, str(row), f"{row.seeds:,}", expected, holds
