"""Hash the code of this package that decides a seed's bits and its verdict, but for plug-ins.

This is the kernel, the rules, and all that they import. Organisms, starts and methods are in the
program that each sweep traces, which its digest holds, so that one that is added or edited changes
the identity of no sweep that does not use it. Other code may change without a folder being refused.
"""

import ast
import contextlib
import functools
import hashlib
import importlib.metadata
import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import flax
import jax
import numpy as np
import optax

from basin_jax.devices import cache_directory, cpu_model
from basin_jax.files import is_private, read_file, write_file


# Their imports are added.
ROOTS = ("engine/kernel", "runs/plan", "core/verdict")
HEADERS = (".h", ".cuh")
_PACKAGE, _NAME = Path(__file__).parents[1], __name__.partition(".")[0]
# A string of C++, which is kept, or a comment.
_COMMENT = re.compile(r'("(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\')|//[^\n]*|/\*.*?\*/', re.DOTALL)


@functools.cache
def package_identity(*roots: str) -> str:
    """Return the package's version and the hash of the code that decides bits, with `roots`."""
    version = sys.modules[_NAME].__version__
    return f"{version} source {remembered_hash(_PACKAGE, *roots)}"


def remembered_hash(package: Path, *roots: str) -> str:
    """Return `code_hash`, which takes most of a second, from the user's cache where it is known.

    It is computed anew where the size or a time of a file has changed: among these times is one
    that nobody can set.
    """
    files = sorted(file for file in package.rglob("*") if file.suffix in (".py", *HEADERS))
    stats = {str(file): file.stat() for file in files}
    states = [(file, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for file, s in stats.items()]
    made = hashlib.sha256(repr([sys.version, roots, states]).encode()).hexdigest()
    note = cache_directory() / "code" / made
    with contextlib.suppress(OSError, ValueError):
        known = read_file(note, at_most=100).decode()
        if is_private(note.parent) and re.fullmatch("[0-9a-f]{12}", known):
            return known
    found = code_hash(package, *roots)
    with contextlib.suppress(OSError):  # no place for it: the next process computes it again
        note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_file(note, found.encode())
    return found


def code_hash(package: Path, *roots: str) -> str:
    """Return a hash of the code that decides bits, independent of the package's path.

    It leaves out comments, docstrings and blanks, and includes headers of C++.
    """
    texts = {file: _python(tree) for file, tree in modules(package, *roots).items()}
    folders = {file.parent for file in texts} - {package}
    headers = (file for folder in folders for file in folder.iterdir() if file.suffix in HEADERS)
    texts |= {file: _header(file.read_text()) for file in headers}
    named = sorted((file.relative_to(package).as_posix(), text) for file, text in texts.items())
    return hashlib.sha256(repr(named).encode()).hexdigest()[:12]


def modules(package: Path, *roots: str) -> dict[Path, ast.Module]:
    """Return the kernel, the rules, and all their imports, by their files."""
    rules = (package / "rules").glob("*.py")
    waiting = [*rules, *(package / f"{root}.py" for root in (*ROOTS, *roots))]
    waiting += {file.with_name("__init__.py") for file in waiting}
    found: dict[Path, ast.Module] = {}
    while waiting:
        file = waiting.pop()
        if file not in found:
            found[file] = ast.parse(file.read_bytes())
            waiting += _imported(package, found[file])
    return found


def _imported(package: Path, tree: ast.Module) -> Iterator[Path]:
    """Yield the modules of this package that a module imports, and their packages."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            first, *parts = name.split(".")
            stems = [package.joinpath(*parts[: i + 1]) for i in range(len(parts))]
            for stem in stems if first == _NAME else []:
                yield from filter(Path.is_file, (stem.with_suffix(".py"), stem / "__init__.py"))


def _python(tree: ast.Module) -> str:
    """Remove the docstrings from code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    return ast.unparse(tree)


def _header(text: str) -> str:
    """Remove comments and insignificant blanks from C++."""
    text = _COMMENT.sub(lambda found: found[1] or " ", text)
    return "\n".join(filter(None, (" ".join(line.split()) for line in text.splitlines())))


def machine_identity() -> dict[str, str]:
    """Return the versions and the kind of device that fix a seed's bits."""
    device = jax.local_devices()[0]
    return {
        "basin_jax": package_identity(),
        "jax": jax.__version__,
        "jaxlib": importlib.metadata.version("jaxlib"),
        "flax": flax.__version__,
        "optax": optax.__version__,
        "numpy": np.__version__,
        "platform": device.platform,
        "device": cpu_model() if device.platform == "cpu" else device.device_kind,
        "architecture": platform.machine(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
    }


def changes_since(then: Mapping[str, str]) -> list[str]:
    """Describe the differences between a folder's machine and this one, a line for each."""
    now = machine_identity()
    return [f"{n}: {then.get(n)} then, {now[n]} now" for n in now if then.get(n) != now[n]]
