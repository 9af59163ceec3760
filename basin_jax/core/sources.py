"""Identify plug-ins: their fields as text, and their source code as a version or a hash.

Code of an installed package is identified by its version; that of this package by its name, since
its version and the hash of its code are compared apart, folder by folder. Code of the user's own is
hashed: the class or function, and all that it refers to in its own file and in the files beside it,
without comments and formatting. Typed code is hashed with the cells that it refers to, see
`core.cells`. What the source does not show, such as a data file that is read at import, changes the
program that a sweep traces: see `core.identity.trace_of`.
"""

import ast
import contextlib
import enum
import functools
import hashlib
import importlib.metadata
import itertools
import json
import platform
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from basin_jax.core.cells import bound_names, compiled, is_typed, modules_of
from basin_jax.core.plugin import Plugin, field_types


_STANDARD_LIBRARY = sysconfig.get_path("stdlib")


def short_hash(text: str) -> str:
    """Hash a text by SHA-256, and keep 12 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def describe(plugin: Plugin, prefix: str = "", *, traced: bool = False) -> dict[str, Any]:
    """List every field of a plug-in by its dotted path, as values that JSON can hold.

    Args:
        plugin: the plug-in.
        prefix: what its paths begin with.
        traced: whether the plug-in's program is a part of the identity, too. A value that cannot be
            told from one process to the next then stands there by its name alone.

    Raises:
        ValueError: if a value cannot be told, and `traced` is False.
    """
    fields: dict[str, Any] = {}
    for name in field_types(type(plugin)):
        value, path = getattr(plugin, name), f"{prefix}{name}"
        if isinstance(value, Plugin):
            fields[path] = type(value).__name__
            fields |= describe(value, f"{path}.", traced=traced)
        elif isinstance(value, Mapping):
            fields |= {f"{path}.{key}": _plain(item, traced) for key, item in value.items()}
        else:
            fields[path] = _plain(value, traced)
    return fields


def sources(plugin: Plugin, path: str = "", *, traced: bool = False) -> dict[str, str]:
    """Identify the source code of a plug-in and of its parts; `traced` as in `describe`.

    The keys are the parts' dotted paths, and the class's name for the plug-in itself:
    two parts may be of different classes of one name.
    """
    found = {path or type(plugin).__name__: origin(type(plugin), traced=traced)}
    for name in field_types(type(plugin)):
        value = getattr(plugin, name)
        if isinstance(value, Plugin):
            found |= sources(value, f"{path}.{name}" if path else name, traced=traced)
    return found


def origin(thing: type | Callable[..., Any], *, traced: bool = False) -> str:
    """Identify source code: by "package version" if it is installed, else by a hash.

    This package's own code is "basin_jax", whatever its version. What a class was made with may be
    `traced`, as in `describe`.
    """
    module = sys.modules.get(thing.__module__)
    package = thing.__module__.split(".")[0]
    file = getattr(module, "__file__", None)
    if package in sys.stdlib_module_names or (file and _is_installed(file)):
        if isinstance(thing, type) and not _stands_in(module, thing):
            # Made by a call of `type`, so that its module is that of whoever called.
            bases = [origin(base, traced=traced) for base in thing.__bases__]
            return f"source {short_hash(_fingerprint(bases) + _made_with(thing, traced))}"
        if package in sys.stdlib_module_names:
            return f"python {platform.python_version()}"
        return (
            package if package == __name__.partition(".")[0] else f"{package} {_version(package)}"
        )
    source = _typed_source(thing) if is_typed(thing) else _source(thing, Path(file or ""))
    if isinstance(thing, type) and "<locals>" in thing.__qualname__:
        source += _made_with(thing, traced)
    return f"source {short_hash(source)}"


def _stands_in(module: ModuleType | None, thing: type) -> bool:
    """Return True if a class is defined in the text of its module, judging by its name."""
    if "<locals>" in thing.__qualname__:
        return True
    found: Any = module
    for name in thing.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is thing


def _made_with(thing: type, traced: bool) -> str:
    """Fingerprint the variables of the function that made a class."""
    held: list[Any] = []
    for name, value in vars(thing).items():
        if name.startswith("__") and issubclass(thing, Plugin):
            continue  # made by the dataclass of the fields, which are in the identity
        if isinstance(value, FunctionType):
            cells = _cells(value)
            held += [name, value.__defaults__, *(c for c in cells if c is not thing)]
            held += [] if "<locals>" in thing.__qualname__ else [origin(value, traced=traced)]
        elif not name.startswith("__") and isinstance(value, bool | int | float | str):
            held += [name, value]
    return _fingerprint(held, traced)


def _is_installed(file: str) -> bool:
    path, here = Path(file), Path(__file__).parents[1]
    kept = path.is_relative_to(here) or path.is_relative_to(_STANDARD_LIBRARY)
    return kept or "site-packages" in path.parts


@functools.cache
def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # distributed under another name
        names = importlib.metadata.packages_distributions().get(package, [])
        return " ".join(importlib.metadata.version(name) for name in names)


def _plain(value: Any, traced: bool) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return [_plain(item, traced) for item in value]
    # A value that holds code (a function, a class, a tuple of closures), or has no form in JSON.
    return f"{_name(value)} [{short_hash(_fingerprint(value, traced))}]"


def _name(value: Any) -> str:
    """Name a value for a table."""
    if isinstance(value, enum.Enum | complex | range | np.dtype):
        return str(value)
    own = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    return own or type(value).__qualname__


def _fingerprint(value: Any, traced: bool = False, inside: tuple[FunctionType, ...] = ()) -> str:
    """Write a value as text that every process finds alike, with what it contains and closes over.

    Raises:
        ValueError: if it cannot be told, and its program is not `traced`.
    """
    if isinstance(value, FunctionType):
        if value in inside:
            return f"{value.__qualname__} again"  # it calls itself
        inside = (*inside, value)
    within = functools.partial(_fingerprint, traced=traced, inside=inside)
    if value is None or value is Ellipsis or isinstance(value, bool | str | bytes | complex):
        return repr(value)
    if isinstance(value, int | float):
        # By value: tracing an Optax schedule makes floats of the whole numbers that it holds.
        return repr(int(value) if value % 1 == 0 else value)
    if isinstance(value, tuple | list):
        return f"({','.join(map(within, value))})"
    if isinstance(value, set | frozenset):
        return f"{{{','.join(sorted(map(within, value)))}}}"
    if isinstance(value, range | slice):
        return f"{type(value).__name__}{within((value.start, value.stop, value.step))}"
    if isinstance(value, Mapping):
        return within(sorted(value.items()))
    if isinstance(value, Plugin):
        fields, code = (f(value, traced=traced) for f in (describe, sources))
        return f"{json.dumps(fields)}{json.dumps(code)}"
    if isinstance(value, functools.partial):
        return within(("partial", value.func, value.args, value.keywords))
    if isinstance(value, MethodType):
        return within(("method", value.__func__, value.__self__))
    if isinstance(value, BuiltinFunctionType):
        if isinstance(value.__self__, ModuleType):
            return f"{origin(value)}:{value.__qualname__}"
        return within(("method", value.__name__, value.__self__))
    if isinstance(value, FunctionType | type):
        held = within(_held(value)) if isinstance(value, FunctionType) else ""
        return f"{_code(value, traced)}:{value.__qualname__}{held}"
    if isinstance(value, enum.Enum):
        return f"{_code(type(value), traced)}:{value}"
    if isinstance(value, np.dtype | np.ufunc):
        return f"numpy:{value}"
    if hasattr(value, "__array__"):
        array = _numbers(value)
        return f"{array.dtype}{array.shape}{array.tobytes().hex()}"
    wrapped = getattr(value, "__wrapped__", None)  # a jitted or otherwise wrapped function
    if wrapped is not None:
        # Of what else it carries, such as derivatives, the code is in the traced program.
        carried = [
            _held(v)[0] for _, v in sorted(vars(value).items()) if isinstance(v, FunctionType)
        ]
        plain = [c for cells in carried for c in cells if isinstance(c, bool | int | float | str)]
        return within((wrapped, plain))
    if traced:
        return _told_by_its_program(value)
    raise ValueError(
        f"cannot tell what {value!r} is from one run to the next; allowed: numbers, "
        "strings, tuples, functions, classes, and plug-ins"
    )


def _numbers(value: Any) -> np.ndarray:
    """Return an array in NumPy; random keys as their words."""
    keys = isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(value) if keys else value)


def _told_by_its_program(value: Any) -> str:
    """Name what only the program that it is traced to tells apart, and its numbers and texts."""
    held = {
        name: item
        for name, item in sorted(getattr(value, "__dict__", {}).items())
        if isinstance(item, bool | int | float | str | None)
    }
    return f"{_name(value)}{_fingerprint(held)}"


def _code(thing: type | FunctionType, traced: bool) -> str:
    """Identify the code of a function or class; of one without a source, its program does."""
    try:
        return origin(thing, traced=traced)
    except ValueError:
        if traced:
            return "traced"
        raise


def _held(function: FunctionType) -> tuple[Any, ...]:
    """Return a function's closure and its defaults."""
    return _cells(function), (function.__defaults__, function.__kwdefaults__)


