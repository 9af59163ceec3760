"""The command that forecasts, where the tail is normal."""

import pytest
from scipy.stats import norm
from typer.testing import CliRunner

from basin_jax import Sweep, grid, load, run
from basin_jax.cli.main import app
from basin_jax.methods import Gradient
from basin_jax.organisms import DoubleWell
from basin_jax.statistics.forecast import forecast


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Particles that are not moved: x is normal with the standard deviation `scale`, or all 0."""
    cell = Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.3), num_steps=0)
    where = tmp_path_factory.mktemp("tail") / "sweep"
    run(grid(cell, {"organism.scale": (0.06, 0.0)}), 2000, where, lanes=64)
    return where


def test_a_forecast_is_that_of_the_stored_seeds(folder):
    records = load(folder)
    wide, still = records.cells
    found = records.forecast(wide, "x", above=0.24)
    assert found.low < 1 / norm.sf(4) < found.high
    scores = records.frame.filter(cell=wide)["x"].to_numpy().astype(float)
    assert found == forecast(scores, 0.24)
    assert records.forecast(wide, "x", below=-0.24) == forecast(-scores, 0.24)
    assert found.trials == 2000
    with pytest.raises(ValueError, match="2000 seeds of the largest score 0"):
        records.forecast(still, "x", above=0.24)


def test_the_command_prints_a_line_for_each_cell(folder):
    result = CliRunner().invoke(app, ["forecast", str(folder), "x", "--above", ".24"])
    assert result.exit_code == 0, result.exception
    wide, still = result.stdout.splitlines()
    assert wide.startswith("scale=0.06: the first event is forecast after ")
    assert "on held-out seeds the " in wide
    assert still.startswith("scale=0.0: scores has 2000 seeds of the largest score")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"evidence": "y"}, "evidence = 'y'; allowed: .*x"),
        ({"cell": "z"}, "cell = 'z'; allowed"),
        ({"below": 0.0}, "above = 0.2, below = 0.0; allowed: one of them"),
        ({"above": None}, "above = None, below = None; allowed: one of them"),
    ],
)
def test_mistakes_are_refused(folder, wrong, said):
    records = load(folder)
    given = {"cell": next(iter(records.cells)), "evidence": "x", "above": 0.2} | wrong
    with pytest.raises(ValueError, match=said):
        records.forecast(**given)
