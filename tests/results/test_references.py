"""Ours against theirs: what agrees, what does not, and the table that says so."""

from pathlib import Path

import polars as pl
import pytest
from scipy.special import ndtr
from scipy.stats import binomtest

import basin_jax
from basin_jax import Exact, Independent, Limit, Published, Verdict
from basin_jax.report import known_answers as answers
from basin_jax.results.references import compare
from basin_jax.runs.sweepfile import load_sweep
from basin_jax.statistics.estimates import estimate


SWEEPS = Path(__file__).parents[2] / "sweeps"
OURS = estimate(60, 100, level=0.999)


def test_an_exact_fraction_must_lie_in_the_interval():
    for fraction in (0.0, 0.3, OURS.low, 0.6, OURS.high, 0.8, 1.0):
        inside = OURS.low <= fraction <= OURS.high
        assert Exact(name="", fraction=fraction).agrees(OURS) == inside
    one = Exact(name="", fraction=0.5)
    assert one.p_value(OURS) == pytest.approx(binomtest(60, 100, 0.5).pvalue)
    assert one.deviation(OURS) == pytest.approx(1.9, abs=0.05)
    assert Exact(name="", fraction=0.7).deviation(OURS) < -1.9


def test_where_every_seed_must_one_miss_is_too_many():
    certain = Exact(name="", fraction=1.0)
    assert certain.agrees(estimate(10**5, 10**5, level=0.999))
    assert not certain.agrees(estimate(10**5 - 1, 10**5, level=0.999))


def test_a_published_count_must_be_likely_under_ours():
    for hits in range(51):
        p_value = binomtest(hits, 50, 0.6).pvalue
        one = Published(name="", hits=hits, trials=50)
        assert one.p_value(OURS) == pytest.approx(p_value)
        assert one.agrees(OURS) == (p_value > 0.01)
    assert Published(name="", hits=20, trials=50).deviation(OURS) > 0


def test_a_published_count_tells_which_fractions_it_would_accept():
    low, high = Published(name="", hits=24, trials=50).accepts()
    assert (low, high) == pytest.approx((0.305, 0.664), abs=1e-3)
    for fraction in (low - 1e-3, high + 1e-3):
        assert binomtest(24, 50, fraction).pvalue <= 0.01
    for fraction in (low, high):
        assert binomtest(24, 50, fraction).pvalue > 0.01
    assert Published(name="", hits=0, trials=50).accepts()[0] == 0
    assert Published(name="", hits=50, trials=50).accepts()[1] == 1


def test_what_is_derived_in_a_limit_is_not_called_exact(wells_folder):
    limit = Limit(name="right", cell={"tilt": 0.0}, fraction=0.5)
    frame = compare(basin_jax.load(wells_folder), [limit])
    page = answers.markdown(answers.by_kind([frame]), "Made here.")
    assert "## Limit" in page
    assert "exact" not in page
    source = load_sweep(SWEEPS / "known_answers" / "escape_threshold.py")
    by_formula = [one for one in source.known if "Φ" in one.source]
    assert [(one.kind, one.cell["paths"]) for one in by_formula] == [
        ("limit", 64),
        ("limit", 8),
        ("exact", 1),
        ("limit", 64),
    ]


def test_an_independent_fraction_is_as_uncertain_as_ours():
    pooled = (60 + 0.5 * 300) / 400
    z = 0.1 / (pooled * (1 - pooled) * (1 / 100 + 1 / 300)) ** 0.5
    one = Independent(name="", fraction=0.5, trials=300)
    assert one.deviation(OURS) == pytest.approx(z)
    assert one.p_value(OURS) == pytest.approx(2 * ndtr(-z))
    assert one.agrees(OURS)
    assert not Independent(name="", fraction=0.3, trials=300).agrees(OURS)
    assert Independent(name="", fraction=0.0, trials=300).agrees(estimate(0, 10))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Exact(name="", fraction=1.1), r"Exact\.fraction = 1\.1; allowed: 0 to 1"),
        (lambda: Published(name="", hits=6, trials=5), r"Published\.hits = 6; .* most trials = 5"),
        (lambda: Published(name="", hits=0, trials=0), r"Published\.trials = 0; allowed: a whole"),
        (lambda: Independent(name="", fraction=-1.0, trials=5), r"fraction = -1\.0; allowed"),
        (lambda: Independent(name="", fraction=0.5, trials=0), r"trials = 0; allowed: a whole"),
    ],
)
def test_a_mistake_is_named(make, said):
    with pytest.raises(ValueError, match=said):
        make()


