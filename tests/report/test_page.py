"""The report: complete, the same bytes twice, safe to open, and honest about zero hits."""

import io
import re
import shutil

import folders
import numpy as np
import polars as pl
import pytest
from matplotlib.collections import LineCollection
from rich.console import Console

from basin_jax import Records, Sweep, Verdict, grid, load, run
from basin_jax.methods import Gradient
from basin_jax.organisms import DoubleWell
from basin_jax.report.figures import fractions, history
from basin_jax.report.page import report_files, text_table, write_report
from basin_jax.report.tables import amount, difference


HOSTILE = "<script>alert(1)</script> & 100 % $x_1$\n\\input{evil}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A cell in which no seed is deceptive, and one in which about half of them are."""
    sweep = Sweep(organism=DoubleWell(tilt=-0.1), method=Gradient(learning_rate=0.3), num_steps=40)
    folder = tmp_path_factory.mktemp("report") / "sweep"
    run(grid(sweep, {"organism.scale": (0.01, 1.0)}), 100, folder, lanes=8)
    return folder


@pytest.mark.ci
def test_the_report_is_complete_and_the_same_bytes_twice(folder, tmp_path):
    pages = [write_report(load(folder), tmp_path / name) for name in "ab"]
    assert [page.name for page in pages] == ["report.html"] * 2
    names = ("fractions.csv", "differences.csv", "fractions.tex", "fractions.png", "fractions.pdf")
    for name in (*names, "report.html"):
        first, second = (page.with_name(name).read_bytes() for page in pages)
        assert first, name
        assert first == second, name
    words = re.sub(r"<[^>]*>", " ", pages[0].read_text()).split()
    assert f"chunk at most {load(folder).manifest['chunk']} seeds" in " ".join(words)


def test_the_classes_of_a_cell_sum_to_its_seeds(folder, tmp_path):
    page = write_report(load(folder), tmp_path).read_text()
    table = pl.read_csv(tmp_path / "fractions.csv")
    sums = table.group_by("cell").agg(pl.col("hits").sum(), pl.col("trials").first())
    assert sums["hits"].to_list() == sums["trials"].to_list() == [100, 100]
    # Without its script the page has these, too.
    rows = re.findall(r'<tr><th scope="row">.*?</tr>', page, re.DOTALL)
    assert len(rows) == 2
    for row in rows:
        assert sum(int(hits) for hits in re.findall(r"<small>(\d+)", row)) == 100


def test_cells_are_compared_seed_by_seed(folder, tmp_path):
    records = load(folder)
    page = write_report(records, tmp_path).read_text()
    (row,) = records.compare().to_dicts()
    assert "DECEPTIVE, compared with scale=0.01" in page
    assert f"<td>{row['gained']} / 0</td>" in page
    assert difference(row) in page


@pytest.mark.ci
def test_verdicts_at_earlier_steps_have_a_table_where_there_are_any(folder, tmp_path):
    sweep = Sweep(
        organism=DoubleWell(scale=2.0),  # far out, the first step leads into the other well
        method=Gradient(learning_rate=0.3),
        num_steps=40,
        save_at=(0,),
    )
    records = run(sweep, 100, tmp_path, lanes=8)
    page = write_report(records)
    (row,) = records.agreement().to_dicts()
    assert 0 < row["hits"] < 100
    assert f"<td>0</td><td>{row['hits']} of 100</td><td>{amount(row)}</td>" in page.read_text()
    assert pl.read_csv(page.with_name("agreement.csv"))["hits"].to_list() == [row["hits"]]
    without = write_report(load(folder), tmp_path / "without")
    assert "earlier steps" not in without.read_text()
    assert not without.with_name("agreement.csv").exists()


@pytest.mark.parametrize(
    ("hits", "low", "high", "text"),
    [
        (12, -0.003, 0.0271, "+0.012 [-0.003, +0.027]"),
        (-480, -0.49, -0.47, "-0.480 [-0.490, -0.470]"),
        (0, -1, 1, "+0.000 [-1.000, +1.000]"),
    ],
)
def test_a_difference_has_its_sign_and_its_decimals(hits, low, high, text):
    row = {"trials": 1000, "difference": hits / 1000, "low": low, "high": high}
    assert difference(row) == text


def test_zero_hits_show_their_upper_limit(folder, tmp_path):
    records = load(folder)
    page = write_report(records, tmp_path).read_text()
    shown = io.StringIO()
    Console(width=200, file=shown).print(text_table(records))
    drawn = [bars for axes in fractions(records).axes for bars in axes.collections]
    bars = [
        bar for bars in drawn if isinstance(bars, LineCollection) for bar in bars.get_segments()
    ]
    # 1 - 0.025 ** (1 / 100), by hand
    assert "0 of 100 seeds (95\N{NO-BREAK SPACE}% interval: at most 0.036) ended deceptive" in page
    assert "0 [0, 0.036]" in shown.getvalue()
    assert r"0 {\scriptsize[0, 0.036]}" in (tmp_path / "fractions.tex").read_text()
    assert 0.036 in {round(end[1], 3) for _, end in bars}


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high", "text"),
    [
        (48, 300, 0.1204, 0.2064, "0.160 [0.120, 0.206]"),
        (100_000, 100_000, 0.999963, 1.0, "1 [0.999963, 1]"),
        (0, 1_000_000, 0.0, 3.6889e-6, "0 [0, 3.7e-6]"),
        (543_210, 1_000_000, 0.54223, 0.54419, "0.5432 [0.5422, 0.5442]"),
        (0, 0, 0.0, 1.0, "no seeds yet"),
    ],
)
def test_an_estimate_has_the_decimals_it_deserves(hits, trials, low, high, text):
    fraction = hits / trials if trials else float("nan")
    row = {"hits": hits, "trials": trials, "fraction": fraction, "low": low, "high": high}
    assert amount(row) == text


