"""Searches for rare basins in a report: as a table, a figure, a page, and loudly if not trusted."""

import io

import folders
import numpy as np
import polars as pl
import pytest
from matplotlib.text import Text
from rare_folders import AGREEING, APART, WELL, write_search
from rich.console import Console

from basin_jax import Rule, Verdict, load, rare
from basin_jax.report.page import report_files, searches_of, write_report
from basin_jax.report.rare import figure, table, write_searches
from basin_jax.results.folder import StoreError


WHY = "1 of 8 replications disagree by more than a factor 3"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of searches alone: one that is trusted, one that is not, and one that goes on."""
    folder = tmp_path_factory.mktemp("rare")
    for tilt, found in ((0.1, AGREEING), (0.2, APART), (0.3, AGREEING[:5])):
        tilted = WELL.replace(organism=WELL.organism.replace(tilt=tilt))
        write_search(folder, found, sweep=tilted)
    return folder


def test_a_table_says_what_is_not_to_be_trusted(folder):
    shown, made = io.StringIO(), table(rare.load(folder))
    Console(width=400, file=shown).print(made.rich())
    trusted, apart, unfinished = made.groups[0].lines
    assert trusted.cells[:2] == ["tilt=0.1", "UNFIT"]
    assert trusted.cells[2].startswith("1e-5 [")
    assert trusted.cells[3] == "yes"
    assert trusted.cells[5] == "80,000 + 1,000"  # the pilot's
    assert trusted.cells[6] == "0 of 4,000 [0, 0.00092]"
    assert not trusted.failed
    assert apart.failed
    assert apart.cells[3].startswith(f"NO: {WHY}")
    assert unfinished.cells[2] == "5 of 8 replications"
    for text in (shown.getvalue(), made.latex(), made.markdown()):
        assert f"NO: {WHY}" in text


def test_a_figure_says_it_too(folder):
    said = [text.get_text() for text in figure(rare.load(folder)).findobj(Text)]
    assert any(" ".join(text.split()).startswith(f"not to be trusted: {WHY}") for text in said)
    assert any("5 of 8 replications" in text for text in said)


def test_a_search_that_found_nothing_is_drawn(tmp_path):
    write_search(tmp_path, [0.0] * 8)
    (search,) = rare.load(tmp_path)
    assert search.estimate is not None
    assert search.estimate.fraction == 0
    (axes,) = figure([search]).axes
    assert axes.get_xlim()[0] > 0
    assert [line.get_marker() for line in axes.lines].count("<") == 8
    assert all((np.asarray(line.get_xdata()) > 0).all() for line in axes.lines)


def test_a_folder_without_a_sweep_has_a_report_of_its_searches(folder, tmp_path):
    page = write_searches(str(folder))
    text = page.read_text()
    assert f"<b>Not to be trusted:</b> tilt=0.2, UNFIT by SubsetSimulation: {WHY}" in text
    assert text.count('<tr class="failed">') == 1
    rows = pl.read_csv(page.with_name("rare.csv"))
    assert rows["trusted"].to_list() == [True, False, None]
    assert {"rare.png", "rare.pdf", "rare.tex"} <= {path.name for path in page.parent.iterdir()}
    with pytest.raises(StoreError, match=r"no sweep.*no searches for rare basins; allowed"):
        write_searches(str(tmp_path))


class Other(Rule):
    """Call all seeds fit for nothing."""

    def judge(self, evidence):
        return np.full(len(evidence["x"]), Verdict.UNFIT)


@pytest.mark.ci
def test_the_report_of_a_sweep_has_a_part_for_its_searches(tmp_path):
    digest, cell = folders.cell_of(WELL.fields(), WELL.stops)
    store = folders.new_store(tmp_path, {digest: cell})
    store.commit(digest, folders.columns(range(10), WELL.stops))
    write_search(tmp_path, APART)
    page = write_report(load(tmp_path)).read_text()
    assert '<h2 id="rare">Rare basins</h2>' in page
    assert "Rare basins: 1 of 1 estimates not to be trusted." in page
    assert f"<b>Not to be trusted:</b> DoubleWell, UNFIT by SubsetSimulation: {WHY}" in page
    assert searches_of(load(tmp_path, rule=Other())) == []  # for which nothing was searched
    first, second = (report_files(load(tmp_path)) for _ in range(2))
    assert {"rare.csv", "rare.png", "rare.pdf", "rare.tex"} <= {*first}
    assert first == second
