"""Print messages and tables."""

import sys
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from rich.console import RenderableType


def say(line: str) -> None:
    """Print a message; results go to the standard output, messages do not."""
    from rich.console import Console

    Console(stderr=True).print(line, highlight=False, markup=False, soft_wrap=True)


def print_table(table: "RenderableType", *, width: int) -> None:
    """Print a table, with a width at which no row breaks where the output is a file."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else width).print(table)
