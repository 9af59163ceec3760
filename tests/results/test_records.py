"""What a folder says: fractions, which interval holds, and verdicts by another rule."""

import numpy as np
import polars as pl
import pytest
from folders import cell_of, new_store, run_of

import basin_jax
from basin_jax.core.identity import digest_of
from basin_jax.core.verdict import Verdict
from basin_jax.results.reading import VERDICTS
from basin_jax.results.records import Records, load
from basin_jax.results.store import Store, StoreError
from basin_jax.rules.behavior import Behavior
from basin_jax.rules.nearest import Nearest
from basin_jax.runs import run as loop
from basin_jax.runs import training
from basin_jax.statistics.estimates import estimate, paired_difference


TILT = "organism.tilt"
NAMES = [verdict.name for verdict in Verdict]


@pytest.fixture
def records(wells_folder) -> Records:
    return load(wells_folder)


def counts_of(records: Records) -> dict:
    fractions = records.fractions()
    return {(row[TILT], row["verdict"]): row["hits"] for row in fractions.iter_rows(named=True)}


def test_there_is_one_row_a_cell_and_seed(records):
    assert len(records.frame) == 200
    assert records.frame.columns[:4] == ["cell", "label", TILT, "seed"]
    for digest, cell in records.frame.group_by("cell"):
        assert cell["seed"].to_list() == list(range(100))
        assert set(cell[TILT]) == {records.cells[digest[0]][TILT]}
    assert records.frame["verdict"].dtype == VERDICTS
    assert "step" not in records.frame.columns


def test_a_cell_has_all_verdicts_and_their_hits_sum_to_the_trials(records):
    fractions = records.fractions()
    assert len(fractions) == 2 * len(Verdict)
    for _, cell in fractions.group_by("cell"):
        assert cell["verdict"].to_list() == NAMES
        assert (
            cell["trials"].to_list() == [cell["hits"].sum()] * len(Verdict) == [100] * len(Verdict)
        )
    counted = records.frame.group_by(TILT, "verdict").len()
    assert {k: n for k, n in counts_of(records).items() if n} == {
        (tilt, verdict): n for tilt, verdict, n in counted.iter_rows()
    }


def test_a_row_has_its_own_interval_and_one_that_holds_with_all_others(records):
    for row in records.fractions(level=0.9).iter_rows(named=True):
        alone = estimate(row["hits"], 100, level=0.9)
        together = estimate(row["hits"], 100, level=0.9, num_intervals=2 * len(Verdict))
        assert (row["low"], row["high"]) == (alone.low, alone.high)
        assert (row["low_all"], row["high_all"]) == (together.low, together.high)
        assert row["fraction"] == row["hits"] / 100
        assert (row["level"], row["interval"]) == (0.9, "fixed")


def test_among_restricts_the_denominator(records):
    among = {Verdict.INTENDED, Verdict.DECEPTIVE}
    fractions = records.fractions(among=among)
    assert fractions["verdict"].to_list() == ["INTENDED", "DECEPTIVE"] * 2
    for _, cell in fractions.group_by("cell"):
        assert set(cell["trials"]) == {cell["hits"].sum()}
    nothing = records.fractions(among={Verdict.DIVERGED})
    assert nothing["fraction"].is_nan().all()
    assert nothing.select("trials", "low", "high").unique().row(0) == (0, 0.0, 1.0)


def test_cells_are_told_apart_by_full_paths_and_by_their_last_parts(records):
    full, short = records.fractions([TILT]), records.fractions(["tilt"])
    assert full.equals(short)
    assert full.equals(records.fractions())
    assert records.fractions(["method.learning_rate", "tilt"]).columns[2:4] == [
        "method.learning_rate",
        TILT,
    ]


def test_a_field_that_is_not_there_is_refused_with_the_one_that_was_meant(records):
    with pytest.raises(ValueError, match=r"by = 'organism.tlt'.*did you mean 'organism\.tilt'\?"):
        records.fractions(["organism.tlt"])