def _cells(function: FunctionType) -> list[Any]:
    """List what a function closes over and that is there already."""
    found = []
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # it is empty
            found.append(cell.cell_contents)
    return found


@functools.cache  # by the thing: what is loaded anew after an edit is a new thing
def _source(thing: type | Callable[..., Any], file: Path) -> str:
    file, name = file.resolve(), thing.__qualname__
    module = ast.parse(file.read_bytes())
    if isinstance(thing, FunctionType) and thing.__name__ == "<lambda>":
        return "\n".join(_lambda(thing, module, module, file))
    wanted = name.split(".")[0]
    if not any(wanted in bound_names(statement) for statement in module.body):
        raise ValueError(f"{name} is not in the source of {file.name}; define it there by name")
    return "\n".join(_definitions(module, file, {wanted}))


def _typed_source(thing: Any) -> str:
    """Dump typed code as cells, or by what it was compiled to where their text is not kept.

    Not remembered: other cells may define anew what it refers to.
    """
    found, beside = modules_of(thing), Path.cwd() / "cell"
    if found is None:
        return compiled(thing)
    if thing.__name__ == "<lambda>":
        return "\n".join(_lambda(thing, *found, beside))
    return "\n".join(_definitions(found[1], beside, {thing.__qualname__.split(".")[0]}))


