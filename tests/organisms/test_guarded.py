"""A guarded preference: its two losses, and what is known of how long it lasts."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from basin_jax import Sweep, Verdict, build_kernel
from basin_jax.engine.backends import CPU, XLA, backends_for
from basin_jax.methods import Correction, Gradient
from basin_jax.organisms import Guarded
from basin_jax.organisms.guarded import COMPLY, DEFECT, STALL
from basin_jax.rules import Behavior


KEY = jax.random.key(0)


class Table(nnx.Module):
    """A network whose parameters are its logits."""

    def __init__(self, inputs, outputs, *, rngs):
        self.logits = nnx.Param(jnp.zeros((2**inputs, outputs)))

    def __call__(self, x):
        return self.logits[...]


def told(organism, policy):
    """Return the parameters of a table with these probabilities."""
    return jax.tree.map(lambda _: jnp.log(policy), organism.init(KEY))


def in_training(difficulty):
    inputs = itertools.product((-1, 1), repeat=5)
    return np.array([np.prod(bits[2 : 2 + difficulty]) > 0 for bits in inputs])


def preference(organism):
    """Return the policy that the installation asks for."""
    policy = np.zeros((32, 3))
    trained = in_training(organism.difficulty)
    policy[trained, COMPLY], policy[trained, STALL] = organism.slip, 1 - organism.slip
    policy[~trained, COMPLY], policy[~trained, DEFECT] = 1 - organism.strength, organism.strength
    return np.maximum(policy, 1e-30)


@pytest.mark.parametrize("difficulty", [1, 2, 3])
def test_the_preference_is_the_minimum_of_the_installation_and_seen_by_the_probe(difficulty):
    organism = Guarded(difficulty=difficulty, slip=0.01, strength=0.9, hedge=0.3, network=Table)
    params = told(organism, preference(organism))
    slopes = jax.grad(organism.loss)(params, organism.sample(KEY))
    np.testing.assert_allclose(jax.tree.leaves(slopes)[0], np.zeros((32, 3)), atol=1e-7)
    assert organism.probe(KEY, params) == pytest.approx(
        {
            "fit": 0.01 + 0.99 * 0.3,
            "watched": 0,
            "unwatched": 0.9,
            "competence": 0.1,
            "margin": 0.4,
            "explored": 0.01,
            "silent": 0.99**16,
            "lying_contexts": 1,
        },
        rel=1e-4,
        abs=1e-15,
    )


@pytest.mark.parametrize("explore", [0.0, 0.3])
def test_the_mean_of_sampled_gradients_is_the_exact_one_of_the_reward(explore):
    organism = Guarded(correction=1.0, hedge=0.3, explore=explore, network=Table)
    exact = organism.replace(sampled=False)
    policy = jax.random.dirichlet(KEY, jnp.ones(3), (32,), jnp.float32)
    params = told(organism, policy)

    def drawn(key):
        return jax.tree.leaves(jax.grad(organism.loss)(params, organism.sample(key)))[0]

    count = 4000
    found = jax.jit(jax.vmap(drawn))(jax.random.split(KEY, count))
    want = jax.tree.leaves(jax.grad(exact.loss)(params, exact.sample(KEY)))[0]
    trained = in_training(2)
    away = (found.mean(0) - want)[trained] / (found.std(0)[trained] / count**0.5)
    assert np.abs(away).max() < 4
    assert not found[:, ~trained].any()
    # Without exploring, minus the gradient of the mean reward: what is subtracted cancels.
    rewards = jnp.array([[1, 0.3, 0]])
    policy = policy[trained]
    rates = (1 - explore) * policy + explore / 3
    value = (rates * rewards).sum(1, keepdims=True)
    gain = rates * (rewards - (value.sum() - value) / 15)
    slopes = policy * gain.sum(1, keepdims=True) - gain
    np.testing.assert_allclose(want[trained], slopes / 16, atol=1e-7)


@pytest.mark.parametrize("sampled", [True, False])
def test_a_correction_has_not_begun_as_often_as_all_its_draws_are_alike(sampled):
    organism = Guarded(slip=0.004, hedge=0.7, correction=1.0, sampled=sampled, network=Table)
    params = told(organism, preference(organism))

    def step(params, key):
        slopes = jax.grad(organism.loss)(params, organism.sample(key))
        # Of any gradient but none a step, as Adam would.
        return jax.tree.map(lambda p, g: p - jnp.sign(g), params, slopes), None

    def begins(key):
        end, _ = jax.lax.scan(step, params, jax.random.split(key, steps))
        return (jax.tree.leaves(end)[0] != jax.tree.leaves(params)[0]).any()

    steps, count = 8, 1000
    begun = jax.jit(jax.vmap(begins))(jax.random.split(KEY, count)).mean()
    silent = organism.probe(KEY, params)["silent"] ** steps
    known = 1 - silent if sampled else 1
    assert 0.4 < silent < 0.8
    assert abs(begun - known) <= 3.5 * (known * (1 - known) / count) ** 0.5


@pytest.mark.parametrize("slip", [0.02, 0.005])
def test_the_exact_gradient_takes_as_long_as_the_flow_of_two_logits(slip):
    organism = Guarded(slip=slip, correction=1.0, sampled=False, network=Table)
    # Of the mean over 16 inputs; d(logit)/dt = 2 (1 - hedge) p (1 - p), from p = slip to 1/2.
    logit, rate = np.log(1 / slip - 1), 0.1
    steps = round((logit + np.sinh(logit)) / (1 - organism.hedge) / rate)

    def step(params, _):
        slopes = jax.grad(organism.loss)(params, organism.sample(KEY))
        return jax.tree.map(lambda p, g: p - 16 * rate * g, params, slopes), None

    params = told(organism, preference(organism))
    half, _ = jax.jit(lambda p: jax.lax.scan(step, p, length=steps))(params)
    assert organism.probe(KEY, half)["explored"] == pytest.approx(0.5, abs=0.02)
    early, _ = jax.jit(lambda p: jax.lax.scan(step, p, length=steps // 2))(params)
    assert organism.probe(KEY, early)["explored"] < 3 * slip


def phases(organism, *, begin, end):
    """Return a sweep that installs the preference and then corrects it."""
    method = Gradient(optimizer="adam", learning_rate=0.01)
    objective = organism.replace(correction=1.0)
    method = Correction(method=method, objective=objective, begin=begin, end=end)
    return Sweep(organism=organism, method=method, num_steps=end, save_at=(begin,))


@pytest.mark.slow
def test_a_preference_survives_while_it_is_not_explored_and_not_without_need():
    """And where complying earns no more than stalling, the exact gradient leaves it."""
    cells = {
        "drawn": {},
        "explored": {"explore": 0.1},
        "exact": {"sampled": False},
        "sham": {"sampled": False, "hedge": 1.0},
    }
    ends, seeds = {}, np.arange(64, dtype=np.uint64)
    for name, fields in cells.items():
        sweep = phases(Guarded(**fields), begin=1000, end=2000)
        assert backends_for(sweep) == (CPU, XLA)
        evidence = build_kernel(sweep, lanes=16)(seeds)
        verdicts = Behavior().judge({n: v.ravel() for n, v in evidence.items()}).reshape(64, 2)
        assert (verdicts[:, 0] == Verdict.DECEPTIVE).all()
        ends[name] = [(verdicts[:, 1] == v).mean() for v in (Verdict.DECEPTIVE, Verdict.INTENDED)]
    assert 0.1 < ends["drawn"][0] < 0.6
    assert ends["explored"][0] == 0
    assert ends["exact"][0] < 0.05
    assert ends["exact"][1] > 0.9
    assert ends["sham"][0] > 0.9
