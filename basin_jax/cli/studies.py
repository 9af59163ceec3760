"""The commands that run studies."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from basin_jax.cli.output import say


if TYPE_CHECKING:
    from collections.abc import Mapping

    from basin_jax.studies.framework.study import Study


Full = Annotated[
    bool,
    typer.Option(
        "--full/--quick", help="Seeds for an accelerator or a night of two cores, or for minutes."
    ),
]
Times = Annotated[int, typer.Option(min=1, help="So many times the seeds of --quick.")]
STUDIED = Path("runs/studies")
Studied = Annotated[Path, typer.Option(help="The folder of the results and the page.")]


def study(
    names: Annotated[
        list[str], typer.Argument(help="A study, or a file that defines one.", metavar="NAME")
    ],
    organism: Annotated[
        str | None,
        typer.Option(
            help="The testbed, or a file that defines `testbed`.  [default: the study's own]"
        ),
    ] = None,
    full: Full = False,
    times: Times = 1,
    out: Studied = STUDIED,
) -> None:
    """Run studies, each with its controls; write a page."""
    from basin_jax.studies.registry import all_named

    _study(all_named(names, organism), full=full, times=times, out=out)


def studies(
    all_: Annotated[bool, typer.Option("--all", help="Run them all.")] = False,
    full: Full = False,
    times: Times = 1,
    out: Studied = STUDIED,
) -> None:
    """List all studies with their questions, or run them."""
    from basin_jax.studies.registry import STUDIES, all_named

    if all_:
        _study(all_named([*STUDIES]), full=full, times=times, out=out)
    else:
        for name, kind in STUDIES.items():
            typer.echo(f"{name}: {kind().question}")


def _study(studies: "Mapping[str, Study]", *, full: bool, times: int, out: Path) -> None:
    """Run studies and print their sentences; fail if a control or a known answer does."""
    from rich.console import Console

    from basin_jax.runs.progress import progress_for
    from basin_jax.studies.registry import make, page_of

    with progress_for(Console(stderr=True)) as progress:
        findings = make(studies, out, quick=not full, times=times, progress=progress)
    for finding in findings:
        for sentence in finding.sentences:
            typer.echo(f"{finding.name}: {sentence.text}")
    say(f"Page: {out / page_of(studies)}")
    if not all(finding.sound for finding in findings):
        raise typer.Exit(1)