@pytest.mark.parametrize("by", [[], ["learning_rate"]])
def test_cells_are_not_pooled_since_they_run_the_same_seeds(records, by):
    with pytest.raises(ValueError, match=r"run the same seeds; allowed: all of organism\.tilt"):
        records.fractions(by)


def test_a_short_name_of_several_fields_is_refused_with_all_of_them(tmp_path):
    folder = written(tmp_path, {"organism.scale": 1.0, "start.scale": 2.0, "root": 0, "x.root": 1})
    with pytest.raises(ValueError, match=r"one of organism\.scale, start\.scale$"):
        load(folder).fractions(["scale"])
    assert "root" in load(folder).fractions(["root"]).columns  # a whole path is meant as such


def test_a_difference_counts_the_seeds_whose_verdicts_differ(records):
    baseline, cell = records.cells
    row = records.compare().row(0, named=True)
    frame = records.frame.with_columns(hit=pl.col("verdict") == "DECEPTIVE")
    first, second = (frame.filter(cell=c).sort("seed")["hit"].to_numpy() for c in (baseline, cell))
    assert (row["cell"], row["baseline"]) == (cell, baseline)
    assert row[TILT] == records.cells[cell][TILT]
    counts = int((~first & second).sum()), int((first & ~second).sum()), 100
    assert (row["gained"], row["lost"], row["trials"]) == counts
    assert row["lost"] > row["gained"]  # a level well has the smaller right basin
    assert row["difference"] == pytest.approx(second.mean() - first.mean())
    expected = paired_difference(*counts)
    assert (row["low"], row["high"], row["p_value"]) == (
        *(expected.low, expected.high),
        expected.p_value,
    )
    assert (row["level"], row["interval"]) == (0.95, "fixed")


def test_a_baseline_is_given_by_its_digest_or_by_its_label(records):
    first, second = records.cells
    forward, back = records.compare(), records.compare(to=second)
    assert back.equals(records.compare(to=records.label(second)))
    assert forward.equals(records.compare(to=first))
    assert back["cell"].to_list() == [first]
    assert back["difference"][0] == -forward["difference"][0]
    assert back["low"][0] == pytest.approx(-forward["high"][0])


def test_a_frame_ends_with_what_a_prompt_shows_of_it(records):
    assert records.fractions().columns[-4:] == ["trials", "fraction", "low", "high"]
    assert records.compare().columns[:4] == ["cell", "label", "baseline", "to"]
    assert records.compare().columns[-4:] == ["difference", "low", "high", "p_value"]
    assert records.compare()["to"].to_list() == [records.label(next(iter(records.cells)))]
    with pl.Config(tbl_width_chars=100):
        assert "p_value" in str(records.compare())


def test_the_differences_of_a_verdict_are_laid_out_like_the_fractions(records):
    columns = ["cell", "label", "baseline", "to", TILT, "level", "interval", "sample"]
    columns += ["low_all", "high_all", "gained", "lost", "trials", "difference", "low", "high"]
    assert records.compare().columns == [*columns, "p_value"]
    intended = records.compare("INTENDED")
    assert intended["difference"][0] == -records.compare(Verdict.DECEPTIVE)["difference"][0]


