"""Figures with a panel for each cell draw the numbers of its seeds."""

import folders
import numpy as np
import pytest
from matplotlib.figure import Figure

import basin_jax as bj
from basin_jax import Verdict, load
from basin_jax.report.dose_response import caption
from basin_jax.report.panels import gap_panel
from basin_jax.statistics.intervals import clopper_pearson, confidence_sequence


STOPS, SEEDS = (0, 4, 10), 60
KINDS = ("gaps", "watched", "trajectories", "committor", "convergence", "outcomes")


def rows_of(seeds, salt):
    """Rows of seeds whose gap grows, or does not, and whose verdict follows from the last one."""
    made = folders.columns(seeds, STOPS, salt)
    share = np.repeat(np.sin(np.array(seeds) + salt) ** 2, len(STOPS))
    made["watched"] = np.zeros_like(made["x"])
    made["unwatched"] = (share * made["step"] / STOPS[-1]).astype(np.float32)
    ends = np.where(share > 0.7, Verdict.DECEPTIVE, Verdict.INTENDED)
    return made | {"verdict": np.where(made["step"] == STOPS[-1], ends, 0).astype(np.int8)}


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """The records of two cells, and of a pilot, which no figure counts."""
    cells = dict(folders.cell_of({"organism.tilt": tilt}, STOPS) for tilt in (0.0, 0.1))
    store = folders.new_store(tmp_path_factory.mktemp("kinds"), cells)
    for salt, digest in enumerate(cells):
        assert store.commit(digest, rows_of(range(SEEDS + 10), 0.4 * salt))
    asked = {"kind": "range", "count": SEEDS, "first": 0, "last": SEEDS - 1}
    store.record_run(folders.run_of(asked))
    pilot = {"kind": "range", "count": 10, "first": SEEDS, "last": SEEDS + 9, "pilot": "a width"}
    store.record_run(folders.run_of(pilot, "2026-01-02T00:00:00+00:00"))
    return load(store.folder)


@pytest.fixture
def axes():
    return Figure().subplots()


def one(records):
    return {"order": [records.label(next(iter(records.cells)))]}


def last(records):
    rows = records.rows(next(iter(records.cells)))
    return rows.filter(step=STOPS[-1])[:SEEDS]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_a_panel_for_each_cell_and_says_how_many_seeds(records, kind):
    figure = records.plot(kind)
    titles = [records.label(cell) for cell in records.cells][kind == "outcomes" :]
    assert [axes.get_title("left") for axes in figure.axes] == titles
    assert f"n = {SEEDS} seeds in each cell" in figure.get_supxlabel().replace("\n", " ")


def test_the_bars_of_a_bin_have_their_own_heights_and_the_lowest_is_in_front(axes):
    counts = {Verdict.INTENDED: np.full(41, 30), Verdict.DECEPTIVE: np.full(41, 10)}
    gap_panel(axes, counts, None)
    bars = {one.get_label(): one[20] for one in axes.containers}
    for verdict, own in counts.items():
        bar = bars[verdict.name]
        assert (bar.get_y(), bar.get_height()) == pytest.approx((0, own[20] / (41 * 40)))
    assert bars["DECEPTIVE"].get_zorder() > bars["INTENDED"].get_zorder()


def test_rates_are_counted_once_for_each_seed(records, axes):
    records.plot("watched", ax=axes, **one(records))
    (mesh,) = axes.collections
    assert mesh.get_array().filled(0).sum() == SEEDS


def test_trajectories_end_where_their_seeds_do(records, axes):
    records.plot("trajectories", ax=axes, **one(records))
    ends = {line.get_label(): line.get_xydata() for line in axes.lines}
    rows = last(records)
    for name in ("DECEPTIVE", "INTENDED"):
        middle = rows.filter(verdict=name)["unwatched"].quantile(0.5)
        assert ends[f"ends {name}"][[0, -1]].tolist() == [[0, 0], [10, pytest.approx(middle)]]


