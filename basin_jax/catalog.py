"""List the plug-ins that the package brings, with their fields."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Any

from basin_jax.base import Method, Organism, Plugin, Start, field_types, type_name
from basin_jax.spec import Child
from basin_jax.verdict import Rule


_FOLDERS: dict[type[Plugin], str] = {
    Organism: "organisms",
    Start: "starts",
    Method: "methods",
    Rule: "rules",
}


def plugins(kind: type[Plugin]) -> Iterator[type[Any]]:
    """Yield the package's plug-in classes of a kind, in the order of their files."""
    package = importlib.import_module(f"basin_jax.{_FOLDERS[kind]}")
    kinds = (Start, Child) if kind is Start else (kind,)
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for _, cls in inspect.getmembers(module, inspect.isclass):
            if issubclass(cls, kinds) and cls.__module__ == module.__name__:
                yield cls


def catalog() -> str:
    """Return a text that lists every plug-in: its first line, and its fields."""
    lines = []
    for kind, folder in _FOLDERS.items():
        lines.append(folder)
        for cls in plugins(kind):
            first = inspect.getdoc(cls) or ""
            lines.append(f"  {cls.__name__}: {first.splitlines()[0]}")
            for name, hint in field_types(cls).items():
                default = getattr(cls, name, "required")
                lines.append(f"    {name}: {type_name(hint)} = {default}")
        lines.append("")
    return "\n".join(lines)
