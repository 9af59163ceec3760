"""The architecture: a folder imports leftward only, and tests use public names alone."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import basin_jax


PACKAGE = Path(basin_jax.__file__).parent
# From left to right. Folders of one group import nothing of each other.
LAYERS = (
    {"files", "interrupts", "schema"},
    {"devices"},
    {"core"},
    {"networks"},
    {"organisms", "starts", "methods", "rules"},
    {"statistics"},
    {"compiler"},
    {"engine"},
    {"results"},
    {"runs"},
    {"rare"},
    {"report"},
    {"studies", "bench"},
    {"testing", "cli"},
    {"__main__"},
)
# The one import to the right: users look on the records themselves for what shows them. Its
# methods import the report when they are called, so no import is a circle.
ALLOWED = ("results.shown", "report")
PLACES = {name: place for place, group in enumerate(LAYERS) for name in group}
# What a user would write, and the package's own lazy door.
FILES = sorted({*PACKAGE.rglob("*.py")} - {PACKAGE / "__init__.py", PACKAGE / "cli/template.py"})


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports(path: Path) -> Iterator[str]:
    """Yield the modules of this package that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}, line {node.lineno}: a relative import"
            full = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            full = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in full:
            first, *parts = name.split(".")
            while parts and not _is_module(parts):
                parts.pop()
            if first == "basin_jax":
                # Of the package itself a file may know the version alone.
                assert parts or name in ("basin_jax", "basin_jax.__version__"), f"{path}: {name}"
                yield ".".join(parts)


def _is_module(parts: list[str]) -> bool:
    path = PACKAGE.joinpath(*parts)
    return path.is_dir() or path.with_suffix(".py").is_file()


def test_every_folder_has_its_place():
    assert {layer_of(path) for path in FILES} == {*PLACES}


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_a_folder_imports_leftward_only(path):
    own = layer_of(path)
    for module in imports(path):
        other = module.partition(".")[0]
        if (
            other and (module_of(path), other) != ALLOWED
        ):  # the package's own version is of no layer
            assert other == own or PLACES[other] < PLACES[own], f"{path.name} imports {module}"


def test_the_files_of_a_folder_import_in_no_circle():
    graph = {module_of(path): {*imports(path)} - {module_of(path)} for path in FILES}
    file, folder = ALLOWED
    graph[file] = {name for name in graph[file] if name.partition(".")[0] != folder}
    # A folder's front door imports the files behind it.
    inside = {name: {n for n in found if n in graph} for name, found in graph.items()}
    TopologicalSorter(inside).prepare()


def test_no_file_is_too_long():
    for path in FILES:
        assert len(path.read_text().splitlines()) <= 400, path


def test_no_function_is_too_long():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                assert lines <= 60, f"{path}: {node.name} has {lines} lines"


def test_every_public_name_resolves_and_is_where_the_stub_says():
    for node in ast.parse((PACKAGE / "__init__.pyi").read_text()).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                found = getattr(basin_jax, alias.name)
                home = f"basin_jax.{node.module}" if node.module else "basin_jax"
                where = found.__module__ if node.module else found.__name__.rpartition(".")[0]
                assert where == home


def test_an_unknown_name_is_an_attribute_error_that_names_it():
    with pytest.raises(AttributeError, match="Sweeep"):
        basin_jax.Sweeep  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("folder", ["networks", "organisms", "starts", "methods", "rules"])
def test_a_folder_of_plugins_exports_what_its_files_define(folder):
    package = getattr(basin_jax, folder)
    for path in (PACKAGE / folder).glob("[!_]*.py"):
        assert any(
            getattr(package, name).__module__.endswith(f".{path.stem}") for name in package.__all__
        )


def defined(path: Path) -> Iterator[str]:
    """Yield the names of the functions, classes and values that a file defines."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def used(path: Path) -> Iterator[str]:
    """Yield the names that a test imports from the package, reads of others, defines or patches."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("basin_jax"):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.Attribute):
            names = [node.attr]
        elif isinstance(node, ast.ClassDef):
            names = [inner.name for inner in node.body if isinstance(inner, ast.FunctionDef)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("setattr"):
            words = [each.value for each in node.args if isinstance(each, ast.Constant)]
            names = [str(word).rpartition(".")[2] for word in words]
        yield from names


def test_tests_use_public_names_alone():
    private = {name for path in FILES for name in defined(path) if re.match("_[^_]", name)}
    found = {path.name: private & {*used(path)} for path in Path(__file__).parent.rglob("*.py")}
    assert not {name: names for name, names in found.items() if names}


def test_importing_the_package_does_not_import_jax():
    code = "import sys, basin_jax; print([m for m in ('jax', 'numpy', 'flax') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
