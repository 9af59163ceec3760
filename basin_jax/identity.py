"""What a plug-in is, in words and in a hash: its fields, and the code behind them.

Code of an installed package stands for itself by its version. Code of the user's own is
hashed: the class or function, and all that it refers to in its own file and in the files
beside it, without comments and formatting.
"""

import ast
import functools
import hashlib
import importlib.metadata
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np

from basin_jax.base import Plugin, field_types


def short_hash(text: str) -> str:
    """Return 12 hexadecimal digits of a SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def describe(plugin: Plugin, prefix: str = "") -> dict[str, Any]:
    """Return every field of a plug-in by its dotted path, as values that JSON can hold."""
    fields: dict[str, Any] = {}
    for name in field_types(type(plugin)):
        value, path = getattr(plugin, name), f"{prefix}{name}"
        if isinstance(value, Plugin):
            fields[path] = type(value).__name__
            fields |= describe(value, f"{path}.")
        elif isinstance(value, Mapping):
            fields |= {f"{path}.{key}": _plain(item) for key, item in value.items()}
        else:
            fields[path] = _plain(value)
    return fields


def sources(plugin: Plugin) -> dict[str, str]:
    """Return, by class name, where the code of a plug-in and of its parts comes from."""
    found = {type(plugin).__name__: origin(type(plugin))}
    for name in field_types(type(plugin)):
        value = getattr(plugin, name)
        if isinstance(value, Plugin):
            found |= sources(value)
    return found


def origin(thing: type | Callable[..., Any]) -> str:
    """Return "package version" for installed code, else the hash of its source."""
    module = sys.modules.get(thing.__module__)
    package = thing.__module__.split(".")[0]
    file = getattr(module, "__file__", None)
    if package == "basin_jax" or (file and "site-packages" in file):
        return f"{package} {_version(package)}"
    return f"source {short_hash(_source(thing, Path(file) if file else None))}"


@functools.cache
def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package.replace("_", "-"))
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return [_plain(item) for item in value]
    return _code(value)


def _code(value: Any) -> str:
    """Name a value that holds code (a function, a class, a tuple of closures)."""
    name = getattr(value, "__qualname__", type(value).__qualname__)
    return f"{name} [{short_hash(_fingerprint(value))}]"


def _fingerprint(value: Any) -> str:
    # Recurses through closures, so that optax.adam(1e-3) and optax.adam(1e-2) differ.
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return repr(value)
    if isinstance(value, tuple | list):
        return f"({','.join(map(_fingerprint, value))})"
    if isinstance(value, Mapping):
        return _fingerprint(sorted(value.items()))
    if isinstance(value, functools.partial):
        return _fingerprint(("partial", value.func, value.args, value.keywords))
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        defaults = (value.__defaults__, value.__kwdefaults__)
        return f"{origin(value)}:{value.__qualname__}{_fingerprint((cells, defaults))}"
    if isinstance(value, type):
        return f"{origin(value)}:{value.__qualname__}"
    if hasattr(value, "__array__"):
        array = np.asarray(value)
        return f"{array.dtype}{array.shape}{array.tobytes().hex()}"
    wrapped = getattr(value, "__wrapped__", None)  # a jitted or otherwise wrapped function
    if wrapped is not None:
        return _fingerprint(wrapped)
    raise ValueError(
        f"cannot tell what {value!r} is from one run to the next; allowed: numbers, "
        "strings, tuples, functions, classes, and plug-ins"
    )


def _source(thing: type | Callable[..., Any], file: Path | None) -> str:
    if file is None:
        try:
            return inspect.getsource(thing)  # a notebook cell
        except (OSError, TypeError) as error:
            raise ValueError(
                f"{thing.__qualname__} has no source to be identified by; define it in a file"
            ) from error
    wanted = thing.__qualname__.split(".")[0]
    return "\n".join(_definitions(file.resolve(), frozenset({wanted})))


@functools.cache
def _definitions(file: Path, wanted: frozenset[str]) -> tuple[str, ...]:
    """Dump the top-level statements of a file that the wanted names depend on."""
    statements = ast.parse(file.read_text()).body
    binds = {i: _bound_names(statement) for i, statement in enumerate(statements)}
    chosen: set[int] = set()
    names = set(wanted)
    while fresh := {i for i, bound in binds.items() if bound & names} - chosen:
        chosen |= fresh
        for i in fresh:
            names |= {n.id for n in ast.walk(statements[i]) if isinstance(n, ast.Name)}
    dumps = [ast.dump(statements[i]) for i in sorted(chosen)]
    for i in sorted(chosen):
        for neighbor in _imported_neighbors(statements[i], file):
            dumps.append(ast.dump(ast.parse(neighbor.read_text())))
    return tuple(dumps)


def _bound_names(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {(a.asname or a.name).split(".")[0] for a in statement.names}
    return {
        n.id
        for n in ast.walk(statement)
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }


def _imported_neighbors(statement: ast.stmt, file: Path) -> list[Path]:
    """Return the files beside this one that an import statement brings in."""
    if isinstance(statement, ast.ImportFrom):
        modules = [statement.module or a.name for a in statement.names]
    elif isinstance(statement, ast.Import):
        modules = [a.name for a in statement.names]
    else:
        return []
    beside = (file.parent / f"{m.replace('.', '/')}.py" for m in sorted(set(modules)))
    return [path for path in beside if path.is_file() and path != file]
