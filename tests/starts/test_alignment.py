"""Hidden units of one network are matched to those of another, by an exact assignment."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.optimize import linear_sum_assignment

from basin_jax.networks import MLP
from basin_jax.networks.mlp import restore
from basin_jax.starts._alignment import aligned, assignment


X = jax.random.normal(jax.random.key(5), (20, 3))


def test_an_assignment_is_as_good_as_scipys():
    rng = np.random.default_rng(0)
    for size in (1, 7, 32):
        gains = rng.normal(size=(24, size, size)).astype(np.float32)
        # Ties, as of units that are dead in both networks.
        gains[:6] = np.round(gains[:6])
        gains[6:8, : size // 2] = 0
        found = np.asarray(jax.jit(jax.vmap(assignment))(gains))
        for gain, columns in zip(gains, found, strict=True):
            assert np.array_equal(np.sort(columns), np.arange(size))
            want = gain[linear_sum_assignment(gain, maximize=True)].sum()
            assert gain[np.arange(size), columns].sum() == pytest.approx(want, abs=1e-4)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_an_assignment_ends_whatever_the_gains(value):
    gains = np.random.default_rng(1).normal(size=(6, 6)).astype(np.float32)
    gains[2, 1:4] = value
    found = np.asarray(jax.jit(assignment)(gains))
    assert np.array_equal(np.sort(found), np.arange(6))


def network(seed, widths=(6, 5)):
    def build(key):
        return MLP(widths=widths)(3, 2, rngs=nnx.Rngs(key))

    params = nnx.split(build(jax.random.key(seed)))[1]
    # Biases of their own, which are zero at initialization.
    noise = nnx.split(build(jax.random.key(seed + 100)))[1]
    for layer, other in zip(params["layers"].values(), noise["layers"].values(), strict=True):
        layer["bias"][...] = other["kernel"][0]
    return params, lambda params: restore(build, params)(X)


def shuffled(params):
    """Permute the hidden units, each layer in its own way."""
    layers = [jax.tree.map(jnp.asarray, layer) for layer in params["layers"].values()]
    for number, (layer, after) in enumerate(itertools.pairwise(layers)):
        order = np.random.default_rng(number).permutation(len(layer["bias"][...]))
        layer["kernel"][...] = layer["kernel"][...][:, order]
        layer["bias"][...] = layer["bias"][...][order]
        after["kernel"][...] = after["kernel"][...][order]
    flat = [leaf for layer in layers for leaf in jax.tree.leaves(layer)]
    return jax.tree.unflatten(jax.tree.structure(params), flat)


@pytest.mark.parametrize("widths", [(6, 5), ()], ids=str)
def test_a_shuffled_network_is_found_again(widths):
    params, outputs = network(0, widths)
    twin = shuffled(params)
    np.testing.assert_allclose(outputs(twin), outputs(params), rtol=1e-4, atol=1e-5)
    found = jax.jit(aligned)(twin, params)
    jax.tree.map(np.testing.assert_array_equal, found, params)


def test_an_aligned_network_does_the_same_and_lies_nearer():
    (one, _), (other, outputs) = network(0), network(1)
    found = jax.jit(aligned)(other, one)

    def distance(params):
        return sum(
            float(((a - b) ** 2).sum())
            for a, b in zip(*map(jax.tree.leaves, (params, one)), strict=True)
        )

    np.testing.assert_allclose(outputs(found), outputs(other), rtol=1e-4, atol=1e-5)
    assert distance(found) < distance(other)
    again = jax.jit(aligned)(shuffled(other), one)
    jax.tree.map(np.testing.assert_array_equal, again, found)
