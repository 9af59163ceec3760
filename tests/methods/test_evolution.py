"""Evolution strategies, against the laws of their estimate and of where they go."""

import jax.numpy as jnp
import numpy as np
import pytest

from basin_jax import Organism, Sweep
from basin_jax.engine.backends import CPU, XLA, backends_for
from basin_jax.engine.kernel import build_kernel
from basin_jax.methods import Correction, Evolution, Gradient
from basin_jax.networks import MLP
from basin_jax.organisms import Audit


pytestmark = pytest.mark.slow  # minutes of compilation, all together


SLOPE = np.array([3.0, -1.0, 0.5, 0.0, 2.0], np.float32)
PAIRS = 4


class Bowl(Organism):
    """Slide down a slope, or into a bowl: ℓ(θ) = a·θ + h |θ|² / 2."""

    curvature: float = 0.0
    slope: float = 1.0

    def init(self, key):
        return {"a": jnp.ones(2), "b": jnp.ones(3)}

    def sample(self, key):
        return None

    def loss(self, params, batch):
        flat = jnp.concatenate([params["a"], params["b"]])
        return self.slope * (SLOPE * flat).sum() + self.curvature * (flat**2).sum() / 2

    def probe(self, key, params):
        flat = jnp.concatenate([params["a"], params["b"]])
        return {f"x{i}": flat[i] for i in range(5)}


def ends(organism, method, *, steps, seeds=20_000):
    """Return the parameters [seed, 5] after some steps."""
    sweep = Sweep(organism=organism, method=method, num_steps=steps)
    seen = build_kernel(sweep, lanes=16)(np.arange(seeds, dtype=np.uint64))
    return np.stack([seen[f"x{i}"][:, -1] for i in range(5)], 1).astype(float)


def evolution(*, rate=1.0, pairs=PAIRS, deviation=0.1, **settings):
    method = Gradient(learning_rate=rate, **settings)
    return Evolution(method=method, population=2 * pairs, deviation=deviation)


@pytest.mark.parametrize("deviation", [0.1, 3.0])
def test_on_a_slope_the_estimate_has_the_mean_and_the_covariance_of_its_law(deviation):
    estimates = 1 - ends(Bowl(), evolution(deviation=deviation), steps=1)
    law = (np.eye(5) * (SLOPE @ SLOPE) + np.outer(SLOPE, SLOPE)) / PAIRS
    off = (estimates.mean(0) - SLOPE) / np.sqrt(np.diag(law) / len(estimates))
    assert np.abs(off).max() < 4.5
    # A covariance's own error is of the order of the variances over the root of the seeds.
    off = (np.cov(estimates.T) - law) / np.sqrt(np.outer(np.diag(law), np.diag(law)))
    assert np.abs(off).max() < 6 * np.sqrt(3 / len(estimates))


def test_in_a_bowl_it_converges_at_the_rate_of_its_law():
    """E |θ|² shrinks by (1 - ηh)² + η²h² (d + 1) / m a step, of m pairs and d parameters."""
    rate, curvature, steps = 0.1, 2.0, 10
    organism = Bowl(curvature=curvature, slope=0.0)
    squares = (ends(organism, evolution(rate=rate), steps=steps) ** 2).sum(1)
    eta = rate * curvature
    expected = 5 * ((1 - eta) ** 2 + eta**2 * 6 / PAIRS) ** steps
    error = squares.std() / np.sqrt(len(squares))
    assert abs(squares.mean() - expected) < 4.5 * error
    assert error < expected / 30
    assert ends(organism, evolution(rate=rate), steps=300, seeds=64) == pytest.approx(0, abs=1e-4)


class Ripple(Bowl):
    """Move along ℓ(θ) = Σ cos θᵢ."""

    def loss(self, params, batch):
        return jnp.cos(params["a"]).sum() + jnp.cos(params["b"]).sum()


def test_what_is_descended_is_the_smoothed_loss():
    deviation = 1.5
    estimates = 1 - ends(Ripple(), evolution(deviation=deviation), steps=1)
    error = estimates.std(0) / np.sqrt(len(estimates))
    expected = -np.sin(1) * np.exp(-(deviation**2) / 2)
    assert (np.abs(estimates.mean(0) - expected) < 4.5 * error).all()
    assert (10 * error < np.abs(expected)).all()


def test_it_takes_the_program_for_vectors_and_another_objective_around_it():
    organism = Audit(network=MLP(widths=(4,)), sampled=True)
    method = Correction(method=evolution(), objective=organism.replace(bonus=1.0), end=5)
    assert backends_for(Sweep(organism=organism, method=method, num_steps=9)) == (CPU, XLA)
