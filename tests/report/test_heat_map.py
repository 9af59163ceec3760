"""Figures and tables of many cells stay readable, and are drawn in a moment."""

import re

import numpy as np
import polars as pl
import pytest

import basin_jax as bj
from basin_jax.report import figures, panels, tables
from basin_jax.report.page import text_table, write_report


WELL = bj.Sweep(
    organism=bj.organisms.DoubleWell(), method=bj.methods.Gradient(learning_rate=0.3), num_steps=2
)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """The records of a grid of 5 x 4 cells, whose last axis has fewer values."""
    axes = {
        "organism.tilt": tuple(np.linspace(-0.3, 0.3, 5).tolist()),
        "method.learning_rate": tuple(np.linspace(0.1, 0.4, 4).tolist()),
    }
    return bj.run(bj.grid(WELL, axes), 4, tmp_path_factory.mktemp("many") / "sweep", lanes=8)


@pytest.fixture
def few(monkeypatch):
    """The number of cells that are many here."""
    monkeypatch.setattr(tables, "SHOWN", 10)
    monkeypatch.setattr(panels, "ROWS", 10)
    return 10


@pytest.mark.ci
def test_many_cells_are_a_heat_map_of_their_fractions(records, few):
    figure = figures.fractions(records)
    assert max(figure.get_size_inches()) <= figures.FULL
    image = next(i for axes in figure.axes for i in axes.get_images())
    # Columns are of the field with more values, in rising order.
    shown = np.asarray(image.get_array())
    rows = records.fractions().filter(verdict="DECEPTIVE")
    rows = rows.sort("method.learning_rate", "organism.tilt")
    assert np.array_equal(shown, rows["fraction"].to_numpy().reshape(4, 5))


@pytest.mark.ci
def test_a_page_shows_some_of_many_cells_and_says_which_file_has_all(records, few, tmp_path):
    page = write_report(records, tmp_path)
    assert f"The first {few} of 20 cells; fractions.csv has all of them." in page.read_text()
    assert page.read_text().count('<th scope="row">') == few
    # Two that were picked have the interval of all fractions.
    least = records.fractions().filter(verdict="DECEPTIVE").sort("fraction").row(0, named=True)
    reach = f"{least['low_all']:.3f} to {least['high_all']:.3f}"
    level = "95\N{NO-BREAK SPACE}% interval"
    said = f"of 4 seeds ({least['hits'] / 4:.3f}, {level} {reach}) ended deceptive"
    assert said in re.findall("Least of 20 cells, .*", page.read_text())[0]
    assert pl.read_csv(page.with_name("fractions.csv"))["cell"].n_unique() == 20
    assert text_table(records).row_count == few