def _lambda(thing: FunctionType, own: ast.Module, module: ast.Module, file: Path) -> list[str]:
    """Dump a lambda of its own module, which has no name, and its dependencies in another."""
    line = thing.__code__.co_firstlineno
    there = [n for n in ast.walk(own) if isinstance(n, ast.Lambda) and n.lineno == line]
    if len(there) != 1:
        raise ValueError(
            f"{thing.__qualname__} of line {line} of {file.name} cannot be told from others; "
            "define it by name, or on a line of its own"
        )
    return [ast.dump(there[0]), *_definitions(module, file, _names(there[0]))]


def _definitions(module: ast.Module, file: Path, wanted: set[str]) -> list[str]:
    """Dump the top-level statements of a file that the wanted names depend on."""
    imports = (s for s in module.body if isinstance(s, ast.Import | ast.ImportFrom))
    imported = {name for statement in imports for name in bound_names(statement)}
    binds = {i: bound_names(statement) for i, statement in enumerate(module.body)}
    for i, statement in enumerate(module.body):
        if isinstance(statement, ast.Expr):  # a call may change what it is given
            binds[i] |= _names(statement) - imported
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


def _imported(tree: ast.AST, file: Path, seen: set[Path]) -> list[str]:
    """Dump the files beside this one that some code imports, and their imports."""
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
        for name in sorted(modules):
            stems = [Path(*name.split(".")[: i + 1]) for i in range(name.count(".") + 1)]
            files = [
                path
                for folder, stem in itertools.product(folders, stems)
                for path in (folder / stem.with_suffix(".py"), folder / stem / "__init__.py")
                if path.is_file() and not _is_installed(str(path))
            ]
            yield from files or (() if above else map(Path.resolve, _elsewhere(name)))


def _elsewhere(module: str) -> Iterator[Path]:
    """Yield the user's own files of a module and of its packages."""
    places: Sequence[str] | None = None  # the import path
    parts = module.split(".")
    for i in range(len(parts)):
        name = ".".join(parts[: i + 1])
        loaded = sys.modules.get(name)
        spec = getattr(loaded, "__spec__", None) or PathFinder.find_spec(name, places)
        if spec is None or (spec.origin and _is_installed(spec.origin)):
            return
        if spec.origin and spec.origin.endswith(".py"):
            yield Path(spec.origin)
        if spec.submodule_search_locations is None:
            return
        places = list(spec.submodule_search_locations)


def _root(file: Path) -> Path:
    """Return the folder that holds a file's package; the file's own folder if it has none."""
    folder = file.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder
