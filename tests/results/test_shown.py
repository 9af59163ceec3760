"""Records show themselves: a few lines, a table in a notebook, and tables to quote."""

import re
import shutil
import subprocess
from operator import methodcaller

import folders
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from basin_jax import Verdict, load
from basin_jax.report import figures
from basin_jax.report.figures import drawn
from basin_jax.report.tables import amount


HOSTILE = '<b onload="x">$x_1$ & \\input{evil} [red] #evil()'
# As a notebook calls it.
in_a_notebook = methodcaller("_repr_html_")


@pytest.fixture(scope="module")
def records(wells_folder):
    return load(wells_folder)


def made(folder, cells, seeds=range(20)):
    """Return the records of cells of such fields, whose seeds have verdicts 0 and 1."""
    entries = dict(folders.cell_of(fields, (10,)) for fields in cells)
    store = folders.new_store(folder, entries)
    for digest in entries:
        store.commit(digest, folders.columns(seeds, (10,)))
    last = {"kind": "range", "count": len(seeds), "first": 0, "last": len(seeds) - 1}
    store.record_run(folders.run_of(last))
    return load(folder)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """The records of 12 cells of two optimizers, of which one has a list."""
    cells = [
        {"method.optimizer": name, "organism.layers": [2, width], "organism.tilt": tilt}
        for name in ("sgd", "adam")
        for width, tilt in [(3, 0.0), (4, 0.1), (5, 0.2), (6, 0.3), (7, 0.4), (8, 0.5)]
    ]
    return made(tmp_path_factory.mktemp("many"), cells)


def test_the_length_is_the_number_of_stored_trials(records, tmp_path):
    assert len(records) == 200
    empty = folders.new_store(tmp_path, dict([folders.cell_of({}, (10,))]))
    assert len(load(empty.folder)) == 0


def test_records_show_cells_seeds_fractions_intervals_and_folder_at_a_prompt(records):
    lines = repr(records).splitlines()
    assert lines[0] == f"Records: 200 trials in 2 cells of {records.store.where}"
    assert lines[1].split() == ["cell", "seeds", "DECEPTIVE", "INTENDED"]
    for line, (cell, label) in zip(lines[3:5], records.labels.items(), strict=True):
        rows = records.fractions().filter(cell=cell).to_dicts()
        expected = {row["verdict"]: amount(row) for row in rows}
        cells = re.split(r" {2,}", line.strip())
        assert cells == [label, "100", expected["DECEPTIVE"], expected["INTENDED"]]
    said = "95 % intervals. Clopper-Pearson intervals: the number of seeds was fixed beforehand."
    assert " ".join(" ".join(lines[5:]).split()) == said


def test_many_cells_take_few_lines(many):
    lines = repr(many).splitlines()
    assert len(lines) < 16
    assert "6 more cells: `table()` has them all." in " ".join(lines)


def test_a_folder_that_cannot_be_read_is_described_with_the_reason(tmp_path):
    store = folders.new_store(tmp_path, dict([folders.cell_of({"organism.tilt": 0.0}, (10,))]))
    records = load(tmp_path)
    for text in (repr(records), re.sub("<[^>]*>", "", in_a_notebook(records))):
        assert f"Records: 1 cell of {store.where}" in text
        assert "holds no seeds yet" in text


def test_records_in_a_notebook_are_a_small_table_that_is_escaped(tmp_path):
    records = made(tmp_path, [{"organism.name": HOSTILE}, {"organism.name": "b"}])
    html = in_a_notebook(records)
    assert "<b onload" not in html
    assert "&lt;b onload=&#34;x&#34;&gt;$x_1$ &amp; \\input{evil} [red] #evil()</td>" in html
    assert html.count("<tr>") == 3
    assert "40 trials in 2 cells" in html


def test_a_table_has_the_columns_that_are_asked_for_in_their_order(records):
    table = records.table(["tilt", "INTENDED", Verdict.UNFIT, "seeds"], level=0.9)
    assert table.head == ["tilt", "INTENDED", "UNFIT", "seeds"]
    (group,) = table.groups
    rows = records.fractions(level=0.9).filter(verdict="INTENDED").to_dicts()
    expected = [(str(row["organism.tilt"]), amount(row), "0 [0, 0.030]", "100") for row in rows]
    assert [tuple(line.cells) for line in group.lines] == expected
    assert table.right == {"seeds", "tilt"}
    assert table.note.startswith("90 % intervals, each by itself. Clopper-Pearson")
    assert table.note.endswith(
        "Not shown: DECEPTIVE. No seed is PARTIAL, OTHER, DIVERGED or ERROR."
    )


def test_fields_that_tell_cells_apart_have_columns_and_the_first_groups_the_rows(many):
    table = many.table(by=["optimizer", "layers"])
    assert table.head[:3] == ["optimizer", "layers", "seeds"]
    assert [len(group.lines) for group in table.groups] == [6, 6]
    assert [line.cells[1] for line in table.groups[1].lines][:2] == ["[2, 3]", "[2, 4]"]
    assert many.table().head[0] == "cell"


def test_a_column_that_is_none_is_refused_with_the_one_that_was_meant(records):
    with pytest.raises(ValueError, match=r"columns = 'seed'; allowed: .*did you mean 'seeds'\?"):
        records.table(["seed"])
    with pytest.raises(ValueError, match=r"by = 'tlt' is no field"):
        records.table(by=["tlt"])
    with pytest.raises(ValueError, match="columns is empty; allowed: at least one"):
        records.table([])


def test_the_short_forms_are_those_of_the_table(records):
    asked = {"columns": ["seeds", "DECEPTIVE"], "by": "tilt", "level": 0.9}
    table = records.table(**asked)
    assert records.to_latex(**asked) == table.latex()
    assert records.to_markdown(**asked) == table.markdown()
    assert records.to_typst(**asked) == table.typst()


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX is installed")
def test_a_table_in_latex_compiles(many, tmp_path):
    hostile = made(tmp_path, [{"organism.name": f"{HOSTILE} {sign}"} for sign in "λη≤→±∞²−×^~|<>"])
    assert "layers=[2, 3]," in many.to_latex()
    tables = hostile.to_latex() + many.to_latex(["layers", "DECEPTIVE"], by=["optimizer", "layers"])
    page = rf"\usepackage{{booktabs}}\begin{{document}}{tables}\end{{document}}"
    (tmp_path / "page.tex").write_text(rf"\documentclass{{article}}{page}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-1000:]


def colors_of(axes) -> set:
    return {to_hex(line.get_color()) for line in axes.get_lines()}


def test_a_figure_of_records_is_that_of_the_report_and_a_notebook_shows_it(records):
    figure = records.plot()
    assert drawn(figure, ".png") == drawn(figures.fractions(records), ".png")
    assert methodcaller("_repr_png_")(figure).startswith(b"\x89PNG")
    titles = [axes.get_title("left") for axes in records.plot("gaps", order=["tilt=0.0"]).axes]
    assert titles == ["tilt=0.0"]


def test_curves_are_drawn_on_ones_own_axes(records):
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert records.plot(ax=right, palette={"INTENDED": "green"}) is right
    assert not left.has_data()
    names = right.get_legend_handles_labels()[1]
    assert names == ["DECEPTIVE", "INTENDED"]
    assert colors_of(right) == {"#d55e00", "#008000"}
    assert (right.get_xlabel(), right.get_ylabel()) == ("tilt", "fraction of seeds")
    line = right.get_lines()[1]
    rows = records.fractions().filter(verdict="INTENDED").sort("organism.tilt")
    assert line.get_xdata().tolist() == [0.0, 0.2]
    assert line.get_ydata().tolist() == rows["fraction"].to_list()
    assert figure.texts == []


def test_one_cell_and_the_rows_of_one_verdict_are_drawn_on_ones_own_axes(records, many):
    axes = Figure().subplots()
    records.plot(ax=axes, order=["tilt=0.0"])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["DECEPTIVE", "INTENDED"]
    axes = Figure().subplots()
    order = [*many.labels.values()][5:2:-1]
    many.plot(ax=axes, of="INTENDED", order=order)
    assert [label.get_text() for label in axes.get_yticklabels()] == order
    assert axes.get_xlabel() == "fraction of seeds that are INTENDED"


def test_the_gap_of_one_cell_is_drawn_on_ones_own_axes(records):
    axes = Figure().subplots()
    assert records.plot("gaps", ax=axes, order=["tilt=0.2"], of=["DECEPTIVE"]) is axes
    counts = records.gaps()[records.digest("tilt=0.2")][Verdict.DECEPTIVE]
    heights = [bar.get_height() for bar in axes.containers[0]]
    assert heights == pytest.approx((counts / 100).tolist())
    assert len(axes.containers) == 1


def test_what_needs_several_axes_or_cannot_be_drawn_is_refused(records, many):
    axes = Figure().subplots()
    for wrong, message in [
        ({"ax": axes}, r"rows of cells need one for each verdict; allowed: .* of DECEPTIVE, INT"),
        ({"kind": "gaps"}, r"kind = 'gaps'; allowed: 'fractions', 'conv.*', since .*; it has x$"),
        ({"ax": [axes]}, r"^ax = \[<Axes: >\]; allowed: None, or one axes"),
        ({"order": ["sgd"]}, r"^order = 'sgd'; allowed: "),
        ({"order": []}, "^order is empty; allowed: at least one"),
        ({"of": "LIAR"}, "^verdict = 'LIAR'; allowed"),
        ({"palette": {"OTHER": "rde"}}, r"^palette\['OTHER'\] = 'rde'; allowed: a color"),
    ]:
        with pytest.raises(ValueError, match=message):
            many.plot(**wrong)
    with pytest.raises(ValueError, match=r"2 cells need one each; .* such as tilt=0\.2, tilt=0\.0"):
        records.plot("gaps", ax=axes)
    assert not axes.has_data()
