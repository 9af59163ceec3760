"""A user's file: its imports are its own, whatever else the process has loaded."""

import importlib
import sys
import textwrap
from pathlib import Path

import pytest

from basin_jax import trial
from basin_jax.core.identity import digest_of
from basin_jax.runs.imports import execute_alone
from basin_jax.runs.sweepfile import execute, load_sweep


MAIN = """
    import package.inner
    import plain.deep
    from its_helper import value


    def now():
        return value() + package.inner.VALUE + plain.deep.VALUE


    def late():
        import later
        from package import latest

        return later.VALUE + latest.VALUE
    """
FILES = {
    "its_helper.py": "import farther\n\n\ndef value():\n    return farther.VALUE\n",
    "farther.py": "VALUE = 1{0}\n",
    "later.py": "VALUE = 10{0}\n",
    "package/__init__.py": "",
    "package/inner.py": "from .beside import VALUE\n",
    "package/beside.py": "VALUE = 100{0}\n",
    "package/latest.py": "import farther\n\nVALUE = 1000 + farther.VALUE\n",
    "plain/deep.py": "VALUE = 10000{0}\n",
}


@pytest.fixture
def write(tmp_path):
    """Write a file and its helpers, whose values end in some digits, to a folder."""

    def write(folder: str, digits: str, stem: str = "mine") -> Path:
        for name, text in {f"{stem}.py": MAIN, **FILES}.items():
            file = tmp_path / folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(text).format(digits))
        return tmp_path / folder / f"{stem}.py"

    return write


def test_helpers_of_one_name_are_each_files_own_now_and_later(write):
    one, two = (execute(write(folder, digits)) for folder, digits in (("a", "2"), ("b", "3")))
    assert (one.now(), two.now()) == (12 + 1002 + 100002, 13 + 1003 + 100003)
    assert (one.late(), two.late()) == (102 + 1012, 103 + 1013)


def test_running_a_file_moves_nothing_of_anothers(write, monkeypatch):
    theirs = write("theirs", "9", "script")
    monkeypatch.syspath_prepend(theirs.parent)
    for name in ("its_helper", "farther"):  # of other tests, too
        monkeypatch.delitem(sys.modules, name, raising=False)
    # As a user's script, or a notebook, does.
    its_helper = importlib.import_module("its_helper")
    path, modules = list(sys.path), dict(sys.modules)
    module = execute(write("own", "2"))
    assert (module.now(), module.late()) == (12 + 1002 + 100002, 102 + 1012)
    assert its_helper.value() == 19
    assert sys.path == path
    assert {name: sys.modules[name] for name in modules} == modules
    assert all(name.startswith("sweep_file_") for name in sys.modules.keys() - modules)
    del sys.modules["its_helper"], sys.modules["farther"]


def test_a_helper_that_is_edited_is_read_anew(write):
    first = execute(write("a", "2"))
    # Of the same size, and within a second: Python would take the old one from its cache.
    second = execute(write("a", "3"))
    assert (first.now(), second.now()) == (12 + 1002 + 100002, 13 + 1003 + 100003)
    assert not list(Path(second.__file__ or "").parent.rglob("*.pyc"))


def test_a_file_beside_it_stands_in_for_no_library(tmp_path):
    for name in ("json", "basin_jax", "mine"):
        (tmp_path / f"{name}.py").write_text("import basin_jax\nimport json\n")
    (tmp_path / "scipy").mkdir()  # a checkout, perhaps
    (tmp_path / "mine.py").write_text("import basin_jax\nimport json\nimport scipy\n")
    module = execute_alone(tmp_path / "mine.py")
    assert [module.basin_jax, module.json, module.scipy] == [
        sys.modules[name] for name in ("basin_jax", "json", "scipy")
    ]


@pytest.mark.parametrize("line", ["import nowhere", "from broken import x"])
def test_an_error_in_an_import_names_the_line_of_the_file_that_was_run(tmp_path, line):
    (tmp_path / "broken.py").write_text("\n\n\ndef\n")
    (tmp_path / "mine.py").write_text(f"\n{line}\n")
    with pytest.raises(ValueError, match=r"mine.py, line 2: "):
        execute(tmp_path / "mine.py")


SWEEP = """
import jax
import basin_jax as bj
import its_helper


class Told(bj.Organism):
    def init(self, key):
        return jax.random.normal(key)

    def sample(self, key):
        return None

    def loss(self, params, batch):
        return params**2

    def probe(self, key, params):
        import later

        return {"now": 0 * params + its_helper.VALUE, "late": 0 * params + later.VALUE}


sweep = bj.Sweep(organism=Told(), method=bj.methods.Gradient(learning_rate=0.01), num_steps=1)
"""


def test_two_sweeps_with_helpers_of_one_name_train_each_with_its_own(tmp_path):
    found, digests = [], []
    for folder, value in (("one", 0.25), ("two", 0.75)):
        (tmp_path / folder).mkdir()
        for name, text in (("its_helper", f"VALUE = {value}"), ("later", f"VALUE = {1 + value}")):
            (tmp_path / folder / f"{name}.py").write_text(text)
        (tmp_path / folder / "mine.py").write_text(SWEEP)
        sources = [load_sweep(tmp_path / folder / "mine.py") for _ in range(2)]
        evidence = trial(sources[0].cells[0], 0)
        found += [float(evidence["now"][-1]), float(evidence["late"][-1])]
        digests += [digest_of(source.cells[0]) for source in sources]
    assert found == [0.25, 1.25, 0.75, 1.75]
    assert digests[0] == digests[1] != digests[2] == digests[3]
