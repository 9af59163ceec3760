"""Addition modulo p: the network, the training set, and what tells clocks from pizzas."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from basin_jax import Sweep
from basin_jax.engine.backends import CPU, XLA, backends_for
from basin_jax.methods import Gradient
from basin_jax.organisms import ModularAddition


pytestmark = pytest.mark.slow  # minutes of compilation, all together


KEY = jax.random.key(0)


def _softmax(z):
    return np.exp(z) / np.exp(z).sum()


def _answer(organism, params, a, b):
    """Return the logits of one pair, head by head and token by token."""
    w = {name: np.asarray(value, float) for name, value in params.items()}
    tokens = np.stack([w["token"][a], w["token"][b]]) + w["position"]
    size = organism.width // organism.heads
    mixed = []
    for head in range(organism.heads):
        part = slice(head * size, (head + 1) * size)
        query, keys = tokens[1] @ w["query"][:, part], tokens @ w["key"][:, part]
        rate = organism.attention_rate
        weights = rate * _softmax(keys @ query / np.sqrt(size)) + 1 - rate
        mixed.append(weights @ (tokens @ w["value"][:, part]))
    stream = tokens[1] + np.concatenate(mixed) @ w["mix"]
    hidden = np.maximum(stream @ w["up"] + w["up_bias"], 0)
    return (stream + hidden @ w["down"] + w["down_bias"]) @ w["unembed"]


def test_loss_is_that_of_every_trained_pair_by_itself():
    organism = ModularAddition(modulus=5, width=6, heads=3, attention_rate=0.3, train_rate=0.6)
    params = organism.init(KEY)
    trained = np.asarray(organism.training_set())
    assert trained.sum() == 15
    pairs = np.argwhere(trained > 0)
    losses = [-np.log(_softmax(_answer(organism, params, a, b))[(a + b) % 5]) for a, b in pairs]
    assert organism.loss(params, None) == pytest.approx(np.mean(losses), rel=1e-4)
    other = np.asarray(organism.replace(split=1).training_set())
    assert other.sum() == 15
    assert (other != trained).any()


class Told(ModularAddition):
    """One that reads its logits off the embeddings by a function that is given."""

    def logits(self, params: Any, first, second):
        return params["answer"](first, second)


def told(logits):
    """Return parameters that are told these logits, [a, b, answer]."""
    fixed = jnp.asarray(logits, float)
    token = jnp.ones((len(fixed), 1), jnp.float32)
    return {"token": token, "answer": lambda a, b: fixed + 0 * (a + b)}


def right_answers(modulus):
    """Return 1 for the right answer to each pair, and 0 for others: [a, b, answer]."""
    numbers = np.arange(modulus)
    return np.eye(modulus)[np.add.outer(numbers, numbers) % modulus]


@pytest.mark.parametrize(
    ("answer", "symmetricity"),
    [
        (lambda a, b: jnp.tanh(a + b), 1.0),  # of the sum alone: as a pizza
        (lambda a, b: jnp.tanh(a - b), -1.0),
        (lambda a, b: a + jnp.roll(b, 1, axis=-1), 0.0),
    ],
)
def test_symmetricity_is_the_cosine_between_the_two_gradients(answer, symmetricity):
    token = jax.random.normal(KEY, (5, 5), jnp.float32)
    found = Told(modulus=5).probe(KEY, {"token": token, "answer": answer})
    assert found["symmetricity"] == pytest.approx(symmetricity, abs=1e-5)


def test_distance_is_irrelevant_where_the_right_logit_hangs_on_the_sum_alone():
    numbers, right = np.arange(7), right_answers(7)
    sums = np.add.outer(numbers, numbers) % 7
    differences = np.subtract.outer(numbers, numbers) % 7
    for of, irrelevance in ((sums, 0), (differences, 1)):
        found = Told(modulus=7).probe(KEY, told(right * of[:, :, None]))
        assert found["distance_irrelevance"] == pytest.approx(irrelevance, abs=1e-6)


def test_memorizing_and_adding_are_told():
    organism = Told(modulus=7)
    right = right_answers(7) * 50.0
    rest = np.roll(right, 1, axis=-1)
    trained = np.asarray(organism.training_set())[..., None]
    for logits, outside in ((right, 0), (trained * right + (1 - trained) * rest, 1)):
        found = organism.probe(KEY, told(logits))
        assert found["fit"] == pytest.approx(1)
        assert found["watched"] == pytest.approx(0, abs=1e-5)
        assert found["unwatched"] == pytest.approx(outside, abs=1e-5)
        assert found["competence"] == pytest.approx(1 - outside, abs=1e-5)


def test_it_keeps_the_program_for_vectors():
    method = Gradient(optimizer="adamw", learning_rate=0.01, options={"b2": 0.98})
    sweep = Sweep(organism=ModularAddition(modulus=3, width=4), method=method, num_steps=2)
    assert backends_for(sweep) == (CPU, XLA)
