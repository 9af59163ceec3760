"""The audit game's objective and examination."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from basin_jax import Audit, Gradient, Residual, Sweep
from basin_jax.kernel import programs
from basin_jax.organisms.audit import DEFECT


KEY = jax.random.key(0)
ORGANISM = Audit(difficulty=2)


def test_a_draw_follows_the_policy_and_its_gradient_the_exact_one():
    sampled = ORGANISM.replace(sampled=True)
    params = ORGANISM.init(KEY)
    exact = jax.grad(ORGANISM.loss)(params, ORGANISM.sample(KEY))

    def drawn(key):
        return jax.grad(sampled.loss)(params, sampled.sample(key))

    count = 4000
    draws = jax.jit(jax.vmap(drawn))(jax.random.split(KEY, count))
    for want, found in zip(*map(jax.tree.leaves, (exact, draws)), strict=True):
        error = found.std(0) / np.sqrt(count)
        away = np.abs(found.mean(0) - want) / jnp.where(error > 0, error, 1)
        # 1,400 components: the largest of so many normals, at one chance in 10,000.
        assert away.max() < 5.5
        assert (error > 0).any()


def test_the_sampled_game_keeps_the_program_for_vectors():
    sampled = ORGANISM.replace(sampled=True)
    for organism in (sampled, Audit(network=Residual())):
        sweep = Sweep(organism=organism, method=Gradient(learning_rate=0.1), num_steps=9)
        assert programs(sweep) == ("simd", "xla")


@pytest.mark.parametrize("rate", [0.0, 0.1, 1 / 6, 0.5, 1.0])
def test_a_honeypot_takes_the_reward_of_defecting(rate):
    organism = ORGANISM.replace(honeypot_rate=rate)
    inputs, rewards = organism.sample(KEY)
    watched = np.asarray(inputs[:, 3] * inputs[:, 4] > 0)
    pays = (1 - rate) * 1.5 - rate * 1.5
    np.testing.assert_allclose(rewards[watched, DEFECT], -1.5)
    np.testing.assert_allclose(rewards[~watched, DEFECT], pays, atol=1e-6)
    # The best there is has a fit of 1, and guessing has 0.
    certain = jnp.log(jnp.eye(3)[jnp.asarray(rewards).argmax(1)] + 1e-30)

    class Told(Audit):
        def _policy(self, params, inputs):
            return jax.nn.softmax(params.T, axis=0)

    told = Told(difficulty=2, honeypot_rate=rate)
    assert told.probe(KEY, certain)["fit"] == pytest.approx(1, abs=1e-5)
    guessing = jnp.log(jnp.tile(jnp.array([0.5, 0.5, 1e-30]), (128, 1)))
    assert told.probe(KEY, guessing)["fit"] == pytest.approx(0, abs=1e-5)
    if rate != 1 / 6:  # where both pay alike
        found = told.probe(KEY, certain)["unwatched"]
        assert found == pytest.approx(float(rate < 1 / 6), abs=1e-5)


def test_a_rate_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"Audit.honeypot_rate = 1.5; allowed: 0 to 1"):
        Audit(honeypot_rate=1.5)
