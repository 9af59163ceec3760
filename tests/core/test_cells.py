"""Plug-ins that were typed: in notebooks, IPython, at a prompt, and with `python -c` and `-`."""

import itertools
import linecache
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

import basin_jax as bj
from basin_jax.core.identity import trace_of
from basin_jax.core.sources import origin
from basin_jax.results.store import StoreError


IMPORTS = "import jax.numpy as jnp\nimport numpy as np\nimport basin_jax as bj"
SCALE = "SCALE = 1.5"
HELPER = "def helper(x):\n    return SCALE * x ** 2"
MINE = """
class Mine(bj.organisms.DoubleWell):
    def loss(self, params, batch):
        return helper(super().loss(params, batch))
"""
CUT = """
LEAST = 0.25
class Cut(bj.Rule):
    def judge(self, evidence):
        return np.where(evidence["x"] > LEAST, bj.Verdict.DECEPTIVE, bj.Verdict.INTENDED)
"""
SWEEP = """
sweep = bj.Sweep(
    organism=Mine(), method=bj.methods.Gradient(learning_rate=0.3), num_steps=9
)
"""
CELLS = (IMPORTS, SCALE, HELPER, MINE, CUT, SWEEP)


class Session:
    """A module without a file, whose cells are kept as Python's prompt or IPython keeps them."""

    def __init__(self, monkeypatch, *, shell: bool):
        self.module = ModuleType("__main__" if shell else "typed")
        self.history: list[str] = []
        self.patch, self.shell, self.numbers = monkeypatch, shell, itertools.count()
        monkeypatch.setitem(sys.modules, self.module.__name__, self.module)
        monkeypatch.setattr(linecache, "cache", {})
        if shell:
            manager = SimpleNamespace(input_hist_parsed=self.history)
            found = SimpleNamespace(history_manager=manager)
            monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: found))

    def run(self, *cells: str) -> SimpleNamespace:
        """Run cells, and return what they have defined."""
        for text in cells:
            self.history.append(text)
            number = abs(hash(text)) if self.shell else next(self.numbers)
            name = f"<ipython-input-{number}>" if self.shell else f"<python-input-{number}>"
            linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
            exec(compile(text, name, "exec", dont_inherit=True), vars(self.module))
        return SimpleNamespace(**vars(self.module))


@pytest.fixture(params=["IPython", "a prompt"])
def session(request, wells, monkeypatch):
    return lambda: Session(monkeypatch, shell=request.param == "IPython")


def test_cells_that_are_run_again_make_the_same_sweep(session):
    digest = bj.digest_of(session().run(*CELLS).sweep)
    repeated = (
        *CELLS[:4],
        "# nothing",
        HELPER + "  # as before",
        *CELLS[3:],
        "sweep",
        "print(Mine)",
    )
    assert bj.digest_of(session().run(*repeated).sweep) == digest


@pytest.mark.parametrize(
    "edit", ["SCALE = 2.5", HELPER.replace("** 2", "** 4"), HELPER.replace("x **", "-x **")]
)
def test_what_a_cell_defines_anew_makes_another_sweep(session, edit):
    typed = session()
    own = typed.run(*CELLS)
    before, traced = bj.digest_of(own.sweep), trace_of(own.sweep)
    typed.run(edit)
    assert bj.digest_of(own.sweep) != before
    assert trace_of(own.sweep) != traced
    typed.run(SCALE, HELPER)
    assert bj.digest_of(own.sweep) == before


@pytest.mark.ci
def test_a_typed_plugin_is_trained_and_resumed_and_replayed(wells, tmp_path, monkeypatch):
    typed = Session(monkeypatch, shell=True)
    own = typed.run(*CELLS)
    then = bj.run(own.sweep, 8, tmp_path, rule=own.Cut(), lanes=8).frame
    assert bj.replay(tmp_path, seed=7).differing == ()
    # A helper is defined anew: it is what is trained.
    typed.run(HELPER.replace("** 2", "** 4"))
    with pytest.raises(StoreError, match="holds another sweep"):
        bj.run(own.sweep, 8, tmp_path, rule=own.Cut())
    with pytest.raises(ValueError, match="a cell or a global has changed"):
        bj.replay(tmp_path, seed=7)
    assert bj.trial(own.sweep, 3)["x"][-1] != pytest.approx(then["x"][3], abs=1e-3)
    # In another session.
    monkeypatch.setattr(sys.modules["basin_jax.runs.replay"], "RAN", {})
    again = Session(monkeypatch, shell=True).run(*CELLS)
    with pytest.raises(ValueError, match=r"names no sweep file.*`basin_jax\.run` here first"):
        bj.replay(tmp_path, seed=7)
    assert bj.run(again.sweep, 16, tmp_path, rule=again.Cut()).frame.head(8).equals(then)


