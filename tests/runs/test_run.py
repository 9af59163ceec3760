"""A run on a folder whose verdicts or pilots would make its numbers others than they seem."""

import sys
from types import SimpleNamespace

import folders
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest

import basin_jax as bj
from basin_jax.core.identity import digest_of
from basin_jax.engine.autotune import Tuning
from basin_jax.report.page import write_report
from basin_jax.results.store import StoreError
from basin_jax.runs.progress import Progress


LEAST = {"fit": 0.25}  # what a rule may read besides its own code


class Reading(bj.Rule):
    def judge(self, evidence):
        return np.where(evidence["x"] > LEAST["fit"], bj.Verdict.DECEPTIVE, bj.Verdict.INTENDED)


def test_a_rule_that_reads_something_else_now_is_not_gone_on_with(wells, tmp_path, monkeypatch):
    records = bj.run(wells, 32, tmp_path, rule=Reading(), lanes=8)
    assert bj.run(wells, 32, tmp_path, rule=Reading()).frame.equals(records.frame)
    monkeypatch.setitem(LEAST, "fit", -3.0)
    with pytest.raises(StoreError, match="other verdicts than Reading gives now"):
        bj.run(wells, 64, tmp_path, rule=Reading())
    assert bj.load(tmp_path).frame.equals(records.frame)


class Decomposed(bj.organisms.DoubleWell):
    """Has an operation that only XLA knows."""

    def loss(self, params, batch):
        return super().loss(jnp.linalg.eigvalsh(params[None, None])[0], batch)


class Told(Progress):
    def __init__(self):
        self.lines = []

    def tell(self, line):
        self.lines.append(line)


@pytest.mark.parametrize("lanes", [8, pytest.param(None, marks=pytest.mark.ci)])
def test_why_xla_trains_is_told_once_however_the_lanes_are_chosen(wells, tmp_path, lanes):
    cells = [cell.replace(organism=Decomposed(tilt=cell.organism.tilt)) for cell in wells]
    for seeds in (8, 16):
        bj.run(cells, seeds, tmp_path, lanes=lanes, progress=(told := Told()))
        (line,) = [line for line in told.lines if "since" in line]
        assert line.startswith("backend: xla, since cpu has no program for the primitive eigh")


def test_progress_shows_where_python_runs_and_can_be_turned_off(wells, tmp_path, capfd):
    bj.run(wells, 8, tmp_path, lanes=8)
    shown = capfd.readouterr()
    assert "8 of 8 seeds, deceptive so far" in shown.err
    assert shown.out == ""
    bj.run(wells, 16, tmp_path, progress=False)
    assert capfd.readouterr() == ("", "")


def test_progress_shows_in_the_output_of_a_notebooks_cell(wells, tmp_path, monkeypatch, capfd):
    pages = []

    def display(content, *, raw, display_id):
        pages.append(content["text/plain"])
        return SimpleNamespace(update=lambda content, raw: pages.append(content["text/plain"]))

    shell = SimpleNamespace(kernel=object(), history_manager=SimpleNamespace(input_hist_parsed=[]))
    ipython = SimpleNamespace(get_ipython=lambda: shell, display=SimpleNamespace(display=display))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    bj.run(wells, 8, tmp_path, lanes=8)
    assert "tilt=0.2" in pages[-1]
    assert "8 │" in pages[-1]
    assert "\x1b" not in pages[-1]
    assert capfd.readouterr().err == ""
    bj.run(wells, 8, tmp_path, progress=False)
    assert capfd.readouterr() == ("", "")


def test_a_resumed_folder_keeps_its_backend_whatever_would_be_chosen_now(
    wells, tmp_path, monkeypatch
):
    monkeypatch.setattr("basin_jax.runs.manifest.choose", lambda *_, **__: Tuning("xla", 4, 1.0))
    begun = bj.run(wells, 8, tmp_path).frame
    monkeypatch.undo()
    records = bj.run(wells, 40, tmp_path)
    plans = folders.plans_of(records.manifest)
    assert {(plan["backend"]["name"], plan["lanes"]) for plan in plans} == {("xla", 4)}
    assert records.frame.filter(pl.col("seed") < 8).equals(begun)


