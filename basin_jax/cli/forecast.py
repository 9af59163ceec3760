"""The command that forecasts how many seeds it takes until the first event."""

from pathlib import Path
from typing import Annotated

import typer


def forecast(
    folder: Annotated[Path, typer.Argument(help="A folder of results.", metavar="DIR")],
    evidence: Annotated[str, typer.Argument(help="The name of the evidence.")],
    above: Annotated[
        float | None, typer.Option(help="An event is evidence above this at the end.", metavar="X")
    ] = None,
    below: Annotated[
        float | None, typer.Option(help="An event is evidence below this at the end.", metavar="X")
    ] = None,
    level: Annotated[float, typer.Option(help="The level of the intervals.")] = 0.95,
) -> None:
    """Forecast how many seeds it takes until evidence is first beyond a threshold.

    Each cell's upper tail is extrapolated; the forecast comes with its score on held-out seeds.
    """
    from basin_jax.results.records import load

    records = load(folder)
    for cell in records.cells:
        try:
            found = str(records.forecast(cell, evidence, above=above, below=below, level=level))
        except ValueError as error:
            if len(records.cells) == 1:
                raise
            found = str(error)
        typer.echo(f"{records.label(cell)}: {found}")
