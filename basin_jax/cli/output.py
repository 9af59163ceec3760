"""Print messages and tables; end a stopped command."""

import contextlib
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer


if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType


def say(line: str) -> None:
    """Print a message; results go to the standard output, messages do not."""
    from rich.console import Console

    Console(stderr=True).print(line, highlight=False, markup=False, soft_wrap=True)


def print_table(table: "RenderableType", *, width: int) -> None:
    """Print a table, with a width at which no row breaks where the output is a file."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else width).print(table)


@contextlib.contextmanager
def resumable(folder: Path | str) -> "Iterator[None]":
    """End the command if a signal stops a run, and print the command that resumes it."""
    from basin_jax.runs.training import Interrupted

    try:
        yield
    except Interrupted as stopped:
        say(
            f"{stopped}: all that was trained is committed in {folder}. Resume with:\n"
            f"  basin-jax {shlex.join(sys.argv[1:])}"
        )
        raise typer.Exit(128 + stopped.signum) from None
