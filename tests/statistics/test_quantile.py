"""The interval of a quantile covers, whatever its values are drawn from."""

import numpy as np
import pytest

from basin_jax.statistics.estimates import quantile


def test_by_hand():
    # Of 10 values the median lies between the 2nd and the 9th: P(Binomial(10, ½) < 2) = .0107.
    assert quantile(np.arange(1.0, 11.0), 0.5) == (5, 2, 9)
    assert quantile(np.array([3.0]), 0.5) == (3, -np.inf, np.inf)


def test_values_may_be_infinite():
    assert quantile(np.array([-np.inf] * 50 + [np.inf] * 50), 0.25)[0] == -np.inf
    assert quantile(np.array([1.0] + [np.inf] * 9), 0.5)[1:] == (np.inf, np.inf)


@pytest.mark.parametrize(("count", "share"), [(8, 0.5), (40, 0.5), (60, 0.1), (200, 0.9)])
def test_it_covers_and_not_much_too_often(count, share):
    rng = np.random.default_rng(3)
    draws = rng.exponential(size=(4000, count))
    truth = -np.log1p(-share)
    bounds = np.array([quantile(each, share)[1:] for each in draws])
    below, above = (bounds[:, 1] < truth).mean(), (bounds[:, 0] > truth).mean()
    for missed in (below, above):
        assert missed < 0.025 + 3.5 * (0.025 * 0.975 / 4000) ** 0.5
    if count >= 40:
        assert below + above > 0.01


def test_no_value_has_no_quantile():
    with pytest.raises(ValueError, match="at least one"):
        quantile(np.zeros(0), 0.5)
