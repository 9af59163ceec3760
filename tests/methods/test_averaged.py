"""Means along a trajectory that is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from basin_jax import Organism
from basin_jax.methods import Averaged, Gradient


RATE, STEPS = 0.1, 30


class Decay(Organism):
    """Shrink to 0, by the same factor at each step."""

    def init(self, key):
        return jnp.ones(())

    def sample(self, key):
        return None

    def loss(self, params, batch):
        return params**2 / 2

    def probe(self, key, params):
        return {"x": params}


def course(method, steps, key):
    """Return what is looked at before the first step, and after each."""

    def step(state, number):
        state = method.step(jax.random.fold_in(key, number), number, state, Decay())
        return state, state.params

    state = method.init(key, jnp.ones(()), Decay())
    after = jax.lax.scan(step, state, jnp.arange(steps))[1]
    return jnp.append(state.params, after)


def found(inside=None, **settings):
    method = Averaged(method=inside or Gradient(learning_rate=RATE), **settings)
    return course(method, STEPS, jax.random.key(0))


VISITED = (1 - RATE) ** np.arange(STEPS + 1)


@pytest.mark.parametrize("begin", [0, 1, 7, STEPS + 5])
def test_the_mean_is_that_of_all_parameters_since_the_step_it_begins_at(begin):
    want = [VISITED[min(begin, n) : n + 1].mean() if n > begin else VISITED[n] for n in range(31)]
    np.testing.assert_allclose(found(begin=begin), want, rtol=1e-5)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9])
def test_a_moving_average_forgets(decay):
    mean, want = VISITED[0], [VISITED[0]]
    for n, x in enumerate(VISITED[1:], 2):
        mean += max(1 / n, 1 - decay) * (x - mean)
        want.append(mean)
    np.testing.assert_allclose(found(decay=decay), want, rtol=1e-5)


def test_training_does_not_see_the_mean():
    # A mean of means: the inner one must be that of descent, not that of the outer's parameters.
    inner = found()
    twice = found(inside=Averaged(method=Gradient(learning_rate=RATE)))
    np.testing.assert_allclose(twice, np.cumsum(inner) / np.arange(1, STEPS + 2), rtol=1e-5)


@pytest.mark.ci
def test_a_mean_is_steadier_than_what_it_averages():
    """With noise on a quadratic the mean of n steps has 2/(η n) of the variance of the last."""
    noisy, count, begin = Gradient(learning_rate=RATE, noise=1.0), 2000, 100
    keys = jax.random.split(jax.random.key(0), 2000)
    spreads = [
        jax.vmap(lambda key, method=method: course(method, count, key)[-1])(keys).var()
        for method in (noisy, Averaged(method=noisy, begin=begin))
    ]
    want = (2 - RATE) / RATE / (count - begin)
    assert spreads[1] / spreads[0] == pytest.approx(want, rel=0.15)
