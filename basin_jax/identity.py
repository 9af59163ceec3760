"""What a plug-in is, in words and in a hash: its fields, and the code behind them.

Code of an installed package stands for itself by its version. Code of the user's own is
hashed: the class or function, and all that it refers to in its own file and in the files
beside it, without comments and formatting.
"""

import ast
import functools
import hashlib
import importlib.metadata
import itertools
import json
import platform
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np

from basin_jax.base import Plugin, field_types


_STANDARD_LIBRARY = sysconfig.get_path("stdlib")


def short_hash(text: str) -> str:
    """Return 12 hexadecimal digits of a SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def digest_of(fields: Mapping[str, Any], sources: Mapping[str, str], trace: str) -> str:
    """Return a sweep's identity: the hash of its fields, its code, and the program it traces."""
    identity = {"fields": fields, "sources": sources, "trace": trace}
    return short_hash(json.dumps(identity, sort_keys=True))


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


def sources(plugin: Plugin, path: str = "") -> dict[str, str]:
    """Return where the code of a plug-in and of its parts comes from.

    The keys are the parts' dotted paths, and the class's name for the plug-in itself:
    two parts may be of different classes of one name.
    """
    found = {path or type(plugin).__name__: origin(type(plugin))}
    for name in field_types(type(plugin)):
        value = getattr(plugin, name)
        if isinstance(value, Plugin):
            found |= sources(value, f"{path}.{name}" if path else name)
    return found


def origin(thing: type | Callable[..., Any]) -> str:
    """Return "package version" for installed code, else the hash of its source."""
    module = sys.modules.get(thing.__module__)
    package = thing.__module__.split(".")[0]
    file = getattr(module, "__file__", None)
    if package in sys.stdlib_module_names:
        return f"python {platform.python_version()}"
    if file and _is_installed(file):
        return f"{package} {_version(package)}"
    source = _source(thing, Path(file) if file else None)
    return f"source {short_hash(source + _made_with(thing))}"


def _made_with(thing: type | Callable[..., Any]) -> str:
    """Return what a class that a function makes has of that function's variables."""
    if not isinstance(thing, type) or "<locals>" not in thing.__qualname__:
        return ""
    held: list[Any] = []
    for name, value in vars(thing).items():
        if name.startswith("__") and issubclass(thing, Plugin):
            continue  # made by the dataclass of the fields, which are in the identity
        if isinstance(value, FunctionType):
            cells = [cell.cell_contents for cell in value.__closure__ or ()]
            held += [name, value.__defaults__, *(c for c in cells if c is not thing)]
        elif not name.startswith("__") and isinstance(value, bool | int | float | str):
            held += [name, value]
    return _fingerprint(held)


def _is_installed(file: str) -> bool:
    here = str(Path(__file__).parent)
    return "site-packages" in file or file.startswith((here, _STANDARD_LIBRARY))


@functools.cache
def package_identity() -> str:
    """Return this package's version, and in a checkout the hash of its source, too.

    Studies only say which sweeps are trained, and read them.
    """
    version, folder = _version("basin_jax"), Path(__file__).parent
    if "site-packages" in folder.parts:
        return version
    files = [file for file in sorted(folder.rglob("*.py")) if file.parent.name != "studies"]
    texts = [ast.dump(ast.parse(file.read_bytes())) for file in files]
    return f"{version} source {short_hash(''.join(texts))}"


@functools.cache
def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # distributed under another name
        names = importlib.metadata.packages_distributions().get(package, [])
        return " ".join(importlib.metadata.version(name) for name in names)


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
    if isinstance(value, Plugin):
        return f"{json.dumps(describe(value))}{json.dumps(sources(value))}"
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


