"""`run --rare` and the report of what it finds, as a user would type it."""

import re
import signal
from pathlib import Path

import pytest
from rare_folders import AGREEING, write_search
from typer.testing import CliRunner

from basin_jax import Verdict, rare
from basin_jax.cli.main import app, main
from basin_jax.runs.sweepfile import load_sweep


# A particle that starts beyond the ridge at 0.209 stays there.
WELL = """
from basin_jax import Sweep
from basin_jax.methods import Gradient
from basin_jax.organisms import DoubleWell
from basin_jax.rules import Behavior

organism = DoubleWell(tilt=-0.2, scale=0.12)
sweep = Sweep(organism=organism, method=Gradient(learning_rate=0.3), num_steps=4)
rule = Behavior(min_fit=None)
"""
LINE = "run well.py --rare subset --budget 9800 --below 1e-5 --lanes 8"


def call(line: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, line.split())
    if code:
        return str(result.exception)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder in which a search has ended, and what it printed."""
    folder = tmp_path_factory.mktemp("rare")
    (folder / "well.py").write_text(WELL)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder, call(LINE)


@pytest.mark.ci
def test_a_search_prints_its_estimate_and_writes_its_report(made):
    folder, text = made
    (search,) = rare.load(folder / "runs/well")
    assert search.method["below"] == 1e-5
    many = rare.SubsetSimulation().within(9800, 1e-5).particles
    assert (search.method["particles"], search.wanted) == (many, 8)
    assert many < 40
    assert search.of == "DECEPTIVE"
    assert f"well.py: 1 cell, DECEPTIVE, into {Path('runs/well')}" in text
    assert re.search(r"DoubleWell +DECEPTIVE +0\.0\d+ \[", text)
    assert f"SubsetSimulation, 8 x {many}" in text
    assert search.estimate is not None
    assert ("NOT TO BE TRUSTED" in text) == (not search.estimate.trusted)
    assert (folder / "runs/well/report/rare.csv").is_file()


@pytest.mark.ci
def test_the_same_command_goes_on_with_what_is_missing(made):
    folder, _ = made
    assert "of 8:" not in call(LINE)
    for record in (folder / "runs/well/rare").glob("*-[35].json"):
        record.unlink()
    again = call(LINE)
    assert re.findall(r"replication (\d) of 8", again) == ["4", "6"]
    assert len(rare.load(folder / "runs/well")) == 1


@pytest.mark.ci
@pytest.mark.usefixtures("made")
def test_reports_and_lists_show_it():
    text = call("report runs/well")
    assert "DECEPTIVE" in text
    assert "Report: runs/well/report/report.html" in " ".join(text.split())
    assert re.search(r"well +- +1 +- +.* +1 rare search", call("runs"))


def test_a_file_names_the_verdict(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("well.py").write_text(f"{WELL}of = 'UNFIT'\n")
    assert load_sweep(Path("well.py")).of == Verdict.UNFIT
    Path("wrong.py").write_text(f"{WELL}of = 'UNFITT'\n")
    said = call("run wrong.py --rare subset", code=1)
    assert said.startswith("wrong.py defines a wrong `of`: verdict = 'UNFITT'; allowed: ")
    assert "did you mean 'UNFIT'?" in said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--below .1", "--below 0.1; allowed: with --rare"),
        ("--budget 9", "--budget 9; allowed: with --rare"),
        ("--rare subset --seeds 9", "--seeds 9 with --rare; allowed: --set, --lanes, --out, "),
        ("--rare subset --until-width .1", "--until-width 0.1 with --rare; allowed"),
        ("--rare subset --note x", "--note x with --rare; allowed"),
        ("--rare subset --pilot x", "--pilot x with --rare; allowed"),
        ("--rare subset --shard 0/2", "--shard 0/2 with --rare; allowed"),
        ("--rare subset --engine local", "--engine local with --rare; allowed"),
        ("--rare subset --workers 2", "--workers 2 with --rare; allowed"),
        ("--rare subset --retry-errors", "--retry-errors with --rare; allowed"),
        ("--rare subset --below 2", "--below 2; allowed: above 0 and below 1"),
        ("--rare importance --below .1", "--below 0.1 with --rare importance, which has no levels"),
        (
            "--rare subset --budget 9",
            "budget = 9 trainings; allowed: at least 8133 to go down to 1e-06 by SubsetSimulation",
        ),
        ("--rare any", "Invalid value for '--rare'"),
    ],
)
def test_mistakes_are_named_before_the_file_is_read(line, said):
    result = CliRunner().invoke(app, ["run", "missing.py", *line.split()])
    assert said in f"{result.exception} {result.output}"


def test_a_signal_leaves_what_has_ended_and_says_how_to_go_on(tmp_path, monkeypatch, capfd):
    (tmp_path / "well.py").write_text(WELL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["basin-jax", *LINE.split()])
    monkeypatch.setattr(rare, "fraction", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 128 + signal.SIGINT
    said = capfd.readouterr().err
    assert "what had ended of replications and their levels is committed. Go on with:" in said
    assert f"basin-jax {LINE}" in said


def test_verify_checks_the_records_of_searches(tmp_path):
    write_search(tmp_path, AGREEING)
    result = CliRunner().invoke(app, ["verify", str(tmp_path)])
    assert result.stdout == f"{tmp_path}: 9 records of searches, all sound\n"
    record = next((tmp_path / "rare").glob("*-3.json"))
    record.write_text(record.read_text().replace("1.2e-05", "1.2e-04"))
    result = CliRunner().invoke(app, ["verify", str(tmp_path)])
    assert result.exit_code == 1
    assert f"{record.name} is damaged: its content differs from its seal" in result.stdout