KNOWN = [
    Exact(name="right", cell={"tilt": 0.2}, fraction=0.58283, source="closed form"),
    Exact(name="level & even", cell={"organism.tilt": 0.0}, fraction=0.5),
    Exact(name="wrong", cell={"tilt": 0.0}, fraction=0.9),
    Published(name="left", of=Verdict.INTENDED, cell={"tilt": 0.2}, hits=5, trials=10),
    Independent(name="far", of=pl.col("x") > 1, cell={"tilt": 0.2}, fraction=0.6, trials=50),
]


@pytest.fixture(scope="module")
def frame(wells_folder):
    return compare(basin_jax.load(wells_folder), KNOWN)


def test_each_known_fraction_is_compared_with_its_own_cell_and_outcome(frame, wells_folder):
    found = basin_jax.load(wells_folder).frame
    tilted = found.filter(pl.col("organism.tilt") == 0.2)
    level = found.filter(pl.col("organism.tilt") == 0.0)
    deceptive = [(cell["verdict"] == "DECEPTIVE").sum() for cell in (tilted, level)]
    left, far = (tilted["verdict"] == "INTENDED").sum(), (tilted["x"] > 1).sum()
    assert frame["hits"].to_list() == [*deceptive, deceptive[1], left, far]
    assert set(frame["trials"]) == {100}
    assert frame["agrees"].to_list() == [True, True, False, True, True]
    assert frame["theirs_trials"].to_list() == [None, None, None, 10, 50]


def test_an_expression_may_look_at_all_steps_of_a_seed(tmp_path, wells):
    sweep = wells[0].replace(save_at=(0,))
    records = basin_jax.run(sweep, 50, tmp_path, lanes=8)
    same_side = (pl.col("x").first().over("seed", order_by="step") > 0) == (pl.col("x") > 0)
    first = records.history.filter(step=0).sort("seed")["x"] > 0
    last = records.frame.sort("seed")["x"] > 0
    (row,) = compare(records, [Exact(name="", of=same_side, fraction=1.0)]).to_dicts()
    assert row["trials"] == 50
    assert row["hits"] == (first == last).sum() < 50


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (pl.col("y") > 0, 'unable to find column "y"'),
        (pl.col("x"), "it gives Float32, 0 null"),
        (pl.lit(3), "it gives Int"),
        (pl.when(pl.col("x") > 0).then(True), "it gives Boolean, [0-9]+ null"),
    ],
)
def test_an_expression_that_cannot_be_counted_is_refused_by_name(of, said, wells_folder):
    records = basin_jax.load(wells_folder)
    with pytest.raises(ValueError, match=f"Exact.of of 'mine': .*{said}.*; allowed: a Polars"):
        compare(records, [Exact(name="mine", of=of, cell={"tilt": 0.2}, fraction=0.5)])


def test_a_diverged_seed_is_no_hit_of_an_expression(tmp_path, wells):
    lost = wells[0].replace(method=basin_jax.methods.Gradient(learning_rate=100.0))
    records = basin_jax.run(lost, 20, tmp_path, lanes=4)
    diverged = (records.frame["verdict"] == "DIVERGED").sum()
    known = [
        Exact(name="right", of=pl.col("x") > 0, fraction=0.0),
        Exact(name="lost", of=Verdict.DIVERGED, fraction=1.0),
    ]
    right, gone = compare(records, known)["hits"]
    assert gone == diverged > 10
    assert right <= 20 - diverged


@pytest.mark.parametrize("cell", [{}, {"tilt": 0.1}, {"tild": 0.2}])
def test_a_known_fraction_of_no_cell_or_of_several_is_refused(cell, wells_folder):
    records = basin_jax.load(wells_folder)
    with pytest.raises(ValueError, match=r"cell = .* fits [02] cells; allowed: .*tilt=0\.2"):
        compare(records, [Exact(name="", cell=cell, fraction=0.5)])


def test_the_table_is_written_for_a_page_a_paper_and_an_eye(frame, tmp_path):
    rows = answers.by_kind([frame[3:], frame[:3]])
    assert rows["kind"].to_list() == frame["kind"].to_list()
    page = answers.write_answers(rows, tmp_path, made="Made here.")
    written = {path.suffix for path in tmp_path.iterdir()}
    assert written == {".md", ".tex", ".png", ".pdf"}
    text = page.read_text()
    assert "4 of 5 fractions agree (3 exact, 1 published, 1 independent)." in text
    assert "err together. Made here." in text
    assert text.count("\n## ") == 3
    assert text.count("| yes |") == 4
    assert text.count("| NO |") == 1
    assert "| yes | closed form |" in text
    # Four of one cell and one of another: two tilts of one well have the same seeds.
    assert "5 rows share their seeds with others: those with one letter" in text
    assert text.count("| 100 | a | ") == 5
    assert text.count(" (accepts 0.") == 1
    latex = (tmp_path / "known_answers.tex").read_text()
    assert r"level \& even & 0.5 & " in latex
    assert latex.count(r"\\") == 1 + 3 + 5


