"""The bias of searches, over many replications whose particles cost next to nothing."""

import numpy as np
import pytest
from by_numpy import Starts, Walks, replications, tail
from scipy.stats import norm

from basin_jax import Sweep, organisms, rare
from basin_jax.methods import Gradient
from basin_jax.rare.estimate import rare_estimate
from basin_jax.rare.subset import threshold_of
from basin_jax.statistics.estimates import estimate


def fractions(particles, search: rare.Search, count: int) -> np.ndarray:
    rngs = [np.random.default_rng([5, number]) for number in range(count)]
    found = replications(particles, search, rngs)
    return np.array([replication.fraction for replication in found])


def expect_mean(found: np.ndarray, truth: float, *, bias: float = 0.0) -> None:
    """Expect a mean within 4 standard errors of the truth, and a relative bias of at most that."""
    error = found.std(ddof=1) / len(found) ** 0.5
    assert abs(found.mean() / truth - 1) < bias + 4 * error / truth, found.mean() / truth


@pytest.mark.ci
def test_few_chains_have_little_bias():
    # With the lowest kept score as the threshold, and moves until enough have moved: 42 %.
    found = fractions(tail(1e-6, 2), rare.SubsetSimulation(particles=100), 240)
    expect_mean(found, 1e-6, bias=0.08)


@pytest.mark.ci
def test_splitting_is_unbiased_where_scores_are_tied_and_errors_stay():
    walks = Walks()
    assert walks.fraction < 1e-3
    expect_mean(fractions(walks, rare.Splitting(particles=200, keep=0.4), 30), walks.fraction)


def test_importance_sampling_is_unbiased():
    search = rare.ImportanceSampling(particles=200)
    expect_mean(fractions(tail(1e-5, 2), search, 400), 1e-5)


def test_scores_that_are_tied_hide_no_event():
    """Most are alike, and a tenth are in the event: no level lies between."""
    tied = Starts(1, lambda noise: (np.zeros(len(noise)), noise[:, 0] > norm.isf(0.1)))
    found = fractions(tied, rare.SubsetSimulation(particles=100), 50)
    expect_mean(found, 0.1)


@pytest.mark.parametrize(
    ("scores", "keep", "threshold"),
    [
        ([1, 2, 3, 4], 0.5, 2),
        ([1, 2, 2, 2], 0.5, 1),
        ([2, 2, 2, 3], 0.5, 2),
        ([-np.inf, -np.inf, 3, np.inf], 0.25, -np.inf),
        ([2, 2, 2, np.inf], 0.5, None),
        ([-np.inf, -np.inf], 0.5, None),
    ],
)
def test_of_equal_scores_all_are_kept_or_none(scores, keep, threshold):
    assert threshold_of(np.array(scores, float), keep) == threshold


def estimated(particles, root: int) -> rare.RareEstimate:
    rngs = [np.random.default_rng([root, number]) for number in range(8)]
    found = replications(particles, rare.SubsetSimulation(), rngs)
    bracket = estimate(sum(r.hits for r in found), sum(r.fresh for r in found))
    return rare_estimate(found, bracket=bracket, method="", score="")


@pytest.mark.slow
@pytest.mark.parametrize("fraction", [1e-3, 1e-6])
def test_intervals_cover_and_are_trusted(fraction):
    particles, count = tail(fraction, 4), 200
    found = [estimated(particles, root) for root in range(count)]
    covered = np.mean([e.low <= fraction <= e.high for e in found])
    assert covered > 0.95 - 3 * (0.95 * 0.05 / count) ** 0.5
    assert np.mean([e.trusted for e in found]) > 0.95


def hides(slice_: float):
    """Make starts with a second way into the event, which the score does not lead to."""
    low, high = norm.ppf([0.37, 0.37 + slice_])

    def judged(noise):
        x = noise[:, 0]
        return x, (x > norm.isf(1e-6)) | ((x > low) & (x < high))

    return Starts(1, judged)


@pytest.mark.slow
def test_a_second_way_in_and_a_score_of_noise_are_noticed():
    noise = Starts(1, lambda x: (np.mod(x[:, 0] * 1e4, 1.0), x[:, 0] > norm.isf(1e-4)))
    for particles in (hides(1e-3), hides(3e-4), noise):
        trusted = np.mean([estimated(particles, root).trusted for root in range(30)])
        assert trusted < 0.1


def test_stops_are_even_for_splitting_and_dense_at_first_for_chains():
    sweep = Sweep(
        organism=organisms.DoubleWell(), method=Gradient(learning_rate=0.3), num_steps=1000
    )
    even, dense = (
        kind().with_stops(sweep).stops for kind in (rare.Splitting, rare.SubsetSimulation)
    )
    assert max(np.diff(even)) <= 1000 / 63 + 1
    assert dense[:8] == (0, 1, 2, 3, 4, 5, 6, 7)
    assert even[-1] == dense[-1] == 1000
    own = sweep.replace(save_at=(5,))
    assert rare.Splitting().with_stops(own) == own