def test_the_committor_is_a_fraction_of_seeds_with_an_interval(records, axes):
    records.plot("committor", ax=axes, **one(records))
    assert [line.get_label() for line in axes.lines] == ["after 0 steps", "after 4 steps"]
    # At the start no seed has a gap, so that all of them are in one bin.
    hits = int((last(records)["verdict"] == "DECEPTIVE").sum())
    assert axes.lines[0].get_ydata().tolist() == [hits / SEEDS]
    (ends,) = axes.collections[0].get_segments()
    assert tuple(ends[:, 1]) == pytest.approx(clopper_pearson(hits, SEEDS, error=0.05))


def test_the_fraction_converges_within_its_sequence(records, axes):
    records.plot("convergence", ax=axes, **one(records))
    verdicts = last(records)["verdict"] == "DECEPTIVE"
    counts, fractions = axes.lines[0].get_data()
    assert (counts[0], counts[-1]) == (1, SEEDS)
    assert fractions.tolist() == [verdicts[: int(n)].mean() for n in counts]
    band = axes.collections[0].get_paths()[0].vertices
    ends = sorted({y for x, y in band.tolist() if x == SEEDS})
    hits = int(verdicts.sum())
    assert ends == pytest.approx(confidence_sequence(hits, SEEDS, error=0.05))


def test_outcomes_are_those_of_the_same_seeds(records, axes):
    records.plot("outcomes", ax=axes)
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["DECEPTIVE", "INTENDED"]
    shown = {text.get_position(): int(text.get_text()) for text in axes.texts}
    frame = records.frame.filter(records.frame["seed"] < SEEDS)
    own, other = (frame.filter(cell=cell)["verdict"] for cell in records.cells)
    expected = {
        (column, row): int(((own == a) & (other == b)).sum())
        for row, a in enumerate(names)
        for column, b in enumerate(names)
    }
    assert shown == expected
    assert sum(shown.values()) == SEEDS


def test_a_figure_that_records_cannot_have_is_refused(records, wells_folder, axes):
    wells = load(wells_folder)
    with pytest.raises(
        ValueError, match=r"kind = 'committor'; .*, since no cell was probed before"
    ):
        wells.plot("committor")
    with pytest.raises(ValueError, match=r"2 cells need one each; allowed: .* order of one cell"):
        records.plot("convergence", ax=axes)
    with pytest.raises(
        ValueError, match="order has one cell; allowed: two or more with kind = 'out"
    ):
        records.plot("outcomes", **one(records))
    alone = load(records.store.folder)
    alone.cells = {cell: alone.cells[cell] for cell in list(alone.cells)[:1]}
    with pytest.raises(ValueError, match="since the sweep has one cell"):
        alone.plot("outcomes")


def test_an_interval_of_related_seeds_is_none_of_independent_ones(tmp_path):
    cells = dict([folders.cell_of({"start.children": 4}, STOPS)])
    store = folders.new_store(tmp_path, cells)
    store.commit(next(iter(cells)), rows_of(range(8), 0))
    for kind in ("convergence", "committor"):
        with pytest.raises(ValueError, match="since seeds of one parent are related"):
            load(tmp_path).plot(kind)
    assert load(tmp_path).plot("watched")


@pytest.mark.slow
def test_the_profile_of_a_buffer_crosses_one_half_at_the_saddle(wells, wells_folder, tmp_path):
    well = wells[0]
    ends = bj.load(wells_folder).seeds("DECEPTIVE", cell="tilt=0.2")
    pushed = well.replace(start=bj.starts.Perturbed(of=well, radius=0.0, direction="-margin"))
    saddle, end = sorted(np.roots([1, 0, -1, -0.2]))[1:]
    radii = end - saddle - 0.1, end - saddle + 0.1
    records = bj.run(bj.grid(pushed, {"start.radius": radii}), ends, tmp_path, lanes=8)
    profile = records.threshold("radius")
    assert profile.fractions == (1.0, 0.0)
    assert profile.between == pytest.approx(radii)
    assert f"n = {len(ends)} chosen seeds" in caption(profile)
