"""The command that says how many seeds a question needs, on a sweep of two small programs."""

import math
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from basin_jax import rare
from basin_jax.cli import plan
from basin_jax.cli.main import app
from basin_jax.statistics import sample_size


SWEEP = """
from basin_jax import Sweep, grid
from basin_jax.methods import Gradient
from basin_jax.organisms import DoubleWell

short = Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.3), num_steps=20)
noisy = Gradient(learning_rate=0.3, noise=0.1)  # which clones need to train apart
sweep = (*grid(short, {"organism.tilt": (0.2, 0.0)}), short.replace(num_steps=10, method=noisy))
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("plan") / "wells.py"
    path.write_text(SWEEP)
    return path


def planned(file: Path, line: str, monkeypatch) -> str:
    """Return what the command prints, with measurements of a moment."""
    monkeypatch.setattr(plan, "SECONDS", 0.01)
    result = CliRunner().invoke(app, ["plan", str(file), *line.split()])
    assert result.exit_code == 0, result.exception
    return result.stdout


@pytest.mark.ci
def test_below_gives_the_seeds_of_brute_force_and_of_searches(file, monkeypatch):
    text = planned(file, "--below .01", monkeypatch)
    proven, found = sample_size.seeds_below(0.01), sample_size.seeds_until_hit(0.01)
    assert text.startswith(f"{proven} seeds without a hit prove a fraction of at most 0.01")
    assert f"{found} have at least one hit with probability 0.95" in text
    rows = re.findall(r"(\S*tilt=.*?|noise=\S+.*?)  +([\w-].*?)  +([\d,]+)  +(\S+)  +(\S+)", text)
    ways = ["brute force, no hit", "brute force, first hit", "--rare subset"]
    ways.append("--rare importance, for starts of few numbers")
    assert [row[1] for row in rows] == [*ways, *ways[:3], "--rare splitting", ways[3]]
    kinds = rare.SubsetSimulation(), rare.Splitting(), rare.ImportanceSampling()
    searches = [f"{math.ceil(search.trainings(0.01)):,}" for search in kinds]
    assert [row[2] for row in rows[4:]] == [f"{proven}", "299", *searches]
    # Two cells of 20 steps share a program; one of 10 steps has its own.
    assert "and 1 more" in rows[0][0]
    steps = [float(row[3]) for row in rows]
    assert steps[0] == pytest.approx(2 * 20 * proven, rel=0.01)
    assert steps[4] == pytest.approx(10 * proven, rel=0.01)
    note = " ".join(text.split())
    assert re.search(
        r"at a speed measured for some 0.01 s on \d+ x cpu: \S+, \S+ seed-steps/s", note
    )


@pytest.mark.ci
def test_other_questions_have_answers_of_their_own(file, monkeypatch):
    line = "--set num_steps=5 --set organism.tilt=.1 --set method.noise=0.0"
    text = planned(file, f"{line} --tell .2 .4 --power .8 --level .9", monkeypatch)
    paired = sample_size.paired_seeds_to_tell(0.2, 0.4, power=0.8, level=0.9)
    apart = sample_size.seeds_to_tell(0.2, 0.4, power=0.8, level=0.9)
    assert text.startswith(f"{paired} seeds that two cells share tell fractions of 0.2 and 0.4 ")
    assert f"with other seeds each cell takes {apart}" in text
    assert len(re.findall("the same seeds|other seeds  ", text)) == 2
    text = planned(file, f"{line} --width .2", monkeypatch)
    assert text.startswith(f"{sample_size.seeds_for_width(0.2)} seeds give any fraction")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "no question; allowed: one of --below, --tell and --width"),
        ("--below .1 --width .1", "--below and --width; allowed: one of"),
        ("--below 0", "--below 0.0; allowed: above 0 and below 1"),
        ("--tell .1 1.5", "--tell 1.5; allowed: above 0 and below 1"),
        ("--tell .1 .1", "--tell 0.1 0.1; allowed: two fractions that differ"),
        ("--width 2", "--width 2.0; allowed: above 0 and below 1"),
        ("--tell .1 .2 --power 90", "--power 90.0; allowed: above 0 and below 1"),
        ("--width .1 --power .8", "--power 0.8 with --width; allowed: with --tell"),
        ("--width .1 --level 95", "--level 95.0; allowed: above 0 and below 1"),
    ],
)
def test_mistakes_are_named_before_the_file_is_read(line, said):
    result = CliRunner().invoke(app, ["plan", "missing.py", *line.split()])
    assert str(result.exception).startswith(said)
