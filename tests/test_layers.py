"""The architecture: a folder imports leftward only, files of a folder import in no circle."""

import ast
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
    {"devices", "files", "schema"},
    {"core"},
    {"networks"},
    {"organisms", "starts", "methods", "rules"},
    {"statistics"},
    {"compiler"},
    {"engine"},
    {"results"},
    {"runs"},
    {"report"},
    {"studies", "bench"},
    {"testing", "cli"},
    {"__main__"},
)
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
        if other:  # the package's own version is of no layer
            assert other == own or PLACES[other] < PLACES[own], f"{path.name} imports {module}"


def test_the_files_of_a_folder_import_in_no_circle():
    graph = {module_of(path): {*imports(path)} - {module_of(path)} for path in FILES}
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


def test_importing_the_package_does_not_import_jax():
    code = "import sys, basin_jax; print([m for m in ('jax', 'numpy', 'flax') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
