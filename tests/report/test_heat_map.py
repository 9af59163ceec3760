"""Figures and tables of many cells stay readable, and are drawn in a moment."""

import io
import re

import folders
import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure
from PIL import Image

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


def grid_of(folder, hits):
    """The records of a grid, of which so many of 10 seeds are deceptive."""
    cells = {
        (row, column): folders.cell_of({"organism.a": row, "organism.b": column}, (4,))
        for row in range(3)
        for column in range(4)
    }
    store = folders.new_store(folder, dict(cells.values()))
    for (row, column), (digest, _) in cells.items():
        made = folders.columns(range(10), (4,))
        made["verdict"][:] = bj.Verdict.INTENDED
        made["verdict"][: hits[row][column]] = bj.Verdict.DECEPTIVE
        assert store.commit(digest, made)
    return bj.load(folder)


def test_a_line_runs_where_fractions_cross_one_half(few, tmp_path):
    figure = grid_of(tmp_path, [[0, 4, 5, 9], [1, 6, 8, 9], [4, 3, 2, 1]]).plot(of="DECEPTIVE")
    (line,) = figure.axes[0].collections
    found = {tuple(map(tuple, ends)) for ends in line.get_segments()}
    upright = {((x, y), (x, y + 1)) for x, y in ((1.5, -0.5), (0.5, 0.5))}
    level = {((x, y), (x + 1, y)) for x, y in ((0.5, 0.5), (0.5, 1.5), (1.5, 1.5), (2.5, 1.5))}
    assert found == upright | level
    # A picture keeps the colors of numbers, and has a palette where there are none.
    assert Image.open(io.BytesIO(figures.drawn(figure, ".png"))).mode == "RGBA"
    assert Image.open(io.BytesIO(figures.drawn(Figure(), ".png"))).mode == "P"
    assert "Line: between cells on either side of one half." in figure.get_supxlabel().replace(
        "\n", " "
    )


def test_no_line_runs_where_none_crosses(few, tmp_path):
    figure = grid_of(tmp_path, [[0, 4, 4, 4], [1, 3, 2, 4], [4, 3, 2, 1]]).plot(of="DECEPTIVE")
    assert "Line" not in figure.get_supxlabel()
    assert figure.axes[0].collections[0].get_segments() == []


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
