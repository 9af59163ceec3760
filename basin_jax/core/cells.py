"""Find code that was typed: in notebooks, IPython, at a prompt, by `python -c` and `python -`.

Python keeps the text of cells in `linecache`, IPython also in its history. Where no text is kept,
code is identified by what it was compiled to.
"""

import ast
import functools
import linecache
import os
import stat
import sys
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any


PROMPT = "<python-input-"  # Python 3.13 and later
ARGUMENT, INPUT = "<string>", "<stdin>"
INPUT_BYTES = 2**24
MISSING = object()
PLAIN = (bool, int, float, complex, str, bytes, type(None))


@functools.cache
def is_typed(thing: type | FunctionType) -> bool:
    """Return True if no file holds the code of a class or function."""
    if thing.__module__ in sys.builtin_module_names:
        return False
    file = getattr(sys.modules.get(thing.__module__), "__file__", None)
    return file is None or not os.path.isfile(file) or _text_of(thing) is not None


def modules_of(thing: type | FunctionType) -> tuple[ast.Module, ast.Module] | None:
    """Return the cell of typed code; and its definition with what all cells have bound last.

    It is None where no text is kept. Expressions are left out, since those of a notebook run and
    show things.
    """
    name = thing.__qualname__.split(".")[0]
    own, cells = _text_of(thing), _cells(thing)
    if own is None and isinstance(thing, type):
        # It has no function of its own, whose code would name its cell.
        own = next((text for text in reversed(cells) if name in _bound(text)), None)
    if own is None or (thing.__name__ != "<lambda>" and name not in _bound(own)):
        return None
    body = [s for s in _statements(own) if name in bound_names(s)]
    bound = {name for statement in body for name in bound_names(statement, anew=True)}
    for text in reversed(cells if own in cells else [*cells, own]):
        fresh = [s for s in _statements(text) if not bound_names(s) <= bound or _adds(s, name)]
        body[:0] = [s for s in fresh if not isinstance(s, ast.Expr)]
        bound |= _bound(text) - {"*"}
    return ast.Module(list(_statements(own)), []), ast.Module(body, [])


def _adds(statement: ast.stmt, name: str) -> bool:
    return name in bound_names(statement) - bound_names(statement, anew=True)


def compiled(thing: type | FunctionType) -> str:
    """Describe what typed code was compiled to, with all that it refers to.

    Raises:
        ValueError: where nothing can be told of it.
    """
    if not any(_functions(thing)):
        raise ValueError(
            f"{thing.__qualname__} has no file to be identified by; define it in one and import it"
        )
    return "\n".join([str(sys.implementation.cache_tag), *_compiled(thing, set())])


def referred(thing: type) -> tuple[Any, ...]:
    """Return what the functions of a typed class find in its cells now, to tell it from later.

    A helper that is defined again is another one.
    """
    edges, values = _REFERRED.get(thing, ((), None))
    if values is None or any(table.get(name, MISSING) is not value for table, name, value in edges):
        edges = tuple(_edges(thing, set()))
        values = tuple(repr(v) if _is_plain(v) else _Itself(v) for *_, v in edges)
        _REFERRED[thing] = edges, values
    return values


_REFERRED: dict[type, tuple[tuple[tuple[dict[str, Any], str, Any], ...], Any]] = {}


class _Itself:
    """Equal to nothing but what holds the same object."""

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


def _functions(thing: Any) -> Iterator[FunctionType]:
    """Yield a function, or those that a class defines in its own module."""
    held = (
        [thing] if isinstance(thing, FunctionType) else [*getattr(thing, "__dict__", {}).values()]
    )
    for value in held:
        for name in ("fget", "func", "__func__", "__wrapped__"):
            value = getattr(value, name, value)
        table = getattr(value, "__globals__", {})
        if isinstance(value, FunctionType) and table.get("__name__") == thing.__module__:
            yield value


def _text_of(thing: type | FunctionType) -> str | None:
    """Return the text of the cell in which a class or function was defined, if it is kept."""
    others = {ARGUMENT: _argument, INPUT: _input} if thing.__module__ == "__main__" else {}
    name = thing.__qualname__.split(".")[0]
    for function in _functions(thing):
        file = function.__code__.co_filename
        text = _kept(file) or others.get(file, lambda: None)()
        if text and (thing.__name__ == "<lambda>" or name in _bound(text)):
            return text.rstrip()
    return None


def _kept(name: str) -> str | None:
    """Return the text that `linecache` keeps of a name, unless that is of a file."""
    entry: Any = linecache.cache.get(name, ())
    return "".join(entry[2]) if len(entry) == 4 and entry[1] is None else None


