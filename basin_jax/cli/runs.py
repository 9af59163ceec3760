"""The command that lists the sweeps in a folder of runs."""

from pathlib import Path
from typing import Annotated

import typer

from basin_jax.cli.output import print_table


def runs(
    folder: Annotated[
        Path, typer.Argument(help="A folder of folders of results.", metavar="DIR")
    ] = Path("runs"),
    match: Annotated[
        str | None,
        typer.Option(help="List those whose name or newest note has this text.", metavar="TEXT"),
    ] = None,
) -> None:
    """List the sweeps in a folder: when they ran, their seeds, and how many are deceptive."""
    from basin_jax.report.index import index

    print_table(index(folder, match=match).rich(), width=160)