def test_rows_of_the_same_seeds_are_told(frame):
    def drawn(organism, root, first, last):
        columns = {"organism": organism, "root": root, "first": first, "last": last}
        whole = pl.col("root", "first", "last").cast(pl.UInt64)
        return (
            frame[:1].with_columns(**{n: pl.lit(v) for n, v in columns.items()}).with_columns(whole)
        )

    rows = [
        drawn("Well", 0, 0, 99),
        drawn("Gate", 0, 0, 99),  # another organism
        drawn("Well", 2**64 - 1, 0, 99),  # another root
        drawn("Well", 0, 500, 599),  # other seeds
        drawn("Well", 0, 50, 550),  # overlaps the first and the fourth
        drawn("Gate", 0, 100, 199),  # adjacent
        drawn("Well", 2**64 - 1, 99, 100),
    ]
    told = answers.by_kind(rows)
    assert told["shared"].to_list() == ["a", "", "b", "a", "a", "", "b"]
    assert "5 rows share their seeds with others" in answers.summary(told)
    alone = answers.by_kind(rows[1:2])
    assert "share" not in answers.summary(alone)


def test_chosen_seeds_are_not_compared_with_a_fraction_of_all_seeds(tmp_path, wells, wells_folder):
    chosen = basin_jax.load(wells_folder).seeds("DECEPTIVE", cell="tilt=0.2")
    records = basin_jax.run(wells[0], chosen, tmp_path, lanes=8)
    with pytest.raises(
        ValueError, match=r"right: its seeds were chosen \(DECEPTIVE of tilt=0\.2 in"
    ):
        compare(records, KNOWN[:1])


def test_files_and_folders_are_searched_for_those_that_know(tmp_path):
    sweep = "import basin_jax as bj\nsweep = bj.Sweep(organism=bj.organisms.DoubleWell(), "
    sweep += "method=bj.methods.Gradient(learning_rate=.1), num_steps=5)\n"
    (tmp_path / "a.py").write_text(sweep)
    (tmp_path / "b.py").write_text(sweep + "known = [bj.Exact(name='b', fraction=.5)]\nseeds = 7")
    (found,) = answers.knowing([tmp_path, tmp_path / "b.py"])
    assert (found.file.name, found.seeds, found.known[0].name) == ("b.py", 7, "b")
    (tmp_path / "helper.py").write_text("raise RuntimeError  # unknown\n")
    # Of a grid, only the cells of which something is known are trained.
    (tmp_path / "grid.py").write_text(
        sweep + "sweep = {str(n): sweep.replace(num_steps=n) for n in (5, 6, 7)}\n"
        "known = [bj.Exact(name='b', cell={'num_steps': 6}, fraction=.5)]"
    )
    (asked,) = answers.knowing([tmp_path / "grid.py"])
    assert isinstance(asked.sweep, dict)
    assert [(name, cell.num_steps) for name, cell in asked.sweep.items()] == [("6", 6)]
    # Also where two cells are equal.
    (tmp_path / "grid.py").write_text(
        sweep + "sweep = [sweep, sweep, sweep.replace(num_steps=6)]\n"
        "known = [bj.Exact(name='b', cell={'num_steps': 6}, fraction=.5)]"
    )
    (asked,) = answers.knowing([tmp_path / "grid.py"])
    assert [cell.num_steps for cell in asked.cells] == [6]
    (tmp_path / "grid.py").unlink()
    assert answers.knowing([tmp_path])
    with pytest.raises(ValueError, match=r"a\.py knows no fractions beforehand; allowed"):
        answers.knowing([tmp_path / "a.py"])
    (tmp_path / "gpu").mkdir()
    (tmp_path / "gpu/g.py").write_text((tmp_path / "b.py").read_text())
    assert [source.file.name for source in answers.knowing([tmp_path])] == ["b.py"]
    assert [source.file.name for source in answers.knowing([tmp_path / "gpu"])] == ["g.py"]
    for folder in ("x", "y"):
        (tmp_path / folder / "s").mkdir(parents=True)
        (tmp_path / folder / "s/b.py").write_text((tmp_path / "b.py").read_text())
    with pytest.raises(ValueError, match=r"x/s/b\.py and .*y/s/b\.py; allowed: files of diff"):
        answers.knowing([tmp_path / "x", tmp_path / "y"])
    with pytest.raises(ValueError, match="nowhere is not there; allowed"):
        answers.knowing([tmp_path / "nowhere"])
