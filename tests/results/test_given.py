"""Fractions of the seeds that satisfied something earlier, or in their parents."""

import numpy as np
import polars as pl
import pytest
from scipy.special import ndtr
from scipy.stats import binom

from basin_jax import Exact, Given, Sweep, Verdict, load, run
from basin_jax.methods import Gradient
from basin_jax.organisms import DoubleWell
from basin_jax.results.references import compare
from basin_jax.starts import Fork, Trained
from basin_jax.statistics.estimates import estimate
from basin_jax.statistics.intervals import clopper_pearson


# Slow enough that not all verdicts are in after 3 steps.
SWEEP = Sweep(
    organism=DoubleWell(), method=Gradient(learning_rate=0.1), num_steps=60, save_at=(0, 3)
)
SEEDS = 300


@pytest.fixture(scope="module")
def along(tmp_path_factory):
    return run(SWEEP, SEEDS, tmp_path_factory.mktemp("along"), lanes=16)


def hits_of(frame: pl.DataFrame, verdict="DECEPTIVE") -> tuple[int, int]:
    return frame.filter(verdict=verdict).select("hits", "trials").row(0)


@pytest.mark.ci
def test_a_fraction_of_those_that_were_deceptive_has_them_as_its_denominator(along):
    then = along.history.filter(step=3, verdict="DECEPTIVE")["seed"]
    last = along.frame.filter(pl.col("seed").is_in(then.implode()))["verdict"]
    frame = along.fractions(given=Given(Verdict.DECEPTIVE, step=3))
    hits, trials = hits_of(frame)
    assert (hits, trials) == ((last == "DECEPTIVE").sum(), len(then))
    assert 0 < trials < SEEDS
    row = frame.row(by_predicate=pl.col("verdict") == "DECEPTIVE", named=True)
    assert (row["low"], row["high"]) == clopper_pearson(hits, trials, error=0.05)
    assert set(frame["interval"]) == {"conditional"}
    assert set(along.fractions()["interval"]) == {"fixed"}
    # All seeds had some verdict then.
    parts = [along.fractions(given=Given(verdict, step=3)) for verdict in Verdict]
    assert sum(part["trials"][0] for part in parts) == SEEDS
    assert sum(hits_of(part)[0] for part in parts) == hits_of(along.fractions())[0]


def test_an_expression_is_asked_at_its_stop(along):
    began = along.history.filter(step=0).filter(pl.col("x") < 0)["seed"]
    last = along.frame.filter(pl.col("seed").is_in(began.implode()))["verdict"]
    found = along.fractions(given=Given(pl.col("x") < 0, step=0))
    assert hits_of(found) == ((last == "DECEPTIVE").sum(), len(began))


# The right well is DECEPTIVE; what begins right of the separatrix, at -.20915, ends there.
OF_THOSE_LEFT = (ndtr(0.0) - ndtr(-0.20915)) / ndtr(0.0)


def test_a_known_fraction_may_be_conditional(along):
    left, right = pl.col("x") < 0, pl.col("x") > 0
    known = [
        Exact(name="of those left", given=Given(left, step=0), fraction=OF_THOSE_LEFT),
        Exact(name="of those right", given=Given(right, step=0), fraction=1.0),
        Exact(name="of all", fraction=float(ndtr(0.20915))),
    ]
    table = compare(along, known)
    began = along.history.filter(step=0)["x"]
    assert table["trials"].to_list() == [(began < 0).sum(), (began > 0).sum(), SEEDS]
    assert table["agrees"].to_list() == [True] * 3
    assert table["interval"].to_list() == ["conditional", "conditional", "fixed"]
    # With all seeds as the denominator it would not agree.
    wrong = estimate(table["hits"][0], SEEDS, level=0.999)
    assert not known[0].agrees(wrong)


@pytest.mark.parametrize(("satisfy", "hit"), [(0.4, 0.3), (0.1, 0.9), (0.9, 0.02)])
def test_an_interval_covers_though_its_denominator_is_random(satisfy, hit):
    trials = np.arange(61)
    covered = 0.0
    for number, weight in zip(trials, binom.pmf(trials, 60, satisfy), strict=True):
        bounds = [clopper_pearson(hits, int(number), error=0.05) for hits in range(number + 1)]
        held = [low <= hit <= high for low, high in bounds]
        covered += weight * binom.pmf(np.arange(number + 1), number, hit)[held].sum()
    assert 0.95 <= covered <= 1