def test_all_differences_hold_at_once_over_the_seeds_that_cells_share(wells, tmp_path):
    cells = [*wells, wells[0].replace(organism=basin_jax.organisms.DoubleWell(tilt=-0.2))]
    loop.run(cells, 24, tmp_path, lanes=8)
    store = Store(tmp_path)
    last = max(store.chunks(), key=lambda chunk: digest_of(cells[1]) in chunk)
    (tmp_path / last).unlink()
    records = load(tmp_path)
    rows = records.compare().rows(named=True)
    assert [row["cell"] for row in rows] == [digest_of(cell) for cell in cells[1:]]
    assert [row["trials"] for row in rows] == [0, 24]
    assert (rows[0]["low"], rows[0]["high"], rows[0]["p_value"]) == (-1, 1, 1)
    row = rows[1]
    every = paired_difference(row["gained"], row["lost"], 24, num_intervals=2, interval="anytime")
    assert (row["low_all"], row["high_all"]) == (every.low, every.high)
    assert row["interval"] == "anytime"
    assert row["low_all"] < row["low"] <= row["high"] < row["high_all"]
    pairs = records.compare(all_pairs=True)
    first, second, third = map(digest_of, cells)
    names = [(first, second), (first, third), (second, third)]
    assert [*pairs.select("baseline", "cell").iter_rows()] == names
    assert pairs.columns == records.compare().columns
    last = pairs.row(1, named=True)
    every = paired_difference(row["gained"], row["lost"], 24, num_intervals=3, interval="anytime")
    assert {n: last[n] for n in row if "_all" not in n} == {
        n: row[n] for n in row if "_all" not in n
    }
    assert (last["low_all"], last["high_all"]) == (every.low, every.high)


def test_a_difference_needs_two_cells_and_a_baseline_that_is_one(records, tmp_path):
    with pytest.raises(ValueError, match="the sweep has one cell; allowed: two or more"):
        load(written(tmp_path, {})).compare()
    with pytest.raises(ValueError, match=r"to = 'tilt=0\.1'.*; allowed: tilt=0\.0, tilt=0\.2"):
        records.compare(to="tilt=0.1")
    with pytest.raises(ValueError, match=r"to = 'tilt=0\.0' with all_pairs; allowed: one of"):
        records.compare(to="tilt=0.0", all_pairs=True)
    with pytest.raises(ValueError, match="verdict = 'BAD'; allowed"):
        records.compare("BAD")


@pytest.fixture
def along(wells, tmp_path):
    """The records of cells that were probed at steps 0 and 3, too, before their 40th."""
    return basin_jax.run([cell.replace(save_at=(0, 3)) for cell in wells], 30, tmp_path, lanes=8)


def test_fractions_as_a_threshold_moves_are_those_of_rules_that_have_it(along):
    gaps = (0.3, 0.5, 0.999)
    records = load(along.store.folder, rule=Behavior())
    frame = records.sensitivity("deceptive_gap", gaps)
    assert frame.columns[2:5] == [TILT, "deceptive_gap", "verdict"]
    assert len(frame) == 2 * len(gaps) * len(Verdict)
    for gap in gaps:
        fractions = load(records.store.folder, rule=Behavior(deceptive_gap=gap)).fractions()
        found = frame.filter(deceptive_gap=gap).drop("deceptive_gap")
        assert found.drop("low_all", "high_all").equals(fractions.drop("low_all", "high_all"))
    row = frame.sort("hits").row(-1, named=True)
    every = estimate(row["hits"], 30, num_intervals=2 * 3 * len(Verdict))
    assert (row["low_all"], row["high_all"]) == (every.low, every.high)


def test_a_threshold_moves_only_where_the_records_have_a_rule(records):
    with pytest.raises(ValueError, match=r"rule = None; allowed: .* load\(folder, rule=Behavior"):
        records.sensitivity("deceptive_gap", (0.5,))


def test_the_agreement_of_earlier_verdicts_with_the_last_is_counted_seed_by_seed(along):
    frame = along.agreement()
    assert frame.columns[2:4] == [TILT, "step"]
    assert frame["step"].to_list() == [0, 3] * 2
    for row in frame.iter_rows(named=True):
        history = along.history.filter(cell=row["cell"]).sort("seed")
        then, last = (
            history.filter(step=step)["verdict"].cast(pl.String).to_numpy()
            for step in (row["step"], 40)
        )
        assert row["trials"] == 30
        assert row["hits"] == (then == last).sum()
        every = estimate(row["hits"], row["trials"], num_intervals=4)
        assert (row["low_all"], row["high_all"]) == (every.low, every.high)
    assert 0 < frame["hits"].sum() < frame["trials"].sum()


