"""Forecasts of the first event: tails with closed forms, and traps of two modes."""

import math

import numpy as np
import pytest
from scipy.stats import genpareto, norm

from basin_jax.statistics.forecast import ParetoTail, PowerTail, forecast


# By name: draws scores, and gives the score that a fraction of them is above.
TAILS = {
    "exponential": (lambda rng, n: rng.exponential(size=n), lambda p: -math.log(p)),
    "normal": (lambda rng, n: rng.normal(size=n), norm.isf),
    "Pareto": (lambda rng, n: rng.pareto(3, n), lambda p: p ** (-1 / 3) - 1),
    "uniform": (lambda rng, n: rng.random(n), lambda p: 1 - p),
}


def two_modes(rng: np.random.Generator, seeds: int) -> np.ndarray:
    """Scores of which three in a hundred are of a narrow mode above a gap."""
    upper = rng.random(seeds) < 0.03
    return np.where(upper, rng.normal(8, 0.5, seeds), rng.normal(0, 1, seeds))


@pytest.mark.parametrize("shape", [-0.5, 0.0, 0.4])
def test_a_pareto_tail_is_fitted_to_the_scores_of_one(shape):
    levels = (np.arange(2000) + 0.5) / 2000
    above = genpareto.ppf(levels, shape, scale=2.0)
    tail = ParetoTail.fit(np.array([3.0, *(3 + above)]), 20_000)
    assert tail.shape == pytest.approx(shape, abs=0.02)
    assert tail.scale == pytest.approx(2.0, rel=0.02)
    assert tail.end == (pytest.approx(7, abs=0.2) if shape < 0 else math.inf) or shape == 0
    expected = np.log10(0.1 * genpareto.sf(1.5, shape, scale=2.0))
    assert tail.log_fraction(np.array([4.5]))[0] == pytest.approx(expected, abs=0.01)
    assert tail.end >= 3 + above[-1]


def test_a_power_law_is_a_line_in_the_logarithm_of_the_fraction():
    ranks = np.arange(200, 0, -1)
    scores = -np.log((ranks - 0.5) / 2000)
    tail = PowerTail.fit(np.array([scores[0] - 0.01, *scores]), 2000)
    found = tail.log_fraction(np.array([20.0, 1000.0]))
    assert found == pytest.approx(np.array([20, 1000]) * -math.log10(math.e), rel=1e-9)
    # Of probabilities p by the score of Jones et al. it is one in the number of seeds.
    least = (ranks - 0.5) / 2000  # the quantiles of -log p, if these are uniform
    line = PowerTail.fit(np.array([0.0, *-np.log(least)]), 2000)
    assert 10 ** line.log_fraction(-np.log([1e-6]))[0] == pytest.approx(1e-6, rel=1e-6)


@pytest.mark.parametrize("name", TAILS)
def test_the_forecast_of_a_known_tail_is_of_its_order(name):
    draw, above = TAILS[name]
    found = forecast(draw(np.random.default_rng(3), 5000), above(1e-4))
    assert found.fits
    assert 10**found.score < 2
    assert found.low <= 1e4 <= found.high
    assert 1e3 < found.seeds < 1e5 or name == "uniform"
    assert (found.model, name) != ("power law", "Pareto")


@pytest.mark.slow
@pytest.mark.parametrize("name", TAILS)
def test_intervals_contain_the_truth_about_as_often_as_they_say(name):
    draw, above = TAILS[name]
    hits = 0
    for root in range(25):
        scores = draw(np.random.default_rng([7, root]), 1000)
        found = forecast(scores, above(1e-5), root=root)
        hits += found.low <= 1e5 <= found.high
    assert hits >= 21


def test_no_event_can_be_forecast_where_the_tail_ends_below_the_threshold():
    found = forecast(np.random.default_rng(0).random(2000), 1.2)
    assert found.seeds == found.high == math.inf
    assert found.tail.end < 1.2
    assert str(found).startswith("no event can be forecast, since the fitted tail ends at ")
    assert "below 1.2" in str(found)


def test_scores_of_two_modes_are_not_to_be_trusted_and_the_forecast_says_so():
    trap = forecast(two_modes(np.random.default_rng(1), 4000), 12.0)
    sound = forecast(np.random.default_rng(1).normal(size=4000), 5.0)
    assert trap.high < 1e6 < 1 / (0.03 * norm.sf(8))
    assert not trap.fits
    assert sound.fits
    assert trap.score > 2 * sound.score
    assert "does not fit" in str(trap)
    assert str(trap).endswith("do not trust this")
    assert "trust" not in str(sound)


def test_the_interval_is_that_of_the_plain_bootstrap():
    scores = np.random.default_rng(2).pareto(2, 5000)
    found = forecast(scores, 200.0)
    rng, plain = np.random.default_rng(0), []
    for _ in range(400):
        top = np.sort(rng.choice(scores, 5000))[-501:]
        plain.append(-float(ParetoTail.fit(top, 5000).log_fraction(np.array([200.0]))[0]))
    ends = np.log10([found.low, found.high])
    assert ends == pytest.approx(np.quantile(plain, [0.025, 0.975]), abs=0.15)
    wider = forecast(scores, 200.0, level=0.99)
    assert wider.low < found.low < found.seeds < found.high < wider.high


def test_a_forecast_depends_on_the_root_alone():
    scores = np.random.default_rng(4).normal(size=1000)
    assert forecast(scores, 4.0, root=5) == forecast(scores, 4.0, root=5)
    other = forecast(scores, 4.0, root=6)
    assert other.scores != forecast(scores, 4.0, root=5).scores
    assert other.trials == 1000


GOOD = np.random.default_rng(0).normal(size=400)


@pytest.mark.parametrize(
    ("scores", "threshold", "said"),
    [
        (GOOD[:199], 3.0, "scores has 199 seeds; allowed: at least 200"),
        (np.append(GOOD, np.nan), 3.0, "scores has nan; allowed: finite numbers"),
        (np.sign(GOOD), 3.0, "seeds of the largest score 1; allowed: at most 8 of 400"),
        (GOOD, 1.0, "threshold = 1.0; allowed: above 1.*basin_fraction"),
    ],
)
def test_what_cannot_be_extrapolated_is_refused(scores, threshold, said):
    with pytest.raises(ValueError, match=said):
        forecast(scores, threshold)
    with pytest.raises(ValueError, match=r"level = 95\.0; allowed"):
        forecast(GOOD, 3.0, level=95.0)
