"""Cohen's kappa: its value against an oracle, its interval's coverage by enumeration."""

import itertools
from typing import Any

import numpy as np
import pytest
from scipy.stats import multinomial
from statsmodels.stats.inter_rater import cohens_kappa

from basin_jax.statistics import kappa


# Shares of seeds: both yes, the second alone, the first alone, neither.
TABLES = [
    (0.08, 0.02, 0.02, 0.88),
    (0.4, 0.1, 0.1, 0.4),
    (0.04, 0.16, 0.16, 0.64),  # independent
    (0.1, 0.3, 0.05, 0.55),
    (0.5, 0.002, 0.002, 0.496),
    (0.1, 0.4, 0.4, 0.1),  # worse than chance
]
SEEDS = 20


def labels(both, gained, lost, neither):
    first = np.repeat([True, False, True, False], [both, gained, lost, neither])
    second = np.repeat([True, True, False, False], [both, gained, lost, neither])
    return first, second


def true_kappa(shares):
    return cohens_kappa(np.reshape(np.array(shares) * 1e6, (2, 2)), return_results=False)


def by_delta_method(counts):
    found: Any = cohens_kappa(np.reshape(counts, (2, 2)))
    return found.kappa_low, found.kappa_upp


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


@pytest.mark.parametrize("shares", TABLES)
def test_its_interval_covers_at_least_as_often_as_it_says(shares):
    assert coverage(lambda counts: kappa(*labels(*counts))[1:], shares) >= 0.95


def test_the_usual_interval_does_not():
    with np.errstate(invalid="ignore"):
        assert coverage(by_delta_method, TABLES[0]) < 0.9


def test_full_agreement_is_not_certain_and_a_single_label_tells_nothing():
    value, low, high = kappa(*labels(20, 0, 0, 20))
    assert (value, high) == (1, 1)
    assert 0.5 < low < 1
    value, low, high = kappa(*labels(0, 0, 0, 40))
    assert (value, high) == (0, 1)
    assert low < 0
    assert kappa(*labels(0, 0, 0, 0)) == (0, -1, 1)


def test_labels_may_change_places():
    assert kappa(*labels(3, 4, 1, 9)) == pytest.approx(kappa(*labels(3, 1, 4, 9)))


def test_intervals_that_hold_at_once_are_wider():
    one, many = (kappa(*labels(30, 5, 5, 60), cells=cells) for cells in (1, 20))
    assert one[0] == many[0]
    assert many[1] < one[1]
    assert one[2] < many[2]
