"""Areas under ROC curves, with intervals that hold; and a discriminant."""

import numpy as np
import pytest
from scipy.stats import norm

from basin_jax.statistics.auc import auc, discriminant
from basin_jax.statistics.intervals import clopper_pearson


def test_an_area_counts_pairs_and_a_tie_is_half_of_one():
    positive = np.array([True, False, True, False, False])
    scores = np.array([2.0, 1.0, 1.0, 1.0, 3.0])
    assert auc(scores, positive)[0] == pytest.approx((1 + 1 + 0 + 0.5 + 0.5 + 0) / 6)


def test_an_area_is_that_of_all_pairs_from_either_side():
    rng = np.random.default_rng(0)
    scores, positive = rng.integers(0, 9, 60).astype(float), rng.random(60) < 0.3
    area, low, high = auc(scores, positive)
    wins = np.sign(scores[positive][:, None] - scores[~positive])
    assert area == pytest.approx((1 + wins.mean()) / 2)
    assert auc(-scores, positive) == pytest.approx((1 - area, 1 - high, 1 - low))
    # What is told of the others is told of these.
    assert auc(-scores, ~positive) == pytest.approx((area, low, high))


def test_an_area_of_one_has_a_lower_bound_below_it():
    bounds = []
    for count in (1, 4, 16, 64):
        scores = np.arange(3.0 * count)
        area, low, high = auc(scores, scores >= 2 * count)
        assert (area, high) == (1, 1)
        bounds.append(low)
    assert bounds == sorted(bounds)
    # Of a single seed of the rarer kind nothing but its own trial is known.
    assert bounds[0] == pytest.approx(0.025)
    assert 0.9 < bounds[-1] < 1


@pytest.mark.parametrize("positive", [np.zeros(4, bool), np.ones(4, bool), np.ones(0, bool)])
def test_an_area_needs_seeds_of_both_kinds(positive):
    with pytest.raises(ValueError, match="allowed: some, but not all"):
        auc(np.zeros(len(positive)), positive)


@pytest.mark.parametrize(("few", "many"), [(5, 40), (20, 20)])
@pytest.mark.parametrize("area", [0.5, 0.8, 0.97])
def test_intervals_of_an_area_cover_it(few, many, area):
    rng = np.random.default_rng(17)
    positive = np.arange(few + many) < few
    shift = 2**0.5 * norm.ppf(area)
    runs, missed, naive = 300, 0, 0
    for _ in range(runs):
        scores = rng.normal(size=few + many) + shift * positive
        found, low, high = auc(scores, positive)
        missed += not low <= area <= high
        pairs = few * many
        bounds = clopper_pearson(round(found * pairs), pairs, error=0.05)
        naive += not bounds[0] <= area <= bounds[1]
    assert missed / runs <= 0.05
    # As if each pair were a trial of its own.
    assert naive / runs > 0.15


def test_a_discriminant_finds_the_direction_and_leaves_out_what_does_not_vary():
    rng = np.random.default_rng(3)
    positive = rng.random(4000) < 0.2
    noise = rng.normal(size=len(positive))
    # The second tells nothing by itself, but what noise there is in the first.
    features = np.stack([positive + noise, 10 * noise, np.ones(len(positive))], 1)
    weights = discriminant(features, positive, ridge=1e-6)
    assert weights[0] > 0
    assert weights[1] / weights[0] == pytest.approx(-0.1, rel=1e-3)
    assert weights[2] == 0
    assert auc(features @ weights, positive)[0] == 1
    assert auc(features[:, 0], positive)[0] < 0.8


def test_a_discriminant_of_what_is_there_twice_is_finite():
    rng = np.random.default_rng(4)
    one = rng.normal(size=50)
    weights = discriminant(np.stack([one, one], 1), one > 0)
    assert weights[0] == pytest.approx(weights[1])
    assert weights[0] > 0
