"""Pushes: their lengths, plain and relative, and that scales of layers do not change the latter."""

import jax
import numpy as np
import pytest

from basin_jax import Parent, Sweep
from basin_jax.methods import Gradient
from basin_jax.organisms import Audit, Gate
from basin_jax.starts import Perturbed


KEY = jax.random.key(0)
PARENT = Parent(*(Audit().init(jax.random.key(n)) for n in (1, 2)))


def flat(params):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(params)])


@pytest.mark.ci
@pytest.mark.parametrize("direction", ["random", "loss", "margin"])
def test_a_push_has_its_length(direction):
    sweep = Sweep(organism=Audit(), method=Gradient(learning_rate=0.1), num_steps=1)
    start = Perturbed(of=sweep, radius=0.25, direction=direction)
    moved = start.params(KEY, Audit(), PARENT)
    away = flat(moved) - flat(PARENT.ended)
    np.testing.assert_allclose(np.linalg.norm(away), 0.25, rtol=1e-4)
    if direction != "random":

        def value(params):
            batch = Audit().sample(KEY)
            return (
                Audit().loss(params, batch)
                if direction == "loss"
                else Audit().probe(KEY, params)["margin"]
            )

        small = Perturbed(of=sweep, radius=1e-2, direction=direction).params(KEY, Audit(), PARENT)
        assert value(small) > value(PARENT.ended)


PUSHED = Sweep(organism=Audit(), method=Gradient(learning_rate=0.1), num_steps=1)


def pushed(direction, *, relative, scale=1.0):
    """A network before and after a push: its first layer scaled up, and the next one down."""
    leaves, structure = jax.tree.flatten(PARENT.ended)
    scales = (scale, scale, 1.0, 1 / scale, 1.0, 1.0)  # of biases and kernels in turn
    own = [by * (leaf + 0.1) for by, leaf in zip(scales, leaves, strict=True)]
    at = jax.tree.unflatten(structure, own)
    start = Perturbed(of=PUSHED, radius=0.3, direction=direction, relative=relative)
    return at, start.params(KEY, Audit(), Parent(at, at))


@pytest.mark.parametrize("direction", ["random", "loss", "-margin"])
def test_a_relative_push_does_the_same_whatever_the_scales_of_relu_layers(direction):
    inputs, _ = Audit().sample(KEY)

    def acts(**given):
        return Audit().policy(pushed(direction, **given)[1], inputs)

    want = acts(relative=True)
    np.testing.assert_allclose(acts(relative=True, scale=8.0), want, atol=1e-4)
    plain = acts(relative=False)
    assert np.abs(acts(relative=False, scale=8.0) - plain).max() > 0.01


@pytest.mark.parametrize("direction", ["random", "loss"])
def test_a_relative_push_has_its_length_and_moves_no_zeros(direction):
    at, moved = pushed(direction, relative=True)
    pairs = list(zip(jax.tree.leaves(at), jax.tree.leaves(moved), strict=True))
    shares = [np.linalg.norm(new - old) / np.linalg.norm(old) for old, new in pairs]
    np.testing.assert_allclose(np.sqrt(np.mean(np.square(shares))), 0.3, rtol=1e-4)
    if direction == "random":
        np.testing.assert_allclose(shares, 0.3, rtol=1e-4)
    start = Perturbed(of=PUSHED, radius=0.3, direction=direction, relative=True)
    still = start.params(KEY, Audit(), PARENT)["layers"][0]["bias"][...]
    assert not still.any()


def test_no_slope_is_no_push():
    class Flat(Gate):
        def loss(self, params, batch):
            return 0 * super().loss(params, batch)

    parent = Parent(Flat().init(KEY), Flat().init(KEY))
    start = Perturbed(of=PUSHED, radius=1.0, direction="loss")
    assert np.array_equal(flat(start.params(KEY, Flat(), parent)), flat(parent.ended))
