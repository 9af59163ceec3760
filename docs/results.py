"""Make docs/results.md and a page for each study: what they found, of the audit game and of others.

    uv run python docs/results.py [NAME ...] [--full | --times N] [--runs runs/studies]

It makes the named studies, or all: in an hour and a half on two cores; with `--times N` of N times
the seeds; with `--full` in minutes on an accelerator, or a night on two cores. What the folder
holds is not trained again. Studies that are not named stay as published: their sentences are
written again from their tables.
"""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from matplotlib import rc_context
from matplotlib.figure import Figure
from rich.console import Console

from basin_jax.report.figures import STYLE, save
from basin_jax.runs.progress import progress_for
from basin_jax.studies.framework.page import OVERVIEW, markdown
from basin_jax.studies.framework.power import apart
from basin_jax.studies.framework.quotes import Findings
from basin_jax.studies.framework.rows import Finding, Row, Table
from basin_jax.studies.framework.study import Study, finding_of
from basin_jax.studies.overview import overview
from basin_jax.studies.published import MADE, TABLES, published
from basin_jax.studies.registry import (
    STUDIES,
    all_named,
    answers_of,
    made_by,
    made_with,
    make,
)


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
                f"- {base.name}: {_beside({'audit': base.rows[key], organism: row})}."
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


def _beside(rows: dict[str, Row]) -> str:
    """List rows of one key by organism; with a label for each where they differ, as rates do."""
    labels = {row.label for row in rows.values()}
    if len(labels) == 1:
        return f"{labels.pop()}: {', '.join(f'{name} {row}' for name, row in rows.items())}"
    return "; ".join(f"{name}, {row.label}: {row}" for name, row in rows.items())


def stored(name: str, study: Study) -> Finding:
    """Return the finding of a study as it was published, without its figure."""
    names = Row.__annotations__
    rows = Table(Row(**{n: one[n] for n in names}) for one in published(name).to_dicts())
    (made,) = published().filter(study=name).to_dicts()
    steps = made["seed_steps"] or 0
    return finding_of(name, study, rows, Figure(), seed_steps=steps, made=made_by(made))


def entry(finding: Finding, *, quick: bool, times: int) -> dict[str, Any]:
    """Return the row of a study in the list of studies (see `basin_jax.published`)."""
    own = {"study": finding.name, "question": finding.question}
    return own | made_with(quick=quick, times=times) | {"seed_steps": finding.seed_steps}


def pages(findings: Sequence[Finding]) -> dict[str, str]:
    """Return the pages by their names: that of the argument, and one for each study."""
    made = "The page of each study says what it was made with, and of how many seeds."
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
    names: Annotated[list[str] | None, typer.Argument(help="Studies.  [default: all]")] = None,
    full: Annotated[
        bool, typer.Option(help="Seeds for an accelerator, or a night of two cores.")
    ] = False,
    times: Annotated[int, typer.Option(min=1, help="So many times the seeds of --quick.")] = 1,
    runs: Annotated[Path, typer.Option(help="Where results are.")] = Path("runs/studies"),
) -> None:
    """Make studies, and write their pages with their figures, and the published tables."""
    studies = all_named([*STUDIES, *map(str, FILES)])
    if unknown := set(names or ()) - set(studies):
        raise typer.BadParameter(f"{min(unknown)}; allowed: {', '.join(studies)}")
    chosen = {name: study for name, study in studies.items() if not names or name in names}
    with progress_for(Console(stderr=True)) as progress:
        made = make(chosen, runs, quick=not full, times=times, progress=progress)
    figures = DOCS / "results"
    figures.mkdir(exist_ok=True)
    for finding in made:
        shutil.copy(runs / f"{finding.name}.png", figures)
        shutil.copy(runs / f"{finding.name}.csv", TABLES)
    rows = {row["study"]: row for row in published().to_dicts()}
    rows |= {one.name: entry(one, quick=not full, times=times) for one in made}
    pl.DataFrame([rows[name] for name in studies]).write_csv(MADE)
    findings = [stored(name, study) for name, study in studies.items()]
    with rc_context(STYLE):
        save(overview(Findings(findings)), DOCS / f"{OVERVIEW}.png")
    for name, page in pages(findings).items():
        (DOCS / name).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
