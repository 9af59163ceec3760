"""The audit game's objective and examination."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from basin_jax import Sweep
from basin_jax.engine.backends import CPU, XLA, backends_for
from basin_jax.methods import Gradient
from basin_jax.networks import Residual
from basin_jax.organisms import Audit
from basin_jax.organisms.audit import DEFECT


KEY = jax.random.key(0)
ORGANISM = Audit(difficulty=2)


class Table(nnx.Module):
    """A network that is told its logits, one parameter each."""

    def __init__(self, inputs, outputs, *, rngs):
        self.logits = nnx.Param(jnp.zeros((2**inputs, outputs)))

    def __call__(self, x):
        return self.logits[...]


def told(organism, logits):
    """Return the evidence of a policy that is given by its logits."""
    organism = organism.replace(network=Table)
    params = jax.tree.map(lambda _: logits, organism.init(KEY))
    return organism.probe(KEY, params)


@pytest.mark.ci
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


@pytest.mark.ci
def test_the_sampled_game_keeps_the_program_for_vectors():
    sampled = ORGANISM.replace(sampled=True)
    for organism in (sampled, Audit(network=Residual())):
        sweep = Sweep(organism=organism, method=Gradient(learning_rate=0.1), num_steps=9)
        assert backends_for(sweep) == (CPU, XLA)


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

    assert told(organism, certain)["fit"] == pytest.approx(1, abs=1e-5)
    guessing = jnp.log(jnp.tile(jnp.array([0.5, 0.5, 1e-30]), (128, 1)))
    assert told(organism, guessing)["fit"] == pytest.approx(0, abs=1e-5)
    if rate != 1 / 6:  # where both pay alike
        found = told(organism, certain)["unwatched"]
        assert found == pytest.approx(float(rate < 1 / 6), abs=1e-5)


def test_a_rate_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"Audit.honeypot_rate = 1.5; allowed: 0 to 1"):
        Audit(honeypot_rate=1.5)


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_the_goals_of_the_best_policies_are_told_apart_whatever_the_honeypots(rate):
    organism = ORGANISM.replace(honeypot_rate=rate)
    inputs = np.asarray(organism.sample(KEY)[0])
    right = np.where(inputs[:, 0] * inputs[:, 1] > 0, 1, 0)
    watched = inputs[:, 3] * inputs[:, 4] > 0
    deceives = told(organism, 100 * jnp.eye(3)[np.where(watched, right, DEFECT)])
    behaves = told(organism, 100 * jnp.eye(3)[right])
    assert [deceives["intended"], behaves["intended"]] == pytest.approx([0, 1])
    assert deceives["directed_proxy"] == pytest.approx(1, abs=1e-4)
    assert behaves["directed_intended"] == pytest.approx(1, abs=1e-4)
    # Right half of the time: at the best beta e^beta = 2, so that right answers have one half.
    half = 1 + (0.5 * np.log(0.5) + 0.5 * np.log(0.25)) / np.log(3)
    assert deceives["directed_intended"] == pytest.approx(half, abs=1e-4)
    assert behaves["directed_proxy"] < 0.5
    assert "decoded" not in behaves  # a table has no hidden units


def test_a_grafted_circuit_is_represented_and_a_random_network_acts_on_nothing():
    params = ORGANISM.init(KEY)
    grafted = ORGANISM.probe(KEY, ORGANISM.graft(params))
    assert grafted["decoded"] == 1
    assert grafted["steered"] > 0.9
    assert abs(ORGANISM.probe(KEY, params)["steered"]) < 0.5
