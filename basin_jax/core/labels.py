"""Short names of cells: the fields that tell them apart, or the names that a user gave."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from basin_jax.schema import name as check_name
from basin_jax.schema import refuse


HASH = re.compile(r" \[[0-9a-f]+\]$")  # of the content of a field
LETTERS = 80  # of a name


def varied(cells: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """List the paths on which cells (as given by `Sweep.fields`) differ, in order."""
    paths = dict.fromkeys(path for cell in cells for path in cell)
    return tuple(path for path in paths if len({json.dumps(cell.get(path)) for cell in cells}) > 1)


def labels_of(
    cells: Mapping[str, Mapping[str, Any]], names: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Name each cell by the name that it was given, or else by the fields that are varied.

    A field has the last part of its path, and is left out where it is None, as long as the cells
    can still be told apart. No two labels are the same.

    Args:
        cells: the fields of each cell, by its digest.
        names: the names of some of them.
    """
    paths = varied(list(cells.values()))
    short = short_names(paths)
    values = {path: texts_of([fields.get(path) for fields in cells.values()]) for path in paths}
    brief, full = dict[str, str](), dict[str, str]()
    for number, (cell, fields) in enumerate(cells.items()):
        parts = {path: f"{short[path]}={values[path][number]}" for path in paths}
        given = [part for path, part in parts.items() if fields.get(path) is not None]
        brief[cell] = ", ".join(given) or str(fields["organism"])
        full[cell] = ", ".join(parts.values()) or str(fields["organism"])
    automatic = brief if len({*brief.values()}) == len(brief) else full
    found = {cell: (names or {}).get(cell, automatic[cell]) for cell in cells}
    counts = Counter(found.values())
    return {cell: f"{own} [{cell}]" if counts[own] > 1 else own for cell, own in found.items()}


def short_names(paths: Sequence[str]) -> dict[str, str]:
    """Name fields by the last parts of their paths, where these differ."""
    last = [path.rpartition(".")[2] for path in paths]
    return {p: n if last.count(n) == 1 else p for p, n in zip(paths, last, strict=True)}


def texts_of(values: Sequence[Any]) -> list[str]:
    """Return values as text, without the hashes of what can be told by its name."""
    full = [str(value) for value in values]
    plain = [HASH.sub("", text) for text in full]
    return plain if len({*plain}) == len({*full}) else full


def check_names(names: Sequence[Any]) -> None:
    """Raise `ValueError` if the names of cells cannot be shown, or two are the same."""
    for number, name in enumerate(names):
        path = f"the name of cell {number}"
        check_name(path, name)
        if len(name) > LETTERS or name != name.strip():
            refuse(path, name, f"1 to {LETTERS} letters, without space around them")
        if name in names[:number]:
            refuse(path, name, "another name than that of a cell before it")
