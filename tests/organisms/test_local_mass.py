"""Local masses: rays against closed forms, and perceptrons whose masses are shares of a sphere."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import gammainc, gammaln
from scipy.stats import ncx2

from basin_jax.organisms import LocalMass, Perceptron
from basin_jax.organisms._rays import Proposal, first_exit, log_mean, log_radial, log_weights


@pytest.mark.parametrize("dim", [1, 3, 50, 1500])
@pytest.mark.parametrize("share", [0.5, 1.0, math.inf])
def test_the_integral_along_a_ray_without_a_slope_is_an_incomplete_gamma_function(dim, share):
    curvature = 0.7
    end = share * math.sqrt(dim / curvature)
    half = dim / 2
    part = 1.0 if math.isinf(end) else gammainc(half, curvature * end**2 / 2)
    known = math.log(part) + gammaln(half) + (half - 1) * math.log(2) - half * math.log(curvature)
    found = log_radial(dim, jnp.zeros(()), jnp.asarray(curvature), jnp.asarray(end))
    assert float(found) == pytest.approx(known, rel=1e-5, abs=1e-3)


@pytest.mark.parametrize("slope", [-30.0, -2.0, 2.0, 30.0])
@pytest.mark.parametrize("end", [0.3, 2.0, math.inf])
def test_the_integral_along_a_ray_with_a_slope(slope, end):
    cuts = np.minimum([0, 0.1, 0.5, 1, 2, 5, 20, 40, 60], end)
    parts = [
        quad(lambda r: r**4 * math.exp(-slope * r - r * r / 2 - 450), *ends, epsabs=0)[0]
        for ends in itertools.pairwise(cuts)
    ]
    known = sum(parts)
    found = log_radial(5, jnp.asarray(slope), jnp.ones(()), jnp.asarray(end))
    assert float(found) == pytest.approx(math.log(known) + 450, abs=1e-3)


def ball(key, center, *, radius, strength, rays):
    """Log weights of rays in a ball around a point."""
    dim = center.size
    scales = jnp.full(dim, (1 + strength) ** -0.5)
    axes = jnp.linalg.qr(jax.random.normal(jax.random.key(7), (dim, dim)))[0]
    proposal = Proposal(axes, scales, -scales * (axes.T @ center))
    return log_weights(key, lambda moved: moved @ moved <= radius**2, center, proposal, rays)


def test_with_the_whole_space_and_the_prior_each_weight_is_one():
    center = jnp.linspace(-1, 2, 40)
    found = ball(jax.random.key(0), center, radius=1e4, strength=0.0, rays=16)
    np.testing.assert_allclose(found, 0, atol=1e-3)


@pytest.mark.parametrize("dim", [2, 10, 50])
def test_intervals_contain_the_mass_of_a_ball_as_often_as_they_say(dim):
    center = jnp.asarray(np.random.default_rng(dim).normal(size=dim), jnp.float32)
    radius = 0.5 * math.sqrt(dim)
    known = ncx2.logcdf(radius**2, dim, float(center @ center))

    @jax.jit
    def estimate(key):
        return log_mean(ball(key, center, radius=radius, strength=3.0, rays=512))

    found = jax.lax.map(estimate, jax.random.split(jax.random.key(1), 200))
    covered = (found.low <= known) & (known <= found.high)
    assert 0.88 <= covered.mean() <= 0.995  # of 200, where .95 are covered
    mean = np.log(np.exp(np.asarray(found.value) - known).mean())
    assert abs(mean) < 0.1


def test_an_ellipsoid_far_from_the_mean_of_the_prior():
    sharp = jnp.asarray([1.0, 100.0])
    center = jnp.asarray([1.5, -0.5])
    cut = 0.5
    grid = (np.arange(2000) + 0.5) / 1000 - 1
    x, y = np.meshgrid(grid, grid / 10)
    inside = 0.5 * (x**2 + 100 * y**2) <= cut
    density = np.exp(-0.5 * ((x + 1.5) ** 2 + (y - 0.5) ** 2)) / (2 * math.pi)
    known = math.log((inside * density).sum() / 1000**2 / 10)
    scales = (1 + 2 * sharp) ** -0.5
    proposal = Proposal(jnp.eye(2), scales, -scales * center)
    found = log_mean(
        log_weights(
            jax.random.key(3),
            lambda moved: 0.5 * (sharp * moved * moved).sum() <= cut,
            center,
            proposal,
            4096,
        )
    )
    assert float(found.value) == pytest.approx(known, abs=0.02)


def test_a_ray_ends_where_it_first_leaves_a_set():
    found = first_exit(lambda radius: (radius < 1) | (radius > 1.5), jnp.asarray(10.0))
    assert float(found) == pytest.approx(1, abs=1e-3)
    assert float(first_exit(lambda radius: radius < 20, jnp.asarray(10.0))) == math.inf


def test_the_low_end_of_an_interval_is_no_lower_than_markovs_inequality_has_it():
    found = log_mean(jnp.asarray([0.0, -100, -100, -100]))
    assert float(found.value - found.low) == pytest.approx(math.log(40), rel=1e-5)
    assert float(found.rays) == pytest.approx(1)


@pytest.mark.ci
def test_the_mass_around_a_perceptron_is_that_of_its_kind():
    measured = LocalMass(organism=Perceptron(), bar=1.0, gap=0.2, rays=2048)
    probe = jax.jit(measured.probe)
    sound = 2 * math.atan(0.5 / (1.5 + math.sqrt(2))) / (4 * math.pi)
    for weights, known in (([1.0, -0.45, -0.3], sound), ([1.0, 0.25, -0.5], None)):
        seen = probe(jax.random.key(1), jnp.asarray(weights))
        assert seen["fit"] == 1
        if known is not None:
            assert float(seen["bar_log_mass"]) == pytest.approx(math.log(known), abs=0.2)
            assert seen["own_log_mass"] == seen["bar_log_mass"]  # accuracy jumps


def test_a_network_below_the_bar_has_the_least_mass():
    measured = LocalMass(organism=Perceptron(), bar=1.0, gap=0.2, rays=16)
    seen = jax.jit(measured.probe)(jax.random.key(1), jnp.asarray([-1.0, 0.3, 0.2]))
    assert seen["fit"] < 1
    assert seen["bar_log_mass"] < -20
