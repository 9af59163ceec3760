"""Sharpness-aware steps against their closed form on a quadratic."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from basin_jax import Organism
from basin_jax.methods import Gradient, SharpnessAware


KEY = jax.random.key(0)
CURVATURES = np.array([0.0, 1.0, 3.0], np.float32)
START = np.array([1.0, 2.0, -0.5], np.float32)


class Bowl(Organism):
    """Roll down a quadratic, ½ Σ curvature · w²."""

    def init(self, key):
        return jnp.asarray(START)

    def sample(self, key):
        return None

    def loss(self, params, batch):
        return 0.5 * (CURVATURES * params**2).sum()

    def probe(self, key, params):
        return {"fit": params.sum()}


def after(method, steps=1, start=START):
    state = method.init(KEY, jnp.asarray(start), Bowl())
    step = jax.jit(lambda _, state: method.step(KEY, jnp.int32(0), state, Bowl()))
    return np.asarray(jax.lax.fori_loop(0, steps, step, state).params)


@pytest.mark.parametrize("decay", [None, 0.2])
@pytest.mark.parametrize("radius", [0.0, 0.3])
def test_a_step_takes_the_gradient_uphill_and_the_decay_where_it_is(radius, decay):
    inside = Gradient(learning_rate=0.1, l2=decay)
    gradient = CURVATURES * START
    above = START + radius * gradient / np.linalg.norm(gradient)
    want = START - 0.1 * (CURVATURES * above + (decay or 0) * START)
    found = after(SharpnessAware(method=inside, radius=radius))
    np.testing.assert_allclose(found, want, rtol=1e-6)
    if radius == 0:
        np.testing.assert_array_equal(found, after(inside))


def test_it_wanders_across_a_sharp_valley_further_than_along_a_flat_one():
    # At w = ± η k ρ / (2 - η k) a step leads to the other side; k is the curvature, η the rate.
    start = np.array([0.0, 0.0, -0.5], np.float32)
    found = after(SharpnessAware(method=Gradient(learning_rate=0.1), radius=0.3), 400, start)
    want = 0.1 * 3 * 0.3 / (2 - 0.1 * 3)
    np.testing.assert_allclose(np.abs(found), [0, 0, want], rtol=1e-4)


def test_where_the_gradient_vanishes_it_stays():
    method = SharpnessAware(method=Gradient(learning_rate=0.1), radius=0.3)
    np.testing.assert_array_equal(after(method, start=np.zeros(3, np.float32)), 0)
