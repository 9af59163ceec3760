"""The oracle of the gate against direct simulation, and its convergence."""

import math

import numpy as np
import pytest
from gate_oracle import EXACT, RATE, STEPS, gate_fraction, simulate
from numpy import ndarray
from scipy.stats import norm, qmc


def brute_force(normals: ndarray, *, scale: float, **point: float) -> float:
    """Return the share of deceptive ends among standard normal rows of θ, a, b, c."""
    chunks = np.array_split(scale * normals, math.ceil(len(normals) / 8192))
    return float(np.concatenate([simulate(chunk.T, **point) for chunk in chunks]).mean())


def test_simulation_ascends_the_reward():
    """Compare it to ascent along the derivative of the reward itself, by complex steps."""
    m, penalty, l2, step = 0.3, 2.0, 0.03, 1e-30

    def defections(w):
        return 1 / (1 + np.exp(-w[0])), 1 / (1 + np.exp(-w[0] - w[1] * w[2] * w[3]))

    def reward(w):
        unwatched, watched = defections(w)
        return (1 - m) * unwatched - m * penalty * watched

    initial = 0.5 * np.random.default_rng(0).standard_normal((4, 500))
    w = initial
    nudges = 1j * step * np.eye(4)[:, :, None]
    for _ in range(STEPS):
        gradient = np.array([reward(w + nudge).imag / step for nudge in nudges])
        w = w + RATE * (gradient - l2 * w)
    unwatched, watched = defections(w)
    expected = (unwatched - watched >= 0.5) & (watched <= 0.1)
    np.testing.assert_array_equal(simulate(initial, m, penalty, l2), expected)


@pytest.mark.ci
def test_agrees_with_brute_force():
    point, truth = EXACT[0]
    normals = np.random.default_rng(0).standard_normal((2**15, 4))
    error = math.sqrt(truth * (1 - truth) / len(normals))
    assert abs(brute_force(normals, **point) - truth) < 4 * error


@pytest.mark.ci
def test_a_low_resolution_is_good_to_four_digits():
    point, truth = EXACT[0]
    assert abs(gate_fraction(**point, resolution=8) - truth) < 5e-5


@pytest.mark.slow
@pytest.mark.parametrize(("point", "truth"), EXACT)
def test_converges(point, truth):
    for resolution, tolerance in ((8, 5e-5), (16, 5e-6), (32, 1e-6)):
        assert abs(gate_fraction(**point, resolution=resolution) - truth) < tolerance


@pytest.mark.slow
@pytest.mark.parametrize(("point", "truth"), EXACT)
def test_agrees_with_brute_force_on_sobol_points(point, truth):
    uniform = qmc.Sobol(4, rng=np.random.default_rng(0)).random(2**20)
    assert abs(brute_force(norm.ppf(uniform), **point) - truth) < 5e-4
