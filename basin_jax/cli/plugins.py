"""The commands that list plug-ins and write new ones."""

from pathlib import Path
from typing import Annotated

import typer


def list_() -> None:
    """List the plug-ins of the package, with their fields."""
    from basin_jax.cli.catalog import catalog

    typer.echo(catalog())


def new(
    name: Annotated[str, typer.Argument(help="The name of the sweep; NAME.py is written.")],
) -> None:
    """Write a sweep file with plug-ins of its own, to edit."""
    stem = name.removesuffix(".py")
    if not stem.isidentifier():
        raise ValueError(f"NAME = {name!r}; allowed: letters, digits and _, not first a digit")
    file = Path(f"{stem}.py")
    template = Path(__file__).with_name("template.py").read_text(encoding="utf-8")
    try:
        with file.open("x", encoding="utf-8") as handle:
            handle.write(template.replace("THIS_FILE", file.name))
    except FileExistsError:
        raise ValueError(f"{file} is there already; allowed: a new name") from None
    typer.echo(f"Wrote {file}. Run it: basin-jax run {file}")
