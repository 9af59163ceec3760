"""Modes: their number is that of the distribution, and no mode too many is counted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression, linprog

from basin_jax.statistics.estimates import estimate
from basin_jax.statistics.modes import QUANTILES, find_modes, radius


def drawn(rng, shares, places, scale, size):
    """Draw from a mixture of normals."""
    return rng.normal(rng.choice(places, size, p=shares), scale)


@pytest.mark.parametrize("scale", [1e-4, 0.04])
@pytest.mark.parametrize(
    ("shares", "places", "valleys"),
    [
        ((1.0,), (0.3,), ()),
        ((0.8, 0.2), (0.0, 0.5), (0.25,)),
        ((0.4, 0.4, 0.2), (0.0, 0.5, 1.0), (0.25, 0.75)),
    ],
)
def test_modes_that_are_apart_are_counted_and_parted(shares, places, valleys, scale):
    values = drawn(np.random.default_rng(0), shares, places, scale, 300)
    modes = find_modes(values)
    assert modes.count == len(places)
    np.testing.assert_allclose(modes.between, valleys, atol=0.06)
    of = modes.of(values)
    for number, (share, place) in enumerate(zip(shares, places, strict=True)):
        own = values[of == number]
        assert abs(len(own) / 300 - share) < 4 * np.sqrt(share * (1 - share) / 300) + 1e-9
        assert np.median(own) == pytest.approx(place, abs=5 * scale)


def flat(rng, seeds):
    """Values of a flat peak, the one most often taken for several."""
    return rng.random(seeds)


def plateaus(rng, seeds):
    """Values of two flat peaks that are apart."""
    return rng.random(seeds) + 2 * rng.integers(2, size=seeds)


def edge(rng, seeds):
    """Values of a peak that falls from an edge."""
    return rng.beta(1, 5, seeds)


def bell(rng, seeds):
    """Normal values."""
    return rng.normal(size=seeds)


def tails(rng, seeds):
    """Values of a peak with heavy tails."""
    return rng.standard_cauchy(seeds)


def spike(rng, seeds):
    """Values of a peak at the edge of a flat density, which leaves the mode no choice."""
    return np.where(rng.random(seeds) < 0.15, 0.0, 10 * rng.random(seeds))


@pytest.mark.parametrize("seeds", [30, 300])
@pytest.mark.parametrize(
    ("draw", "modes"), [(flat, 1), (plateaus, 2), (edge, 1), (bell, 1), (tails, 1), (spike, 1)]
)
def test_no_mode_too_many_is_counted_more_often_than_told(draw, modes, seeds):
    rng, tries = np.random.default_rng(1), 200
    many = sum(find_modes(draw(rng, seeds)).count > modes for _ in range(tries))
    assert estimate(many, tries, level=0.999).low < 0.05


def falling(values):
    """The distance of values above 0 to the nearest distribution whose density falls."""
    width, count = np.diff(np.sort(values), prepend=0.0), len(values)
    slopes = isotonic_regression(1 / count / width, weights=width, increasing=False).x
    return (np.cumsum(slopes * width) - np.arange(count) / count).max() / 2


def test_the_radius_is_that_of_uniform_values_and_densities_that_fall():
    rng, tries = np.random.default_rng(2), 2000
    found = np.array([falling(rng.random(3000)) for _ in range(tries)])
    for level in QUANTILES:
        least = estimate(int((found > radius(3000, level)).sum()), tries, level=0.999)
        # Of fewer values than 10,000 the distance is a little smaller.
        assert least.low <= 1 - level <= least.high + 0.2 * (1 - level)


def exists(values, radius, resolution):
    """Whether a distribution of one mode is within a radius of values, by linear programs."""
    places = np.unique(values)
    begins, ends = np.searchsorted(values, [places, places + 1e-12]) / len(values)
    later, earlier = (np.round(places + by, 9) for by in (resolution / 2, -resolution / 2))
    above = [*zip(later, ends - radius, strict=True)]
    below = [*zip(earlier, begins + radius, strict=True)]
    knots = np.unique([at for at, _ in above + below])
    knots = np.array([knots[0] - 1e3, *knots, knots[-1] + 1e3])  # with level tails
    bounds = np.array([[0.0, 1.0]] * len(knots))
    for at, height in above:
        bounds[knots == at, 0] = np.maximum(bounds[knots == at, 0], height)
    for at, height in below:
        bounds[knots == at, 1] = np.minimum(bounds[knots == at, 1], height)
    bounds[0], bounds[-1] = (0, 0), (1, 1)
    width = np.diff(knots)
    bend = np.zeros((len(knots) - 2, len(knots)))  # the slope before a knot, less that after it
    for row in range(len(bend)):
        bend[row, row : row + 3] = (
            -1 / width[row],
            1 / width[row] + 1 / width[row + 1],
            -1 / width[row + 1],
        )
    for mode in range(len(knots)):
        sign = np.where(np.arange(len(bend)) < mode, 1, -1)[:, None]
        found = linprog(np.zeros(len(knots)), sign * bend, np.zeros(len(bend)), bounds=bounds)
        if found.status == 0:
            return True
    return False


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.01, 0.1]))
@settings(max_examples=30)
def test_one_mode_is_counted_where_a_distribution_with_one_is_near(seed, resolution):
    rng = np.random.default_rng(seed)
    values = np.sort(np.round(drawn(rng, (0.5, 0.5), (0.0, 0.5), 0.1, 24), 3))
    near = exists(values, radius(len(values), 0.9), resolution)
    assert (find_modes(values, level=0.9, resolution=resolution).count == 1) == near


def test_a_single_seed_is_no_mode_and_several_are():
    near = np.random.default_rng(2).normal(0, 0.01, 250)
    assert find_modes(np.append(near, 0.6)).count == 1
    assert find_modes(np.append(near, np.full(30, 0.6))).count == 2


def test_what_lies_within_the_resolution_is_one_mode():
    values = np.repeat([0.0, 0.008], 100)
    assert find_modes(values).count == 1
    assert find_modes(values, resolution=0.003).count == 2
    assert find_modes(np.zeros(10)).count == 1


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=12))
def test_each_mode_has_values_and_valleys_rise(values):
    values = np.array(values)
    modes = find_modes(values)
    assert len(modes.between) == modes.count - 1
    assert list(modes.between) == sorted(modes.between)
    assert set(modes.of(values)) == set(range(modes.count))


@pytest.mark.parametrize("values", [np.zeros(1), np.array([0.0, np.nan])])
def test_values_are_two_or_more_and_finite(values):
    with pytest.raises(ValueError, match="allowed: two or more, all finite"):
        find_modes(values)


def test_the_level_is_one_whose_quantile_is_known_and_the_resolution_positive():
    with pytest.raises(ValueError, match=r"level = 0\.3; allowed: .*0\.95"):
        find_modes(np.arange(3.0), level=0.3)
    with pytest.raises(ValueError, match=r"resolution = 0\.0; allowed: above 0"):
        find_modes(np.arange(3.0), resolution=0.0)
