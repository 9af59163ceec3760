"""Cohen's kappa: its value against an oracle, its limits against draws, its coverage."""

import functools
import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import multinomial
from statsmodels.stats.inter_rater import cohens_kappa

from basin_jax.statistics.agreement import kappa, melded


# Shares of seeds: both yes, the second alone, the first alone, neither.
TABLES = [
    (0.08, 0.02, 0.02, 0.88),
    (0.4, 0.1, 0.1, 0.4),
    (0.04, 0.16, 0.16, 0.64),  # independent
    (0.1, 0.3, 0.05, 0.55),
    (0.5, 0.002, 0.002, 0.496),
    (0.1, 0.4, 0.4, 0.1),  # worse than chance
]
SEEDS = 10


def labels(both, gained, lost, neither):
    first = np.repeat([True, False, True, False], [both, gained, lost, neither])
    second = np.repeat([True, True, False, False], [both, gained, lost, neither])
    return first, second


def true_kappa(shares):
    return cohens_kappa(np.reshape(np.array(shares) * 1e6, (2, 2)), return_results=False)


def by_delta_method(counts):
    found: Any = cohens_kappa(np.reshape(counts, (2, 2)))
    return found.kappa_low, found.kappa_upp


@functools.cache
def limits(both, gained, lost, neither):
    return kappa(*labels(both, gained, lost, neither))[1:]


def by_symmetry(counts):
    """Return the limits of a table whose labels or whose answers may change places."""
    both, gained, lost, neither = counts
    return limits(min(both, neither), *sorted((gained, lost)), max(both, neither))


def coverage(bounds, shares):
    """Return how often bounds cover, over all tables of so many seeds."""
    tables = [t for t in itertools.product(range(SEEDS + 1), repeat=4) if sum(t) == SEEDS]
    limits = np.array([bounds(table) for table in tables])
    covers = (limits[:, 0] <= true_kappa(shares)) & (true_kappa(shares) <= limits[:, 1])
    return multinomial(SEEDS, shares).pmf(tables) @ covers


@pytest.mark.parametrize("counts", [(8, 2, 3, 87), (0, 5, 2, 60), (30, 1, 0, 20), (3, 40, 50, 7)])
def test_kappa_agrees_with_statsmodels(counts):
    value, low, high = kappa(*labels(*counts))
    oracle = cohens_kappa(np.reshape(counts, (2, 2)), return_results=False)
    assert value == pytest.approx(oracle)
    assert low < value < high


@pytest.mark.ci
@pytest.mark.parametrize("shares", TABLES)
def test_its_interval_covers_at_least_as_often_as_it_says(shares):
    assert coverage(by_symmetry, shares) >= 0.95


def test_the_usual_interval_does_not():
    with np.errstate(invalid="ignore"):
        assert coverage(by_delta_method, TABLES[0]) < 0.9


def test_full_agreement_is_not_certain():
    value, low, high = kappa(*labels(20, 0, 0, 20))
    assert (value, high) == (1, 1)
    assert 0.5 < low < 1


@pytest.mark.parametrize("counts", [(0, 0, 0, 40), (40, 0, 0, 0), (0, 0, 0, 0)])
def test_kappa_is_undefined_where_all_seeds_have_one_label(counts):
    value, low, high = kappa(*labels(*counts))
    assert math.isnan(value)
    assert (low, high) == (-1, 1)


def test_a_label_that_no_seed_has_is_no_better_than_chance():
    value, low, high = kappa(*labels(0, 5, 0, 35))
    assert value == pytest.approx(0)
    assert low < 0 < high


@pytest.mark.parametrize("counts", [(8, 2, 3, 87), (2, 0, 0, 98), (0, 3, 4, 120), (5, 1, 9, 5)])
def test_limits_are_the_quantiles_of_what_is_drawn(counts):
    rng, draws = np.random.default_rng(1), 400_000
    both, gained, lost, neither = counts
    agree, differ = sorted((both, neither)), sorted((gained, lost))

    def drawn(hits, misses):
        return rng.beta(hits, misses, draws) if hits and misses else np.full(draws, hits > 0) * 1.0

    def kappas(d, s, g):
        s, g = (np.minimum(x, 0.5) * (1 - np.minimum(x, 0.5)) for x in (s, g))
        return 1 - d / (d + 2 * ((1 - d) ** 2 * s - d**2 * g))

    n, apart = sum(counts), sum(differ)
    low = kappas(
        drawn(apart + 1, n - apart),
        np.where(sum(agree), drawn(agree[0], agree[1] + 1), 0),
        drawn(differ[0] + 1, differ[1]),
    )
    _, found, _ = kappa(*labels(*counts))
    # In standard errors of the share of draws below.
    assert np.mean(low < found) == pytest.approx(0.025, abs=5 * (0.025 / draws) ** 0.5 + 2e-4)
    high = kappas(
        drawn(apart, n - apart + 1),
        drawn(agree[0] + 1, agree[1]),
        drawn(differ[0], differ[1] + 1),
    )
    for truth in np.quantile(high, [0.2, 0.9, 0.975]):
        share = np.mean(high <= truth) if truth < 1 else 1.0
        assert melded(*counts)[1].below(truth) == pytest.approx(share, abs=2e-3)


def test_an_interval_is_narrower_than_one_of_three_intervals_where_few_have_the_label():
    """It was [.221, .958] when each share had an interval of its own."""
    _, low, high = kappa(*labels(8, 2, 3, 87))
    assert high - low < 0.5


def test_labels_and_answers_may_change_places():
    found = kappa(*labels(3, 4, 1, 9))
    assert kappa(*labels(3, 1, 4, 9)) == pytest.approx(found)
    assert kappa(*labels(9, 4, 1, 3)) == pytest.approx(found)


def test_intervals_that_hold_at_once_are_wider():
    one, many = (kappa(*labels(30, 5, 5, 60), num_intervals=cells) for cells in (1, 20))
    assert one[0] == many[0]
    assert many[1] < one[1]
    assert one[2] < many[2]
