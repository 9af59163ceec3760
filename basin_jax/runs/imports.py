"""Run a user's file with imports of its own, however many files one process runs.

The files beside it become a package with a unique name, so that a helper module of another file,
or an older version of its own, is never imported in its place, now or later. The import path and
all other modules stay as they were.
"""

import builtins
import importlib.util
import itertools
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any


PREFIX = "sweep_file_"
# Whatever stands beside a file: a sweep called json.py is no library.
SHARED = frozenset({*sys.stdlib_module_names, "basin_jax"})
_numbers = itertools.count()


def execute_alone(file: Path) -> ModuleType:
    """Run a file of Python, and return it as a module.

    Import statements of the file and its helpers look beside the file first.
    """
    package = f"{PREFIX}{next(_numbers)}"
    around = ModuleType(package)
    around.__path__ = [str(file.parent)]
    sys.modules[package] = around  # annotations, sources and later imports are looked up there
    name = f"{package}.{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file, loader=_Loader(name, str(file)))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class _Loader(SourceFileLoader):
    """Run a file whose import statements find the files beside the one that was run first."""

    def get_code(self, fullname: str) -> CodeType:
        # Not what is kept compiled: it is told from an edit by the second and the size alone.
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)

    def exec_module(self, module: ModuleType) -> None:
        own = _importer(module.__name__.partition(".")[0])
        module.__dict__["__builtins__"] = vars(builtins) | {"__import__": own}
        super().exec_module(module)


class _Finder(MetaPathFinder):
    """Find the files beside one that was run, as they are now."""

    def find_spec(
        self, fullname: str, path: Iterable[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(PREFIX):
            return None
        finders = (FileFinder(folder, (_Loader, [".py"])) for folder in path or ())
        return next(filter(None, (finder.find_spec(fullname) for finder in finders)), None)


def _importer(package: str) -> Callable[..., Any]:
    """Make the `import` of files in a package made from a folder."""
    (folder,) = map(Path, sys.modules[package].__path__)

    def own_import(
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        first = name.partition(".")[0]
        if level or not _is_beside(folder, first):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        found = builtins.__import__(f"{package}.{name}", globals, locals, fromlist or (), 0)
        return found if fromlist else sys.modules[f"{package}.{first}"]

    return own_import


def _is_beside(folder: Path, name: str) -> bool:
    if name in SHARED:
        return False
    inside = folder / name
    if inside.with_suffix(".py").is_file() or (inside / "__init__.py").is_file():
        return True
    # A folder of modules without an `__init__.py` is the last that Python looks for.
    found = importlib.util.find_spec(name) if inside.is_dir() else None
    return inside.is_dir() and not (found and found.has_location)


sys.meta_path.insert(0, _Finder())
