"""Make docs/compatibility.md: what of other libraries trains, where, and what is refused and why.

    uv run python docs/compatibility.py [NAME ...]

A section is a battery in `tests/batteries/`: a module whose `rows(train=)` tries everything, and
whose `section(rows)` writes what was found. The script makes the named sections anew, or all, in
ten minutes on two cores.
"""

import os
import re
import sys
from pathlib import Path
from typing import Annotated

import typer


DOCS = Path(__file__).parent
PAGE = DOCS / "compatibility.md"
if str(DOCS.parent / "tests") not in sys.path:
    sys.path.append(str(DOCS.parent / "tests"))
# As in the tests: each program runs for a moment.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

from batteries import environments, layers, operations, optimizers  # noqa: E402


SECTIONS = {
    "optimizers": optimizers,
    "networks": layers,
    "operations": operations,
    "environments": environments,
}
HEAD = """# Compatibility

What of Optax, Flax and JAX trains, what is refused, with the reason, before any training, and on
which machines. Each table is generated: its battery (`tests/batteries/`) tries each line, and finds
the names in Optax and Flax itself. `uv run python docs/compatibility.py` makes this page anew, and
tests compare it.
"""


def sections(page: str) -> dict[str, str]:
    """Split a page into its sections, by their names."""
    parts = re.split(r"^(?=## )", page, flags=re.MULTILINE)[1:]
    return {part.splitlines()[0].removeprefix("## ").lower(): part.strip() + "\n" for part in parts}


def main(names: Annotated[list[str] | None, typer.Argument()] = None) -> None:
    """Make the named sections anew, or all."""
    kept = sections(PAGE.read_text()) if PAGE.exists() else {}
    for name, battery in SECTIONS.items():
        if not names or name in names or name not in kept:
            kept[name] = battery.section(list(battery.rows(train=True)))
    PAGE.write_text("\n".join([HEAD, *(kept[name] for name in SECTIONS)]))


if __name__ == "__main__":
    typer.run(main)
