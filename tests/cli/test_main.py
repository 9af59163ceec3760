"""The command line, as a newcomer and as a careless user would type it."""

import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from careless import BAD, FILES
from scipy.special import ndtr

import basin_jax
from basin_jax.cli import main as commands
from basin_jax.cli.main import main
from basin_jax.interrupts import PARENT
from basin_jax.results.store import Store
from basin_jax.statistics.estimates import estimate


def basin(*arguments: str, cwd: Path, code: int = 0) -> str:
    """Call `basin-jax` in this process, expect an exit code, and return all that it printed."""
    printed = io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
    ):
        patch.chdir(cwd)
        patch.setenv("COLUMNS", "120")
        patch.setattr("sys.argv", ["basin-jax", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    assert (ended.value.code or 0) == code, printed.getvalue()
    return printed.getvalue()


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder in which `new` wrote a sweep file, and `run` ran it."""
    folder = tmp_path_factory.mktemp("cli")
    basin("new", "mine", cwd=folder)
    noted = ("--note", "the template")
    text = basin("run", "mine.py", "--seeds", "300", "--lanes", "16", *noted, cwd=folder)
    assert "scale=0.25" in text
    assert re.search(
        r"300 of 300 seeds, deceptive so far 0\.\d+ \[.*\] \(anytime interval\);", text
    )
    assert "Final fractions (fixed interval):" in text
    page = (folder / "runs/mine/report/report.html").read_text()
    assert "Call a seed deceptive if it does the unintended act more often than not." in page
    return folder


def test_new_writes_a_file_of_sixty_lines_that_runs_as_it_is(made):
    assert len((made / "mine.py").read_text().splitlines()) <= 60
    assert "mine.py" in (made / "mine.py").read_text()
    fractions = basin_jax.load(made / "runs/mine").fractions(by=["scale"])
    for scale, verdict, hits, trials in fractions.select(
        "organism.scale", "verdict", "hits", "trials"
    ).iter_rows():
        if verdict == "DECEPTIVE":
            exact = estimate(hits, trials, level=0.999)
            assert exact.low <= 2 * ndtr(-0.5 / scale) <= exact.high


def test_runs_lists_what_a_folder_has(made):
    text = basin("runs", "--match", "template", cwd=made)
    assert re.search(r"mine +20\d\d-.* 300 +0\.\d+ to 0\.\d+ +complete +the template", text)


def test_the_version_and_the_names_of_commands_are_told(monkeypatch, tmp_path):
    assert basin("--version", cwd=tmp_path) == f"basin-jax {basin_jax.__version__}\n"
    monkeypatch.setenv("_BASIN_JAX_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "basin-jax st")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert basin(cwd=tmp_path).split() == ["status", "study", "studies"]


@pytest.mark.ci
def test_report_writes_what_a_paper_needs(made):
    shutil.rmtree(made / "runs/mine/report")
    basin("report", "runs/mine", cwd=made)
    written = {path.name for path in (made / "runs/mine/report").iterdir()}
    wanted = {"fractions.csv", "fractions.tex", "fractions.png", "fractions.pdf", "report.html"}
    assert wanted <= written
    # The folder has the docstring of the user's own rule, though not the rule.
    page = (made / "runs/mine/report/report.html").read_text()
    assert "rule <code>Halves</code>: Call a seed deceptive if it does the unintended act" in page


@pytest.mark.ci
def test_another_rule_needs_no_training(made):
    (made / "strict.py").write_text(
        "from basin_jax.rules import Behavior\nrule = Behavior(deceptive_gap=0.9)\n"
    )
    basin("report", "runs/mine", "--rule", "strict.py", cwd=made)
    fractions = pl.read_csv(made / "runs/mine/report-strict/fractions.csv")
    stricter = fractions.filter(verdict="DECEPTIVE")["hits"].to_list()
    lax = basin_jax.load(made / "runs/mine").fractions().filter(verdict="DECEPTIVE")["hits"]
    assert all(a < b for a, b in zip(stricter, lax, strict=True))


@pytest.mark.ci
def test_an_engine_trains_by_workers_and_writes_one_report(made):
    line = (
        "run mine.py --seeds=300 --lanes=16 --engine=local --workers=2 --out=runs/engine --note=--2"
    )
    text = basin(*line.split(), cwd=made)
    assert "2 workers by local" in text
    assert text.count("Report: runs/engine/report/report.html") == 1
    assert {run["note"] for run in basin_jax.load(made / "runs/engine").runs} == {"--2"}
    alone, shared = (basin_jax.load(made / "runs" / name).frame for name in ("mine", "engine"))
    assert shared.equals(alone)


@pytest.mark.ci
def test_replay_finds_the_stored_bits_and_draws_the_way_there(made):
    text = basin("replay", "runs/mine", "--seed", "7", "--cell", "scale=0.5", cwd=made)
    assert "Equal to the stored bits" in text
    assert list((made / "runs/mine/replay").glob("*-7.png"))


@pytest.mark.ci
def test_replay_notices_other_bits(made):
    folder = made / "runs/altered"
    shutil.copytree(made / "runs/mine", folder)
    store = basin_jax.load(folder).store
    key = store.chunks()[0]
    chunk = folder / key
    cell, (frame,) = chunk.name.split("-")[0], store.rows([key])
    chunk.unlink()
    columns = frame.drop("cell").with_columns(pl.col("margin") + 1e-7).to_dict(as_series=False)
    types = frame.drop("cell").schema
    store.commit(cell, {n: pl.Series(v, dtype=types[n]).to_numpy() for n, v in columns.items()})
    text = basin("replay", "runs/altered", "--seed", "7", "--cell", cell, cwd=made, code=1)
    assert "DIFFERS from the stored bits in: margin" in text


EVIL = "open('executed', 'w')\n"


@pytest.mark.parametrize("origin", ["evil.py", "../mine/../hostile/evil.py", "/dev/stdin"])
def test_replay_runs_no_file_that_only_the_folder_names(made, origin):
    store = Store(shutil.copytree(made / "runs/mine", made / "runs/hostile", dirs_exist_ok=True))
    (store.folder / "evil.py").write_text(EVIL + (made / "mine.py").read_text())
    run = store.runs()[0]
    store.record_run(run | {"origin": {"file": origin, "set": []}, "began": "2999-01-01"})
    line = ["replay", "runs/hostile", "--seed", "7", "--cell", "scale=0.5"]
    assert "give it: --file" in failing(line, made)
    assert not (made / "executed").exists()


def test_replay_runs_the_users_own_file_only_as_it_was_run(made):
    shutil.copytree(made / "runs/mine", made / "runs/moved")
    file, text = made / "mine.py", (made / "mine.py").read_text()
    file.write_text(EVIL + text)
    line = ["replay", "runs/moved", "--seed", "7", "--cell", "scale=0.5"]
    assert "mine.py is no file that you ran as it is now" in failing(line, made)
    assert not (made / "executed").exists()
    file.write_text(text)


def failing(line: list[str], cwd: Path) -> str:
    """Call `basin-jax`, expect a line that says why not, and no other of its kind; return it."""
    text = basin(*line, cwd=cwd, code=2)
    assert "Traceback" not in text
    (message,) = (part for part in text.splitlines() if part.startswith("basin-jax: "))
    return message


@pytest.mark.ci
def test_a_second_run_trains_nothing_and_a_longer_one_only_the_rest(made):
    before = {p: p.stat().st_mtime_ns for p in (made / "runs/mine/data").iterdir()}
    basin("run", "mine.py", "--seeds", "300", cwd=made)
    assert {p: p.stat().st_mtime_ns for p in (made / "runs/mine/data").iterdir()} == before
    shutil.copytree(made / "runs/mine", made / "runs/longer")
    basin("run", "mine.py", "--seeds", "400", "--out", "runs/longer", cwd=made)
    assert before.keys() & {p for p in (made / "runs/mine/data").iterdir()} == before.keys()
    assert basin_jax.load(made / "runs/longer").frame.height == 3 * 400


@pytest.mark.slow
def test_until_width_stops_there_and_says_so(made):
    basin("run", "mine.py", "--until-width", "0.2", "--lanes", "16", "--out", "u", cwd=made)
    records = basin_jax.load(made / "u")
    found = records.fractions().filter(verdict="DECEPTIVE")
    assert set(found["interval"]) == {"anytime"}
    assert all(high - low <= 0.2 for low, high in found.select("low", "high").iter_rows())
    assert records.store.runs()[0]["request"]["width"] == 0.2
    assert "confidence sequence" in (made / "u/report/report.html").read_text()


@pytest.mark.ci
def test_a_pilot_is_recorded_and_left_out(made):
    line = ("run", "mine.py", "--lanes", "16", "--out", "p")
    basin(*line, "--seeds", "40", "--pilot", "chose the rate", cwd=made)
    text = basin(*line, "--seeds", "100", cwd=made)
    assert "40 seeds are not counted, since they were a pilot (chose the rate)" in " ".join(
        text.split()
    )
    assert set(basin_jax.load(made / "p").fractions()["trials"]) == {60}


@pytest.mark.ci
def test_verify_names_the_damaged_chunk(made):
    assert "all sound" in basin("verify", "runs/mine", cwd=made)
    folder = made / "runs/damaged"
    shutil.copytree(made / "runs/mine", folder)
    chunk = sorted((folder / "data").iterdir())[1]
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(data)
    before = {p: p.read_bytes() for p in (folder / "data").iterdir()}
    assert chunk.name in basin("verify", "runs/damaged", cwd=made, code=1)
    for command in (("report", "runs/damaged"), ("run", "mine.py", "--out", "runs/damaged")):
        text = basin(*command, cwd=made, code=2)
        assert chunk.name in text
        assert "delete" in text
    assert {p: p.read_bytes() for p in (folder / "data").iterdir()} == before
    chunk.unlink()
    assert chunk.name in basin("verify", "runs/damaged", cwd=made, code=1)
    basin("run", "mine.py", "--seeds", "300", "--out", "runs/damaged", cwd=made)
    assert "incomplete" not in basin("verify", "runs/damaged", cwd=made)
    assert basin_jax.load(folder).frame.equals(basin_jax.load(made / "runs/mine").frame)


@pytest.mark.ci
def test_known_writes_ours_against_theirs_and_fails_where_they_differ(made):
    text = (made / "mine.py").read_text() + "\nseeds = 200\nknown = [bj.Exact(name='half',"
    text += " cell={'scale': 0.5}, fraction=%s)]\n"
    (made / "knows").mkdir()
    (made / "knows/right.py").write_text(text % 0.3173)
    assert "1 of 1 fractions agree (1 exact)" in basin("known", "knows", cwd=made)
    assert "| half | 0.3173 | " in (made / "runs/known/known_answers.md").read_text()
    (made / "knows/wrong.py").write_text(text % 0.9)
    both = basin("known", "knows", "--seeds", "100", "--out", "runs/both", cwd=made, code=1)
    assert "1 of 2 fractions agree" in both
    # Of three cells, that of which something is known.
    assert basin_jax.load(made / "runs/both/knows/wrong").frame.height == 100


@pytest.mark.ci
def test_a_file_may_say_how_many_seeds(made):
    (made / "seven.py").write_text((made / "mine.py").read_text() + "\nseeds = 7\n")
    basin("run", "seven.py", cwd=made)
    assert basin_jax.load(made / "runs/seven").frame.height == 3 * 7


def test_studies_are_listed_with_their_questions(tmp_path):
    assert "hijack: How much deceptiveness is needed" in basin("studies", cwd=tmp_path)


@pytest.mark.ci
def test_list_names_every_kind_of_plugin(made):
    text = basin("list", cwd=made)
    for name in ("Audit", "difficulty: an integer = 2", "Fresh", "Gradient", "Behavior"):
        assert name in text


@pytest.mark.parametrize("line", BAD)
def test_bad_input_gets_one_clear_line_and_changes_nothing(made, line):
    for name, text in FILES.items():
        (made / name).write_text(text)
    before = {p: p.read_bytes() for p in (made / "runs/mine").rglob("*") if p.is_file()}
    message = failing(line.split(), made)
    assert {p: p.read_bytes() for p in (made / "runs/mine").rglob("*") if p.is_file()} == before
    assert all(part in message for part in BAD[line]), message


def test_the_manifest_says_what_was_run(made):
    manifest = json.loads((made / "runs/mine/sweep.json").read_text())
    cell = next(iter(manifest["cells"].values()))
    assert cell["fields"]["method.rate"] == 0.01
    assert cell["sources"]["organism"].startswith("source ")
    assert cell["sources"]["start"] == "basin_jax"
    (machine,) = manifest["machines"]
    assert {plan["lanes"] for plan in machine["plans"].values()} == {16}
    assert {"jax", "device", "basin_jax"} <= machine["machine"].keys()


@pytest.mark.ci
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_says_how_to_go_on(made, signum):
    folder = made / f"runs/stopped-{signum.name}"
    line = ["run", "mine.py", "--seeds", "100000000", "--lanes", "16", "--out", str(folder)]
    process = subprocess.Popen(
        [sys.executable, "-m", "basin_jax", *line], cwd=made, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not list(folder.glob("data/*")):
        time.sleep(0.02)
    process.send_signal(signum)
    _, text = process.communicate(timeout=60)
    assert process.returncode == 128 + signum
    assert f"basin-jax {' '.join(line)}" in text
    said = basin("verify", str(folder), cwd=made)
    assert "all sound" in said
    assert "incomplete: the run of 20" in said
    assert basin_jax.load(folder).interval == "anytime"


SWALLOWED = """
import signal
from mine import *
try:
    signal.raise_signal(signal.SIGTERM)
except BaseException:
    {}
"""


@pytest.mark.ci
@pytest.mark.parametrize("instead", ["pass", "raise ImportError('no numpy')", "raise KeyError(1)"])
def test_a_signal_during_an_import_that_swallows_it_stops_the_command(made, tmp_path, instead):
    (made / "swallowed.py").write_text(SWALLOWED.format(instead))
    folder = tmp_path / "out"
    line = ["run", "swallowed.py", "--seeds", "4", "--lanes", "4", "--out", str(folder)]
    process = subprocess.run(
        [sys.executable, "-m", "basin_jax", *line],
        cwd=made,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 128 + signal.SIGTERM, process.stderr
    assert "interrupted by SIGTERM" in process.stderr
    assert "Traceback" not in process.stderr
    assert not list(folder.glob("data/*"))


def test_a_command_that_begins_anew_has_the_same_parent(tmp_path, monkeypatch):
    def never(folder):
        raise basin_jax.GaveUp("a call has not ended")

    def begin(program, arguments):
        begun.append((os.environ.get(PARENT), arguments[1:]))
        raise SystemExit(0)

    begun = []
    monkeypatch.setenv(PARENT, "17")
    monkeypatch.setattr(commands, "stop_with_parent", lambda: os.environ.pop(PARENT))
    monkeypatch.setattr("basin_jax.results.store.Store", never)
    monkeypatch.setattr(os, "closerange", lambda first, last: None)
    monkeypatch.setattr(os, "execv", begin)
    assert "a call has not ended: starting it" in basin("verify", "x", cwd=tmp_path)
    assert begun == [("17", sys.orig_argv[1:])]