def test_a_sweep_that_was_probed_at_its_end_only_has_nothing_to_agree_with(records):
    with pytest.raises(ValueError, match=r"save_at = \(\) in every cell; allowed: a step before"):
        records.agreement()


def written(folder, fields, seeds=range(5), run=None):
    """Write a folder of one cell by hand."""
    digest, entry = cell_of(fields, (3,))
    store = new_store(folder, {digest: entry})
    count = len(seeds)
    store.commit(
        digest,
        {
            "seed": np.array(seeds, np.uint64),
            "step": np.full(count, 3, np.int32),
            "verdict": np.full(count, 1, np.int8),
            "fit": np.ones(count, np.float32),
        },
    )
    asked = {"kind": "range", "first": 0, "last": count - 1, "count": count}
    store.record_run(run_of(run or asked))
    return folder


def test_another_rule_judges_the_stored_evidence_without_training(wells_folder, monkeypatch):
    monkeypatch.setattr(training, "build_kernel", None)
    before = {path: path.read_bytes() for path in wells_folder.rglob("*") if path.is_file()}
    rule = Nearest(intended={"x": 1.0}, deceptive={"x": -1.0}, within=0.5)
    again = load(wells_folder, rule=rule)
    x = again.frame["x"]
    expected = pl.select(
        pl.when(x.abs() < 0.5)
        .then(pl.lit("OTHER"))
        .otherwise(pl.when(x > 0).then(pl.lit("INTENDED")).otherwise(pl.lit("DECEPTIVE")))
    ).to_series()
    assert again.frame["verdict"].cast(pl.String).to_list() == expected.to_list()
    own = load(wells_folder).frame
    assert own["verdict"].to_list() != again.frame["verdict"].to_list()
    assert own.drop("verdict").equals(again.frame.drop("verdict"))
    assert before == {path: path.read_bytes() for path in wells_folder.rglob("*") if path.is_file()}


def test_the_sweeps_own_rule_gives_the_verdicts_that_are_stored(wells_folder):
    own, again = load(wells_folder), load(wells_folder, rule=Behavior())
    assert own.history.equals(again.history)


def test_a_rule_that_asks_for_what_was_not_measured_is_refused(wells_folder):
    rule = Nearest(intended={"height": 1.0}, deceptive={"height": -1.0}, within=0.5)
    with pytest.raises(ValueError, match=r"'height'; the organism gives: competence, fit, .*, x"):
        _ = load(wells_folder, rule=rule).frame


def test_the_double_wells_fraction_is_the_known_one(records):
    # P(right) = 1 - Φ(separatrix): .58283 at a tilt of .2, one half at 0.
    deceptive = records.fractions(level=0.999).filter(verdict="DECEPTIVE")
    for truth, low, high in zip((0.58283, 0.5), deceptive["low"], deceptive["high"], strict=True):
        assert low < truth < high


def test_an_interval_is_fixed_only_where_all_runs_asked_for_the_same_and_got_it(wells, tmp_path):
    cells, folder = wells[:1], tmp_path / "sweep"
    assert basin_jax.run(cells, 16, folder, lanes=8).interval == "fixed"
    assert basin_jax.run(cells, 16, folder).interval == "fixed"
    (folder / "data").joinpath(next((folder / "data").iterdir()).name).unlink()
    basin_jax.run(cells, 16, folder)
    assert load(folder).interval == "fixed"
    assert basin_jax.run(cells, 24, folder).interval == "anytime"
    assert set(load(folder).fractions()["interval"]) == {"anytime"}