@functools.cache  # by the thing: what is loaded anew after an edit is a new thing
def _source(thing: type | Callable[..., Any], file: Path | None) -> str:
    if file is None:
        raise ValueError(
            f"{thing.__qualname__} has no file to be identified by; define it in one and import it"
        )
    file, name = file.resolve(), thing.__qualname__
    module = ast.parse(file.read_bytes())
    if isinstance(thing, FunctionType) and thing.__name__ == "<lambda>":
        return "\n".join(_lambda(thing, module, file))
    wanted = name.split(".")[0]
    if not any(wanted in _bound_names(statement) for statement in module.body):
        raise ValueError(f"{name} is not in the source of {file.name}; define it there by name")
    return "\n".join(_definitions(module, file, {wanted}))


def _lambda(thing: FunctionType, module: ast.Module, file: Path) -> list[str]:
    """Dump a lambda, which has no name, and what it depends on."""
    line = thing.__code__.co_firstlineno
    there = [n for n in ast.walk(module) if isinstance(n, ast.Lambda) and n.lineno == line]
    if len(there) != 1:
        raise ValueError(
            f"{thing.__qualname__} of line {line} of {file.name} cannot be told from others; "
            "define it by name, or on a line of its own"
        )
    return [ast.dump(there[0]), *_definitions(module, file, _names(there[0]))]


def _definitions(module: ast.Module, file: Path, wanted: set[str]) -> list[str]:
    """Dump the top-level statements of a file that the wanted names depend on."""
    imported = {n for s in module.body if _is_import(s) for n in _bound_names(s)}
    binds = {
        i: _bound_names(statement) | (_changed_names(statement) - imported)
        for i, statement in enumerate(module.body)
    }
    chosen: set[int] = set()
    names = {"*", *wanted}
    while fresh := {i for i, bound in binds.items() if bound & names} - chosen:
        chosen |= fresh
        names |= {name for i in fresh for name in _names(module.body[i])}
    dumps, seen = [], {file}
    for i in sorted(chosen):
        dumps.append(ast.dump(module.body[i]))
        dumps += _imported(module.body[i], file, seen)
    return dumps


def _names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _bound_names(statement: ast.stmt) -> set[str]:
    """Return the names that a top-level statement binds, or whose items it sets."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    bound: set[str] = set()
    for node in ast.walk(statement):  # a definition may stand under an `if` or a `try`
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {(a.asname or a.name).split(".")[0] for a in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        elif isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            bound |= {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)}
    return bound


def _is_import(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Import | ast.ImportFrom)


def _changed_names(statement: ast.stmt) -> set[str]:
    """Return what a top-level statement may change without naming it as its target."""
    return _names(statement) if isinstance(statement, ast.Expr) else set()


def _imported(tree: ast.AST, file: Path, seen: set[Path]) -> list[str]:
    """Dump the files beside this one that some code imports, and those that they import."""
    dumps = []
    for path in _imported_files(tree, file):
        if path not in seen:
            seen.add(path)
            module = ast.parse(path.read_bytes())
            dumps += [ast.dump(module), *_imported(module, path, seen)]
    return dumps


def _imported_files(tree: ast.AST, file: Path) -> Iterator[Path]:
    for node in ast.walk(tree):
        above = 0
        if isinstance(node, ast.ImportFrom):
            above, package = node.level, f"{node.module}." if node.module else ""
            modules = [package + a.name for a in node.names]
        elif isinstance(node, ast.Import):
            modules = [a.name for a in node.names]
        else:
            continue
        folders = [file.parents[above - 1]] if above else [file.parent, _root(file)]
        for folder, name in itertools.product(folders, sorted(modules)):
            parts = name.split(".")
            for i in range(1, len(parts) + 1):
                stem = folder.joinpath(*parts[:i])
                yield from filter(Path.is_file, (stem.with_suffix(".py"), stem / "__init__.py"))
        for name in modules:  # wherever else Python has found them
            found = getattr(sys.modules.get(name.rpartition(".")[0] or name), "__file__", None)
            if found and found.endswith(".py") and not _is_installed(found):
                yield Path(found).resolve()


def _root(file: Path) -> Path:
    """Return the folder that holds the package that a file is of; its own, if of none."""
    folder = file.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder
