"""List the plug-ins that the package brings, with their fields."""

import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from basin_jax import methods, networks, organisms, rules, starts
from basin_jax.core.plugin import field_types, type_name


FOLDERS = (organisms, networks, starts, methods, rules)


def plugins(folder: ModuleType) -> Iterator[type[Any]]:
    """Yield the plug-in classes of one of the package's folders, in alphabetical order."""
    return (getattr(folder, name) for name in folder.__all__)


def catalog() -> str:
    """Return a text that lists every plug-in: its first line, and its fields."""
    lines = []
    for folder in FOLDERS:
        lines.append(folder.__name__.rpartition(".")[2])
        for cls in plugins(folder):
            first = inspect.getdoc(cls) or ""
            lines.append(f"  {cls.__name__}: {first.splitlines()[0]}")
            for name, hint in field_types(cls).items():
                default = getattr(cls, name, "required")
                lines.append(f"    {name}: {type_name(hint)} = {default}")
        lines.append("")
    return "\n".join(lines)