def test_a_run_that_stops_by_what_it_saw_has_the_interval_that_allows_it(wells, tmp_path):
    records = basin_jax.run(wells[:1], None, tmp_path, until=0.5, lanes=8)
    assert records.interval == "anytime"
    row = records.fractions().row(by_predicate=pl.col("verdict") == "DECEPTIVE", named=True)
    assert row["high"] - row["low"] <= 0.5
    bounds = estimate(row["hits"], row["trials"], interval="anytime")
    assert (row["low"], row["high"]) == (bounds.low, bounds.high)


@pytest.mark.parametrize(
    ("seeds", "asked", "interval"),
    [
        (range(5), {"kind": "range", "first": 0, "last": 4, "count": 5}, "fixed"),
        (range(4), {"kind": "range", "first": 0, "last": 4, "count": 5}, "anytime"),  # under way
        (
            range(5),
            {"kind": "width", "width": 0.1, "interval": "anytime", "level": 0.95},
            "anytime",
        ),
    ],
)
def test_the_interval_follows_from_what_was_asked_and_what_is_there(
    tmp_path, seeds, asked, interval
):
    assert load(written(tmp_path, {}, seeds, asked)).interval == interval


def test_a_cell_that_lacks_seeds_takes_the_fixed_interval_from_all(wells, wells_folder, tmp_path):
    manifest, store = Store(wells_folder).manifest(), Store(tmp_path)
    store.prepare()
    store.update(lambda _: manifest | {"runs": {}})
    for run in Store(wells_folder).runs():
        store.record_run(run)
    for chunk in Store(wells_folder).chunks(digest_of(wells[0])):
        (store.folder / chunk).write_bytes((wells_folder / chunk).read_bytes())
    assert load(tmp_path).interval == "anytime"
    trials = load(tmp_path).fractions().group_by("cell").agg(pl.col("trials").first())
    assert dict(trials.iter_rows()) == {digest_of(wells[0]): 100, digest_of(wells[1]): 0}


def test_the_history_has_a_row_for_each_stop_and_the_frame_the_last(wells, tmp_path):
    sweep = wells[0].replace(save_at=(0, 3, 20))
    records = basin_jax.run(sweep, 12, tmp_path, lanes=8)
    history = records.history
    assert len(history) == 12 * 4
    for _, seed in history.group_by("seed"):
        assert seed["step"].to_list() == [0, 3, 20, 40]
    last = history.filter(step=40)
    assert records.frame.equals(last.drop("step"))
    assert set(records.fractions()["trials"]) == {12}
    # The start is the organism's own, and each stop lies on the way from there.
    first = history.filter(step=0).sort("seed")["x"].to_numpy()
    alone = [float(basin_jax.trial(sweep, seed)["x"][0]) for seed in range(2)]
    assert first[:2] == pytest.approx(alone, rel=1e-6)


def test_a_folder_that_holds_no_sweep_is_refused(tmp_path):
    with pytest.raises(StoreError, match="holds no sweep"):
        load(tmp_path)


def test_two_sets_of_seeds_of_one_size_are_no_fixed_number(wells, tmp_path):
    loop.run(wells, [0, 1, 3], tmp_path, lanes=8)
    loop.run(wells, [0, 2, 3], tmp_path, lanes=8)
    assert load(tmp_path).interval == "anytime"


def test_evidence_named_like_a_column_of_the_store_is_refused(tmp_path):
    class Named(basin_jax.organisms.DoubleWell):
        def probe(self, key, params):
            return {"seed": params}

    sweep = basin_jax.Sweep(
        organism=Named(), method=basin_jax.methods.Gradient(learning_rate=0.1), num_steps=1
    )
    with pytest.raises(ValueError, match="evidence named 'seed'; allowed: other names"):
        loop.run(sweep, 8, tmp_path, lanes=8)
    assert not list(tmp_path.iterdir())


def test_two_cells_that_are_the_same_sweep_are_refused(wells, tmp_path):
    with pytest.raises(ValueError, match="two cells are the same sweep"):
        loop.run([*wells, wells[0]], 8, tmp_path, lanes=8)
