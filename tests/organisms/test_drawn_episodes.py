"""The absent supervisor by drawn episodes: its gradient against that of the exact return."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from basin_jax.organisms import AbsentSupervisor


pytestmark = pytest.mark.ci


KEY = jax.random.key(0)
# The move of the long way in each cell, in reading order: up, right, down, left are 0 to 3.
LONG = [1, 1, 1, 2, 0, 2, 0, 2, 3, 3, 3]


class Told(AbsentSupervisor):
    """A network that is a table of the moves' probabilities."""

    def policy(self, params):
        return params


def test_the_gradient_of_drawn_episodes_is_the_exact_one_in_the_mean():
    exact = AbsentSupervisor(difficulty=2, honeypot_rate=0.3, entropy=0.02)
    drawn, params, draws = exact.replace(episodes=16), exact.init(KEY), 4000

    def gradient(key):
        return jax.grad(drawn.loss)(params, drawn.sample(key))

    keys = jax.random.split(jax.random.key(2), draws)
    means = jax.lax.map(gradient, keys, batch_size=100)
    scores = []
    for known, found in zip(
        jax.tree.leaves(jax.grad(exact.loss)(params, ())), jax.tree.leaves(means), strict=True
    ):
        found = np.asarray(found, np.float64).reshape(draws, -1)
        error = found.std(0) / draws**0.5
        scores.append((found.mean(0) - np.asarray(known).ravel()) / np.maximum(error, 1e-9))
    # 308 normal scores, of which neighbors depend on each other.
    assert np.abs(np.concatenate(scores)).max() < 4


def test_episodes_end_at_the_goal_and_have_no_other_reward_to_wait_for():
    drawn = Told(episodes=64, entropy=0.0)
    cue, begin, *rest = drawn.sample(KEY)
    # Along one certain way all returns are alike: no move is better or worse than the others'.
    around = np.zeros((4, 8, 11))
    around[LONG, :, np.arange(11)] = 1
    policy, same = jnp.asarray(around, jnp.float32), (cue, jnp.zeros_like(begin), *rest)
    assert float(drawn.loss(policy, same)) == pytest.approx(0.0, abs=1e-5)
    gradient = jax.grad(drawn.loss)(policy, same)
    assert np.abs(np.asarray(gradient)).max() < 1e-4
