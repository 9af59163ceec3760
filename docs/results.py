"""Make docs/results.md: what the studies found, of the audit game and of other organisms.

    uv run python docs/results.py [--full] [--runs runs/studies]

What is there is read, and what is not is trained: in half an hour on two cores, or for an
accelerator with `--full`.
"""

import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from basin_jax.progress import progress_for
from basin_jax.studies.every import STUDIES, made_by, make, named
from basin_jax.studies.page import markdown


DOCS = Path(__file__).parent
FILES = sorted((DOCS.parent / "sweeps" / "studies").glob("*.py"))


def main(
    full: Annotated[bool, typer.Option(help="Seeds for an accelerator.")] = False,
    runs: Annotated[Path, typer.Option(help="Where results are.")] = Path("runs/studies"),
) -> None:
    """Make all studies, and write docs/results.md with their figures and tables."""
    studies = dict(named(name) for name in (*STUDIES, *map(str, FILES)))
    with progress_for(Console(stderr=True)) as progress:
        findings = make(studies, runs, quick=not full, progress=progress)
    figures = DOCS / "results"
    figures.mkdir(exist_ok=True)
    for finding in findings:
        for suffix in ("png", "csv"):
            shutil.copy(runs / f"{finding.name}.{suffix}", figures)
    page = markdown(findings, made=made_by(quick=not full), figures=figures.name)
    (DOCS / "results.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