@pytest.mark.ci
def test_what_a_sweep_says_of_itself_is_escaped(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "sweep")
    records = load(tmp_path / "sweep")
    for fields in records.cells.values():
        fields["organism.scale"] = f"{fields['organism.scale']}{HOSTILE}"
    records.labels = {cell: f"{label}{HOSTILE}" for cell, label in records.labels.items()}
    page = write_report(records).read_text()
    assert page.count("<script") == page.count("</script") == 2  # the page's own
    assert page.count("&lt;script&gt;") >= 2
    latex = (tmp_path / "sweep/report/fractions.tex").read_text()
    assert r"\textless{}script\textgreater{}" in latex
    assert r"\& 100 \% \$x\_1\$ \textbackslash{}input\{evil\}" in latex


def test_the_page_needs_nothing_from_elsewhere(folder, tmp_path):
    page = write_report(load(folder), tmp_path).read_text()
    links = re.findall(r"""(?:src|srcset|href)=["'](?!data:|#)([^"']*)""", page)
    assert {*links} == {path.name for path in tmp_path.iterdir()} - {"report.html"}
    assert re.findall(r"url\(|@import|https?:", page) == []


def test_the_report_says_which_seeds_failed_and_what_they_may_hide(tmp_path):
    cell, entry = folders.cell_of({}, (10,))
    store = folders.new_store(tmp_path / "sweep", {cell: entry})
    rows = folders.columns(range(20), (10,))
    store.record_run(folders.run_of({"kind": "range", "count": 20, "first": 0, "last": 19}))
    rows["verdict"][:] = Verdict.DECEPTIVE
    rows["verdict"][:3], rows["x"][:3] = Verdict.ERROR, np.nan
    store.commit(cell, rows, {0: "bad", 1: "worse", 2: "bad"})
    page = " ".join(write_report(load(store.folder), tmp_path).read_text().split())
    assert "3 of 20 seeds are ERROR (2: bad; 1: worse). The fraction that is deceptive is" in page
    assert "0.85 if none of them would be, and 1 if all would." in page


def test_a_history_has_a_panel_for_the_rates_and_one_for_each_other(folder):
    curve = load(folder).history.head(2).select("step", "watched", "unwatched", "margin", "x")
    figure = history(curve, title="seed $0")
    assert [axes.get_title("left") for axes in figure.axes] == ["", "margin", "x"]
    assert len(figure.axes[0].get_lines()) == 2


def swept(folder, field: str, hits: dict) -> Records:
    """Return the records of cells with a number of deceptive seeds each, of 40."""
    cells = dict(folders.cell_of({field: value}, (10,)) for value in hits)
    store = folders.new_store(folder, cells)
    name = store.record_run(folders.run_of({"kind": "range", "count": 40, "first": 0, "last": 39}))
    for cell, deceptive in zip(cells, hits.values(), strict=True):
        columns = folders.columns(range(40), (10,))
        verdict = np.where(columns["seed"] < deceptive, Verdict.DECEPTIVE, Verdict.INTENDED)
        store.commit(cell, columns | {"verdict": verdict.astype(np.int8)})
    store.finish_run(name, dict.fromkeys(cells, 40))
    return load(folder)


def test_a_sweep_over_numbers_has_the_value_where_half_of_the_seeds_are_deceptive(tmp_path):
    records = swept(tmp_path, "start.dose", {0.0: 2, 1.0: 10, 2.0: 30, 3.0: 38})
    files = report_files(records)
    page = " ".join(files["report.html"].decode().split())
    found = records.threshold("dose")
    reach = f"dose = {found.value:.3g} [{found.low:.3g}, {found.high:.3g}]"
    assert reach == "dose = 1.5 [1.17, 1.83]"
    assert f"Half of the seeds end DECEPTIVE at {reach} (95 % interval)." in page
    assert "Shaded: where it crosses 0.5" in page
    assert files["threshold.pdf"].startswith(b"%PDF")


@pytest.mark.parametrize(
    ("field", "hits"),
    [
        ("start.dose", {0.0: 2, 1.0: 3, 2.0: 4}),
        ("method.optimizer", {"sgd": 2, "adam": 20, "lion": 38}),
    ],
    ids=["no crossing", "no numbers"],
)
def test_other_sweeps_have_no_such_value(tmp_path, field, hits):
    files = report_files(swept(tmp_path, field, hits))
    assert "threshold.pdf" not in files
    assert b"Half of the seeds" not in files["report.html"]