def _cells(thing: type | FunctionType) -> list[str]:
    """Return the texts of all cells, in the order in which they were run last."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    manager = getattr(shell, "history_manager", None)
    if manager is not None and thing.__module__ == "__main__":
        history = [*manager.input_hist_parsed]
    else:
        history = [_kept(name) or "" for name in linecache.cache if name.startswith(PROMPT)]
    last = {text.rstrip(): place for place, text in enumerate(history)}
    return [text for text in sorted(last, key=last.__getitem__) if text]


def _argument() -> str | None:
    """Return the argument of `python -c`."""
    if not sys.argv or sys.argv[0] != "-c" or len(sys.orig_argv) < len(sys.argv):
        return None
    text = sys.orig_argv[-len(sys.argv)]
    return text.partition("c")[2] if text.startswith("-") else text


@functools.cache
def _input() -> str | None:
    """Return the standard input of `python -`, where that is a file."""
    try:
        status = os.fstat(0)
        if not stat.S_ISREG(status.st_mode) or status.st_size > INPUT_BYTES:
            return None
        return os.pread(0, status.st_size, 0).decode()
    except (OSError, ValueError):
        return None


@functools.lru_cache(maxsize=4096)
def _statements(text: str) -> tuple[ast.stmt, ...]:
    try:
        return tuple(ast.parse(text).body)
    except (SyntaxError, ValueError):
        return ()


def _bound(text: str) -> set[str]:
    return {n for statement in _statements(text) for n in bound_names(statement, anew=True)}


def bound_names(statement: ast.stmt, *, anew: bool = False) -> set[str]:
    """Find the names that a top-level statement binds.

    Those that it adds to, or whose items it sets, are among them unless `anew`.
    """
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    bound: set[str] = set()
    added = [node.target for node in ast.walk(statement) if isinstance(node, ast.AugAssign)]
    for node in ast.walk(statement):  # a definition may stand under an `if` or a `try`
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {(a.asname or a.name).split(".")[0] for a in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound |= set() if anew and node in added else {node.id}
        elif isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            names = {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)}
            bound |= set() if anew else names
    return bound


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yield a code object and those inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _edges(thing: Any, seen: set[int]) -> Iterator[tuple[dict[str, Any], str, Any]]:
    """Yield the global names that code refers to, with their tables and values, and theirs."""
    seen.add(id(thing))
    for base in getattr(thing, "__bases__", ()):
        if id(base) not in seen and is_typed(base):
            yield from _edges(base, seen)
    for function in _functions(thing):
        table = function.__globals__
        for name in sorted({n for c in _codes(function.__code__) for n in c.co_names}):
            value = table.get(name, MISSING)  # an attribute, a built-in function, or still to come
            yield table, name, value
            inner = getattr(value, "__wrapped__", value)  # of a compiled function
            if _is_code(inner) and id(inner) not in seen and is_typed(inner):
                yield from _edges(inner, seen)


def _compiled(thing: Any, seen: set[int]) -> Iterator[str]:
    """Yield the operations and constants of code, and of the typed code that it refers to."""
    seen.add(id(thing))
    yield thing.__qualname__
    for base in getattr(thing, "__bases__", ()):
        if id(base) in seen or not is_typed(base):
            yield f"{base.__module__}.{base.__qualname__}"
        else:
            yield from _compiled(base, seen)
    if isinstance(thing, type):
        plain = {n: v for n, v in vars(thing).items() if _is_plain(v) and not n.startswith("__")}
        yield repr(sorted(plain.items()))
    for function in _functions(thing):
        yield from map(_operations, _codes(function.__code__))
        yield repr([v for v in function.__defaults__ or () if _is_plain(v)])
        held = [cell.cell_contents for cell in function.__closure__ or ()]
        yield repr([value for value in held if _is_plain(value)])
    edges = [edge for edge in _edges(thing, set()) if edge[2] is not MISSING]
    for _, name, value in sorted(edges, key=lambda edge: edge[1]):
        yield f"{name} = {value!r}" if _is_plain(value) else name
        inner = getattr(value, "__wrapped__", value)
        if _is_code(inner) and id(inner) not in seen and is_typed(inner):
            yield from _compiled(inner, seen)


def _operations(code: CodeType) -> str:
    constants = [
        sorted(map(repr, c)) if isinstance(c, frozenset) else c
        for c in code.co_consts
        if not isinstance(c, CodeType)
    ]
    return f"{code.co_code.hex()} {constants!r} {code.co_names} {code.co_varnames}"


def _is_code(value: Any) -> bool:
    return isinstance(value, FunctionType | type)


def _is_plain(value: Any) -> bool:
    return isinstance(value, PLAIN) or (isinstance(value, tuple) and all(map(_is_plain, value)))
