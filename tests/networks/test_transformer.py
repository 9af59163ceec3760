"""The transformer, against the same one written down in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from basin_jax import Sweep
from basin_jax.engine.backends import CPU, XLA, backends_for
from basin_jax.methods import Gradient
from basin_jax.networks import Transformer
from basin_jax.organisms import Audit


pytestmark = pytest.mark.slow  # minutes of compilation, all together


SMALL = Transformer(width=4, heads=2, blocks=2)


def _layer(layer, x):
    return x @ np.asarray(layer.kernel[...], float) + np.asarray(layer.bias[...], float)


def _written_down(block, stream, causal):
    """Return what a block makes of the stream [token, width] of one example, head by head."""
    queries, keys, values = (_layer(layer, stream) for layer in block.looks)
    seen = np.zeros_like(stream)
    size = stream.shape[1] // block.heads
    for head in range(block.heads):
        part = slice(head * size, (head + 1) * size)
        for token in range(len(stream)):
            among = slice(token + 1) if causal else slice(None)
            scores = np.exp(keys[among, part] @ queries[token, part] / size**0.5)
            seen[token, part] = scores @ values[among, part] / scores.sum()
    stream = stream + _layer(block.mix, seen)
    return stream + _layer(block.down, np.maximum(_layer(block.up, stream), 0))


def test_a_network_reads_each_input_as_a_token_and_answers_from_their_mean():
    module = SMALL(3, 2, rngs=nnx.Rngs(0))
    inputs = jax.random.normal(jax.random.key(1), (5, 3), jnp.float32)
    for x, outputs in zip(inputs, module(inputs), strict=True):
        stream = _layer(module.value, np.asarray(x)[:, None]) + np.asarray(module.place[...]).T
        for block in module.blocks:
            stream = _written_down(block, stream, causal=False)
        expected = _layer(module.last, stream.mean(0))
        np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)


def test_a_language_model_reads_from_the_left():
    module = SMALL.language_model(3, 4, rngs=nnx.Rngs(0))
    texts = np.random.default_rng(0).integers(3, size=(5, 4))
    logits = module(jax.nn.one_hot(texts, 3, axis=0).transpose(0, 2, 1))
    for text, found in zip(texts, np.asarray(logits).transpose(2, 1, 0), strict=True):
        stream = _layer(module.token, np.eye(3)[text]) + np.asarray(module.place[...]).T
        for block in module.blocks:
            stream = _written_down(block, stream, causal=True)
        np.testing.assert_allclose(found, _layer(module.last, stream), rtol=1e-4, atol=1e-5)


def test_the_audit_game_keeps_the_program_for_vectors():
    organism = Audit(network=Transformer(width=4))
    sweep = Sweep(organism=organism, method=Gradient(learning_rate=0.1), num_steps=9)
    assert backends_for(sweep) == (CPU, XLA)
