"""The documents: examples run, files and links exist, the architecture lists every file."""

import doctest
import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import basin_jax


PACKAGE = Path(basin_jax.__file__).parent
ROOT = PACKAGE.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *PACKAGE.rglob("README.md")])
PAGES += [ROOT / "sweeps/README.md", ROOT / "benchmarks/README.md"]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>> " in path.read_text()
]


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_in_docstrings_run(module):
    found = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert found.attempted
    assert not found.failed


@pytest.mark.ci
def test_the_examples_of_the_page_on_extending_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs/extending.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 5
    for number, block in enumerate(blocks):
        # As files, since a plug-in is identified by its source.
        file = tmp_path / f"block_{number}.py"
        file.write_text(block)
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, file.stem, module)
        spec.loader.exec_module(module)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.ci
def test_the_site_is_built_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", ROOT / "docs", tmp_path]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (0, "")
    assert "fraction of seeds" in (tmp_path / "reference.html").read_text()


@pytest.mark.ci
@pytest.mark.parametrize(("page", "least"), [("tutorial", 5), ("paper", 2)])
def test_the_examples_of_a_page_run_one_after_another(tmp_path, monkeypatch, page, least):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / f"docs/{page}.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
    assert len(blocks) >= least


def test_the_architecture_lists_every_file():
    page = (ROOT / "docs/architecture.md").read_text()
    listed = re.findall(r"^\| (?:\*\*)?`([\w/.]+)`", page, re.MULTILINE)
    files = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py")}
    plain = {name for name in files if not name.endswith(("__init__.py", "__main__.py"))}
    assert {name for name in listed if name.endswith(".py")} == plain
    assert len(listed) == len({*listed})
