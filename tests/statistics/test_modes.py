"""Modes: their number is that of the distribution, and no mode too many is counted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from basin_jax.statistics.estimates import estimate
from basin_jax.statistics.modes import find_modes


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
    modes = find_modes(values, samples=200)
    assert modes.count == len(places)
    np.testing.assert_allclose(modes.between, valleys, atol=0.06)
    of = modes.of(values)
    for number, (share, place) in enumerate(zip(shares, places, strict=True)):
        own = values[of == number]
        assert abs(len(own) / 300 - share) < 4 * np.sqrt(share * (1 - share) / 300) + 1e-9
        assert np.median(own) == pytest.approx(place, abs=5 * scale)


@pytest.mark.parametrize("kind", ["normal", "uniform", "exponential", "cauchy"])
def test_one_mode_is_seldom_taken_for_two(kind):
    rng = np.random.default_rng(1)
    draw = getattr(rng, f"standard_{kind}", rng.uniform)
    found = [find_modes(np.clip(0.1 * draw(size=100), -1, 1), samples=60) for _ in range(40)]
    more = estimate(sum(modes.count > 1 for modes in found), 40, level=0.999)
    assert more.low < 0.05


def test_a_single_seed_is_no_mode_and_several_are():
    near = np.random.default_rng(2).normal(0, 0.01, 250)
    assert find_modes(np.append(near, 0.6)).count == 1
    assert find_modes(np.append(near, np.full(10, 0.6))).count == 2


def test_what_lies_within_the_resolution_is_one_mode():
    values = np.repeat([0.0, 0.015], 100)
    assert find_modes(values).count == 1
    assert find_modes(values, resolution=0.003).count == 2
    assert find_modes(np.zeros(10)).count == 1


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=12))
def test_each_mode_has_values_and_valleys_rise(values):
    values = np.array(values)
    modes = find_modes(values, samples=20)
    assert len(modes.between) == modes.count - 1
    assert list(modes.between) == sorted(modes.between)
    assert set(modes.of(values)) == set(range(modes.count))


@pytest.mark.parametrize("values", [np.zeros(1), np.array([0.0, np.nan])])
def test_values_are_two_or_more_and_finite(values):
    with pytest.raises(ValueError, match="allowed: two or more, all finite"):
        find_modes(values)
