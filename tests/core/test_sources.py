"""Where a plug-in's code is looked for: all that is the user's own is read, and nothing else."""

import importlib.util
import sys
import uuid
from pathlib import Path

import pytest

from basin_jax.core import sources as identity
from basin_jax.core.sources import origin


MINE = """
def plugin():
    import lib.deep
    return lib.deep.VALUE
"""


def function_of(folder: Path):
    """Write a file to a folder, and return the function that it defines."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine.py").write_text(MINE)
    spec = importlib.util.spec_from_file_location(f"m{uuid.uuid4().hex}", folder / "mine.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.plugin


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A module of the user's own elsewhere on the import path, which is not loaded yet."""
    file = tmp_path / "elsewhere" / "lib" / "deep.py"
    file.parent.mkdir(parents=True)
    file.write_text("VALUE = 1\n")
    (file.parent / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    yield file
    for name in ("lib", "lib.deep"):
        sys.modules.pop(name, None)


def test_a_module_elsewhere_counts_whether_it_is_loaded_or_not(library, tmp_path):
    before = origin(function_of(tmp_path / "own"))
    mine = function_of(tmp_path / "own")
    assert mine() == 1
    assert origin(mine) == before
    library.write_text("VALUE = 2\n")
    assert origin(function_of(tmp_path / "own")) != before


def test_a_helper_beside_it_is_not_mixed_with_one_that_another_file_has_loaded(library, tmp_path):
    beside = tmp_path / "own" / "lib" / "deep.py"
    beside.parent.mkdir(parents=True)
    beside.write_text("VALUE = 3\n")
    before = origin(function_of(tmp_path / "own"))
    assert function_of(tmp_path / "other")() == 1
    assert origin(function_of(tmp_path / "own")) == before


def test_a_folder_whose_name_begins_as_the_packages_does_is_the_users_own(tmp_path, monkeypatch):
    monkeypatch.setattr(identity, "__file__", str(tmp_path / "basin" / "core" / "sources.py"))
    for folder in ("basin_mine", "my-site-packages"):
        assert origin(function_of(tmp_path / folder)).startswith("source ")


def test_a_package_that_is_installed_beside_it_is_told_by_its_version(tmp_path, monkeypatch):
    # As a sweep in the folder of a checkout of this package.
    monkeypatch.setattr(identity, "__file__", str(tmp_path / "own" / "lib" / "core" / "sources.py"))
    beside = tmp_path / "own" / "lib" / "deep.py"
    beside.parent.mkdir(parents=True)
    beside.write_text("VALUE = 1\n")
    before = origin(function_of(tmp_path / "own"))
    beside.write_text("VALUE = 2\n")
    assert origin(function_of(tmp_path / "own")) == before