def test_an_interval_that_may_be_watched_stays_one(tmp_path):
    run(SWEEP, 20, tmp_path, lanes=16)
    grown = run(SWEEP, 40, tmp_path)
    frame = grown.fractions(given=Given(Verdict.DECEPTIVE, step=3))
    assert set(frame["interval"]) == {"anytime"}
    hits, trials = hits_of(frame)
    bounds = estimate(hits, trials, interval="anytime")
    row = frame.row(by_predicate=pl.col("verdict") == "DECEPTIVE", named=True)
    assert (row["low"], row["high"]) == (bounds.low, bounds.high)


def test_a_denominator_of_some_verdicts_is_conditional(along):
    among = along.fractions(among={Verdict.DECEPTIVE, Verdict.INTENDED})
    assert set(among["interval"]) == {"conditional"}


@pytest.mark.ci
def test_seeds_are_given_what_became_of_their_parents(along, tmp_path):
    parent = SWEEP.replace(save_at=())
    parents = run(parent, 40, tmp_path / "parents", lanes=8)
    children = 3
    forked = parent.replace(start=Fork(of=parent, children=children), num_steps=1, root=1)
    forked = forked.replace(method=Gradient(learning_rate=0.1, noise=0.1))
    records = run(forked, 40 * children, tmp_path / "children", lanes=8)
    lost = parents.seeds("DECEPTIVE")
    frame = records.fractions(given=Given(Verdict.DECEPTIVE, parent=parents))
    own = records.frame.filter((pl.col("seed") // children).is_in(list(lost)))
    assert hits_of(frame) == ((own["verdict"] == "DECEPTIVE").sum(), children * len(lost))
    assert frame["interval"][0] == "conditional"
    # By their parents, since children of one are alike.
    row = frame.row(by_predicate=pl.col("verdict") == "DECEPTIVE", named=True)
    assert row["high"] - row["low"] > np.diff(clopper_pearson(*hits_of(frame), error=0.05))
    known = Exact(name="", given=Given(Verdict.DECEPTIVE, parent=parents), fraction=1.0)
    with pytest.raises(ValueError, match="its seeds have parents in common"):
        compare(records, [known])


def test_known_fractions_of_chosen_seeds_are_given_what_they_were_chosen_by(tmp_path):
    parent = SWEEP.replace(save_at=())
    parents = run(parent, 40, tmp_path / "parents", lanes=8)
    later = parent.replace(start=Trained(of=parent), num_steps=5)
    records = run(later, parents.seeds("DECEPTIVE"), tmp_path / "later", lanes=8)
    known = Exact(name="stays", given=Given(Verdict.DECEPTIVE, parent=parents), fraction=1.0)
    (row,) = compare(records, [known]).to_dicts()
    assert (row["hits"], row["trials"]) == (len(records.frame), len(records.frame))
    assert row["interval"] == "conditional"
    # The parents' rows are of the same seeds.
    assert (row["organism"], row["root"]) == ("DoubleWell", 0)


def test_a_condition_that_cannot_be_asked_is_refused(along, tmp_path):
    with pytest.raises(ValueError, match=r"Given\.step = None; allowed: a stop before the last"):
        Given(Verdict.DECEPTIVE)
    for of, said in (
        (Given(Verdict.DECEPTIVE, step=4), r"Given\.step = 4; allowed: one of 0, 3, 60"),
        (Given(pl.col("y") > 0, step=3), r"Given\.of: unable to find column \"y\""),
        (Given(pl.col("x"), step=3), r"Given\.of: it gives Float32, 0 null; allowed: a Polars"),
        (Given(Verdict.DECEPTIVE, parent=along), r"Given\.parent is of .* no parent of DoubleWell"),
    ):
        with pytest.raises(ValueError, match=said):
            along.fractions(given=of)
    later = SWEEP.replace(start=Trained(of=SWEEP), num_steps=5, save_at=())
    records = run(later, 12, tmp_path / "later", lanes=8)
    few = run(SWEEP, 10, tmp_path / "few", lanes=8)
    with pytest.raises(ValueError, match=r"Given\.parent lacks the parents of 2 seeds of Double"):
        records.fractions(given=Given(Verdict.DECEPTIVE, parent=few))
    never = Exact(name="none", given=Given(pl.col("x") > 99, step=0), fraction=0.5)
    with pytest.raises(ValueError, match="none: no seed is counted; allowed: more seeds"):
        compare(load(along.store.folder), [never])
