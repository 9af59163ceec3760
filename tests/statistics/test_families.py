"""Bounds that hold where seeds share parents."""

import numpy as np
import pytest

from basin_jax import Exact, Sweep, run
from basin_jax.core.identity import digest_of
from basin_jax.core.sweep import siblings_of
from basin_jax.methods import Gradient
from basin_jax.organisms import Gate
from basin_jax.results.references import compare
from basin_jax.rules import Behavior
from basin_jax.starts import Fork, Trained
from basin_jax.statistics.families import Families, betting_interval, p_value
from basin_jax.statistics.intervals import clopper_pearson


ALIKE = 0.6  # parents' own fractions are beta variables whose parameters sum to this


def related(generator, fraction, parents, children):
    """Hits of children of parents that differ: most have all, or none."""
    own = generator.beta(ALIKE * fraction, ALIKE * (1 - fraction), parents)
    return Families(generator.binomial(children, own), np.full(parents, children))


def share_of_misses(bounds, fraction, runs=150):
    found = [bounds(np.random.default_rng([7, number])) for number in range(runs)]
    return np.mean([not low <= fraction <= high for low, high in found])


@pytest.mark.ci
@pytest.mark.parametrize("fraction", [0.03, 0.5])
@pytest.mark.parametrize("interval", ["fixed", "anytime"])
def test_bounds_cover_where_children_are_alike(fraction, interval):
    def bounds(generator):
        families = related(generator, fraction, 60, 8)
        return betting_interval(families, error=0.05, interval=interval)

    assert share_of_misses(bounds, fraction) <= 0.05


def test_an_interval_that_counts_children_does_not():
    """The control: what the bounds are for."""

    def bounds(generator):
        families = related(generator, 0.5, 60, 8)
        return clopper_pearson(int(families.hits.sum()), int(families.trials.sum()), error=0.05)

    assert share_of_misses(bounds, 0.5) > 0.3


@pytest.mark.ci
def test_one_may_look_at_every_parent():
    def missed(generator):
        families = related(generator, 0.3, 60, 8)
        looks = [Families(*(x[:n] for x in families)) for n in range(3, 61, 3)]
        bounds = [betting_interval(look, error=0.05, interval="anytime") for look in looks]
        return max(low for low, _ in bounds), min(high for _, high in bounds)

    assert share_of_misses(missed, 0.3, runs=30) <= 0.05


def test_bounds_cover_where_parents_have_more_or_fewer_children():
    """As where only some children of a parent are trained on: the fraction is of children."""

    def bounds(generator):
        trials = generator.integers(1, 9, 80)
        own = np.where(trials > 4, 0.9, 0.1)  # large families hit
        return betting_interval(
            Families(generator.binomial(trials, own), trials), error=0.05, interval="fixed"
        )

    truth = (0.9 * (5 + 6 + 7 + 8) + 0.1 * (1 + 2 + 3 + 4)) / 36
    assert share_of_misses(bounds, truth) <= 0.05


@pytest.mark.parametrize("interval", ["fixed", "anytime"])
def test_the_p_value_is_below_the_error_just_where_the_bounds_leave_the_fraction_out(interval):
    families = related(np.random.default_rng(3), 0.3, 50, 4)
    for fraction in np.linspace(0.02, 0.98, 25):
        p = p_value(families, fraction, interval=interval)
        for error in (0.01, 0.05, 0.3):
            low, high = betting_interval(families, error=error, interval=interval)
            assert (p <= error) == (not low <= fraction <= high)


@pytest.mark.parametrize("hits", [0, 8])
def test_no_hits_and_nothing_but_hits_leave_one_side_open(hits):
    families = Families(np.full(1000, hits), np.full(1000, 8))
    low, high = betting_interval(families, error=0.05, interval="fixed")
    assert high - low < 0.006
    assert (low == 0) if hits == 0 else (high == 1)


def test_no_parent_is_no_knowledge():
    assert betting_interval(Families(np.zeros(0), np.zeros(0)), error=0.05, interval="fixed") == (
        0,
        1,
    )


def test_a_last_parent_without_all_its_children_does_not_count_while_watching():
    whole = related(np.random.default_rng(1), 0.5, 20, 4)
    more = Families(np.append(whole.hits, 2), np.append(whole.trials, 2))
    one, other = (betting_interval(b, error=0.05, interval="anytime") for b in (whole, more))
    assert one == other
    assert betting_interval(more, error=0.05, interval="fixed") != one


def test_seeds_are_counted_by_their_parents():
    seeds = np.array([0, 1, 2, 3, 2**63, 2**63 + 1], np.uint64)
    hits = np.array([1, 0, 1, 1, 0, 1])
    found = Families.of([(hits[:3], seeds[:3]), (hits[3:], seeds[3:])], 2)
    assert found.hits.tolist() == [1, 2, 1]
    assert found.trials.tolist() == [2, 2, 2]


@pytest.mark.ci
def test_intervals_of_a_forked_sweep_go_by_parents(tmp_path):
    parent = Sweep(
        organism=Gate(), method=Gradient(learning_rate=0.5, noise=0.3), num_steps=20, save_at=(10,)
    )
    forked = [parent.replace(start=Fork(of=parent, children=4), root=n) for n in (0, 1)]
    records = run(forked, 40, tmp_path / "forked", rule=Behavior(min_fit=-1), lanes=8)
    row = records.fractions().filter(verdict="UNFIT", cell=digest_of(forked[0])).row(0, named=True)
    assert (row["hits"], row["trials"]) == (0, 40)
    low, high = betting_interval(
        Families(np.zeros(10), np.full(10, 4)), error=0.05, interval="fixed"
    )
    assert (row["low"], row["high"]) == pytest.approx((low, high))
    assert high > 3 * clopper_pearson(0, 40, error=0.05)[1]
    paired = records.compare("UNFIT").row(0, named=True)
    assert (paired["gained"], paired["trials"], paired["p_value"]) == (0, 40, 1)
    assert paired["high"] - paired["low"] > 2 * high
    assert records.agreement().row(0, named=True)["trials"] == 40
    known = Exact(name="half", cell={"root": 1}, fraction=0.5, source="nobody")
    with pytest.raises(ValueError, match="half: its seeds have parents in common"):
        compare(records, [known])


def test_the_siblings_of_a_stored_cell_are_those_of_its_sweep():
    parent = Sweep(organism=Gate(), method=Gradient(learning_rate=0.5, noise=0.3), num_steps=2)
    once = parent.replace(start=Fork(of=parent, children=3))
    twice = parent.replace(start=Trained(of=once.replace(start=Fork(of=once, children=2))))
    for sweep, siblings in ((parent, 1), (once, 3), (twice, 6)):
        assert siblings_of(sweep.fields()) == sweep.siblings == siblings