def test_what_a_rule_refers_to_is_a_part_of_it(session):
    typed = session()
    first = typed.run(*CELLS)
    before = origin(first.Cut)
    typed.run("records = bj.Verdict(0)\nCut", "Cut()", "for LEAST_OTHER in range(3): pass")
    assert origin(first.Cut) == before
    typed.run("LEAST = 0.5")
    assert origin(first.Cut) != before
    typed.run(CUT)
    assert origin(first.Cut) == before


def test_a_class_that_a_cell_patches_is_another(session):
    typed = session()
    cut = typed.run(*CELLS).Cut
    before = origin(cut)
    typed.run("def judge(self, evidence):\n    return np.full(2, 2)", "Cut.judge = judge")
    assert origin(cut) != before


def test_a_builtin_function_that_a_cell_replaces_is_traced_anew(session):
    typed = session()
    own = typed.run(*(text.replace("SCALE * x", "abs(SCALE) * x") for text in CELLS))
    traced = trace_of(own.sweep)
    typed.run("def abs(x):\n    return 2 * x")
    assert trace_of(own.sweep) != traced


def test_statements_that_add_to_a_name_are_a_part_of_what_refers_to_it(session):
    table = "TABLE = {}\ndef read(x):\n    return TABLE"
    plain = origin(session().run(table).read)
    for more in ("TABLE['a'] = 1", "TABLE |= {'a': 1}", "TABLE['a'] = 2"):
        typed = session()
        read = typed.run(table).read
        typed.run(more)
        assert origin(read) != plain
        typed.run(table)
        assert origin(read) == plain


def test_classes_without_functions_lambdas_and_magics(session):
    typed = session()
    typed.run(IMPORTS, SCALE, HELPER, MINE, "%matplotlib" if False else "pass")
    linecache.cache["<ipython-input-9>"] = (3, None, ["!ls"], "<ipython-input-9>")
    typed.history.append("!ls")
    child = "class Child(Mine):\n    more: float = 2.0"
    first = typed.run(child).Child
    assert origin(first) == origin(typed.run(child).Child)
    before = origin(first)
    typed.run(HELPER.replace("** 2", "** 3"))
    assert origin(first) != before
    one, other = (typed.run(f"\nf = lambda x: x + {n}").f for n in (1, 2))
    assert origin(one) != origin(other)
    assert origin(one) == origin(typed.run("\nf = lambda x: x + 1  # again").f)


def typed_without_text(*cells: str) -> SimpleNamespace:
    module = ModuleType("typed")
    sys.modules["typed"] = module
    for text in cells:
        exec(compile(text, "<stdin>", "exec", dont_inherit=True), vars(module))
    return SimpleNamespace(**vars(module))


def test_code_whose_text_is_lost_is_identified_by_what_it_was_compiled_to(wells, monkeypatch):
    monkeypatch.setitem(sys.modules, "typed", None)
    first = typed_without_text(*CELLS)
    before = {name: origin(getattr(first, name)) for name in ("Mine", "Cut", "helper")}
    digest = bj.digest_of(first.sweep)
    same = typed_without_text(*(f"# a remark\n\n{text}" for text in CELLS))
    assert {name: origin(getattr(same, name)) for name in before} == before
    assert bj.digest_of(same.sweep) == digest
    for old, new in [("1.5", "2.5"), ("** 2", "** 3"), ("super().loss", "-super().loss")]:
        other = typed_without_text(*(text.replace(old, new) for text in CELLS))
        assert origin(other.Mine) != before["Mine"], new
        assert bj.digest_of(other.sweep) != digest
    for old, new in [("0.25", "0.5"), ('"x"] >', '"x"] <')]:
        other = typed_without_text(*(text.replace(old, new) for text in CELLS))
        assert origin(other.Cut) != before["Cut"], new


def test_a_class_of_a_file_is_none_of_a_cell(monkeypatch):
    typed = Session(monkeypatch, shell=False)
    before = origin(Session)
    typed.run(IMPORTS, "class Session:\n    def __init__(self): pass")
    assert origin(Session) == before


@pytest.mark.ci
def test_a_program_is_one_sweep_however_python_is_given_it(wells, tmp_path, monkeypatch):
    text = "\n".join([*CELLS, "print(bj.digest_of(sweep))", ""])
    (tmp_path / "typed.py").write_text(text)
    python, pipe = sys.executable, subprocess.PIPE
    with (tmp_path / "typed.py").open() as file:
        started = {
            "argument": subprocess.Popen([python, "-c", text], stdout=pipe, text=True),
            "file": subprocess.Popen([python, "-"], stdin=file, stdout=pipe, text=True),
            "pipe": subprocess.Popen([python, "-"], stdin=pipe, stdout=pipe, text=True),
        }
        given = {"pipe": text}
        found = {way: p.communicate(given.get(way))[0] for way, p in started.items()}
    assert found["argument"] == found["file"]
    monkeypatch.setitem(sys.modules, "typed", None)
    assert found["pipe"].strip() == bj.digest_of(typed_without_text(*CELLS).sweep)
