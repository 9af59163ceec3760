"""Make docs/results.md and a page for each study: what they found, of the audit game and of others.

    uv run python docs/results.py [--full] [--runs runs/studies]

What is there is read, and what is not is trained: in half an hour on two cores; with `--full` in
minutes on an accelerator, or a night on two cores.
"""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.console import Console

import basin_jax
from basin_jax.runs.progress import progress_for
from basin_jax.runs.provenance import machine_identity
from basin_jax.studies.framework.page import markdown
from basin_jax.studies.framework.power import apart
from basin_jax.studies.framework.rows import Finding
from basin_jax.studies.published import MADE, TABLES
from basin_jax.studies.registry import STUDIES, all_named, answers_of, made_by, make


DOCS = Path(__file__).parent
FILES = sorted((DOCS.parent / "sweeps" / "studies").glob("*.py"))


def disagreements(findings: Sequence[Finding]) -> list[str]:
    """Return the section on where another organism differs from the audit game, if any does.

    A study of another organism is named after the one of the audit game: rows of both that have
    one key are compared, and those listed whose intervals do not overlap.
    """
    lines = []
    for base in findings:
        for other in findings:
            if not other.name.startswith(f"{base.name}_"):
                continue
            organism = other.name.removeprefix(f"{base.name}_")
            lines += [
                f"- {base.name}, {row.label}: audit {base.rows[key]}, {organism} {row}."
                for key, row in other.rows.items()
                if row.kind == "measured" and key in base.rows and apart(row, base.rows[key])
            ]
    if not lines:
        return []
    return [
        "## Where organisms disagree",
        "",
        "Rows of both organisms whose 95 % intervals do not overlap; strengths of oversight are "
        "shares of each organism's own.",
        "",
        *lines,
        "",
    ]


def published(findings: Sequence[Finding], *, size: str) -> pl.DataFrame:
    """Return the list of the studies, with what made them (see `basin_jax.published`)."""
    machine = machine_identity()
    by = (basin_jax.__version__, size, machine["device"], machine["jax"])
    rows = [(finding.name, finding.question, *by) for finding in findings]
    names = ["study", "question", "version", "size", "device", "jax"]
    return pl.DataFrame(rows, schema=names, orient="row")


def pages(findings: Sequence[Finding], *, made: str) -> dict[str, str]:
    """Return the pages by their names: that of the argument, and one for each study."""
    whole = markdown(findings, made=made, answers=answers_of(findings))
    head, *sections = re.split("^## ", whole, flags=re.MULTILINE)
    names = [finding.name for finding in findings]
    before, own = sections[: -len(names)], sections[-len(names) :]
    found = {
        f"results/{name}.md": f"# {section.strip()}\n"
        for name, section in zip(names, own, strict=True)
    }
    listed = [
        f"- [{one.name.replace('_', ' ')}](results/{one.name}.md): {one.question}"
        for one in findings
    ]
    parts = [head + "".join(f"## {section}" for section in before)]
    parts += ["## The studies", "", *listed, "", "```{toctree}", ":hidden:", ""]
    parts += [*(f"results/{name}" for name in names), "```", "", *disagreements(findings)]
    return found | {"results.md": "\n".join(parts)}


def main(
    full: Annotated[
        bool, typer.Option(help="Seeds for an accelerator, or a night of two cores.")
    ] = False,
    runs: Annotated[Path, typer.Option(help="Where results are.")] = Path("runs/studies"),
) -> None:
    """Make all studies, and write their pages with their figures, and the published tables."""
    studies = all_named([*STUDIES, *map(str, FILES)])
    with progress_for(Console(stderr=True)) as progress:
        findings = make(studies, runs, quick=not full, progress=progress)
    figures = DOCS / "results"
    figures.mkdir(exist_ok=True)
    for finding in findings:
        shutil.copy(runs / f"{finding.name}.png", figures)
        shutil.copy(runs / f"{finding.name}.csv", TABLES)
    published(findings, size="full" if full else "quick").write_csv(MADE)
    found = pages(findings, made=made_by(quick=not full))
    for name, page in found.items():
        (DOCS / name).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