def test_what_is_chosen_is_told_once_and_not_for_each_cell(wells, tmp_path, monkeypatch):
    def choose(*_, tell, **__):
        tell("measuring")
        return Tuning("cpu", 16, 1.0)

    monkeypatch.setattr("basin_jax.runs.manifest.choose", choose)
    cells = [cell.replace(num_steps=steps) for cell in wells for steps in (1, 2, 3)]
    bj.run(cells, 8, tmp_path, progress=(told := Told()))
    assert told.lines[:3] == [
        "compiling 1 program, some seconds each at first",
        "measuring",
        "training with the backend cpu, 16 lanes",
    ]


def test_a_width_is_not_asked_for_where_a_pilots_seeds_would_count(wells, tmp_path):
    bj.run(wells[:1], 8, tmp_path, pilot="chose the gap", lanes=8)
    with pytest.raises(StoreError, match=r"until = 0\.5.* the seeds of a pilot"):
        bj.run(wells[:1], None, tmp_path, until=0.5)


def test_a_note_stays_with_its_run_and_changes_no_identity(wells, tmp_path):
    bj.run(wells[:1], 8, tmp_path, lanes=8, note="a first look")
    records = bj.run(wells[:1], 16, tmp_path, note="for the <paper>")
    assert [*records.cells] == [digest_of(wells[0])]
    # As a set: two runs of one second have no order.
    assert {run["note"] for run in records.runs} == {"a first look", "for the <paper>"}
    told = [line for lines in records.provenance().values() for line in lines]
    assert sum(line.endswith("; note: a first look") for line in told) == 1
    page = write_report(records).read_text()
    assert "note: a first look" in page
    assert "note: for the &lt;paper&gt;" in page


@pytest.mark.parametrize("note", ["", " ", "a\x1b[31mb"])
def test_a_note_is_words(wells, tmp_path, note):
    with pytest.raises(ValueError, match=r"note = .*; allowed: "):
        bj.run(wells[:1], 8, tmp_path / "made", note=note)
    assert not (tmp_path / "made").exists()


@pytest.mark.ci
def test_the_commands_of_a_report_repeat_every_run(wells, tmp_path):
    bj.run(wells[:1], 8, tmp_path, pilot="chose the gap", lanes=8)
    bj.run(wells[:1], 40, tmp_path)
    bj.run(wells[:1], range(40, 48), tmp_path)
    page = write_report(bj.load(tmp_path)).read_text()
    commands = [
        "basin-jax run FILE --seeds 8 --pilot &#39;chose the gap&#39; --out DIR",
        "basin-jax run FILE --seeds 40 --out DIR",
        "# 8 seeds, from 40 to 47\nbasin-jax run FILE --out DIR",
    ]
    assert all(command in page for command in commands)


@pytest.mark.ci
def test_a_parent_that_other_code_has_trained_is_no_condition(wells, tmp_path):
    parent, other = (bj.run(wells[:1], 8, tmp_path / name, lanes=8) for name in ("a", "b"))
    child = bj.run(
        wells[0].replace(start=bj.starts.Trained(of=wells[0])), 8, tmp_path / "c", lanes=8
    )
    given = bj.Given(bj.Verdict.DECEPTIVE, parent=parent)
    assert sum(child.fractions(given=given)["hits"]) > 0
    (cell,) = other.manifest["cells"].values()
    cell["sources"] = cell["sources"] | {"method": "basin_jax 0"}
    with pytest.raises(ValueError, match="trained by the same code"):
        child.fractions(given=bj.Given(bj.Verdict.DECEPTIVE, parent=other))
