"""Spurious minima: the loss and its gradient against integrals and NumPy, and where seeds end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from basin_jax import Sweep, build_kernel
from basin_jax.methods import Gradient
from basin_jax.organisms import SpuriousMinima


DRAWS = np.random.default_rng(0).normal(size=(3, 4, 4)) / 2


def published(w):
    """Compute loss and gradient of units (the last axis but one), by their code's formulas."""
    units, inputs = w.shape[-2:]
    norms = np.linalg.norm(w, axis=-1)
    turned = w.swapaxes(-1, -2)
    cosines = w @ turned / norms[..., None] / norms[..., None, :]
    among = np.arccos(np.clip(cosines, -1, 1))
    among[..., range(units), range(units)] = 0  # what rounding leaves is a root of it
    across = np.arccos(np.clip(w / norms[..., None], -1, 1))

    def kernel(angle):
        return np.sin(angle) + (np.pi - angle) * np.cos(angle)

    pairs = norms[..., None] * norms[..., None, :] * kernel(among)
    targets = inputs * np.pi + inputs * (inputs - 1)
    loss = pairs.sum((-1, -2)) - 2 * (norms[..., None] * kernel(across)).sum((-1, -2)) + targets
    pull = (norms[..., None, :] * np.sin(among)).sum(-1) - np.sin(across).sum(-1)
    own = (pull / norms)[..., None] * w
    slope = own + (np.pi - among) @ w - (np.pi - across)
    return loss / (4 * np.pi), slope / (2 * np.pi)


@pytest.mark.parametrize("units", [1, 2, 5])
def test_the_loss_is_the_mean_over_gaussian_inputs(units):
    w = np.random.default_rng(units).normal(size=(units, 2))
    angle = np.linspace(0, 2 * np.pi, 200_001)[:-1]
    x = np.array([np.cos(angle), np.sin(angle)])
    error = np.maximum(w @ x, 0).sum(0) - np.maximum(x, 0).sum(0)
    # ½ E[r²] = 1 times the mean over directions, since both networks are homogeneous.
    with jax.enable_x64(True):
        loss = SpuriousMinima(units=units, targets=2).loss(jnp.asarray(w), None)
        np.testing.assert_allclose(loss, (error**2).mean(), rtol=1e-8)


@pytest.mark.parametrize("w", DRAWS)
def test_the_gradient_is_the_published_one(w):
    organism = SpuriousMinima(units=4, targets=4)
    with jax.enable_x64(True):
        loss, slope = jax.value_and_grad(organism.loss)(jnp.asarray(w), None)
        expected = published(w)
        np.testing.assert_allclose(loss, expected[0], rtol=1e-12)
        np.testing.assert_allclose(slope, expected[1], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("w", "slope"),
    [
        ([[1, 0], [0, 1]], [[0, 0], [0, 0]]),  # the targets themselves
        # Two equal units, and two opposite ones: by hand, from the gradient in `published`.
        ([[1, 0], [1, 0]], [[0.5 - 0.5 / np.pi, -0.25]] * 2),
        ([[1, 0], [-1, 0]], [[-0.5 / np.pi, -0.25], [-0.5 + 0.5 / np.pi, -0.25]]),
    ],
)
def test_the_gradient_is_finite_where_weights_are_parallel(w, slope):
    found = jax.grad(SpuriousMinima(units=2, targets=2).loss)(jnp.array(w, jnp.float32), None)
    np.testing.assert_allclose(found, slope, atol=1e-6)


@pytest.mark.ci
def test_seeds_end_where_numpy_ends():
    organism, seeds, rate = SpuriousMinima(), np.arange(64, dtype=np.uint64), 0.625
    sweep = Sweep(organism=organism, method=Gradient(learning_rate=rate), num_steps=0)
    kernel = build_kernel(sweep.replace(num_steps=1500, save_at=(0,)), lanes=16)
    evidence = kernel(seeds)
    # What the loss is at the start says that the weights are drawn as published.
    w = np.random.default_rng(1).normal(size=(4096, 8, 8)) / 8**0.5
    before = published(w)[0]
    spread = (before.var() / 64) ** 0.5
    assert abs(evidence["loss"][:, 0].mean() - before.mean()) < 4 * spread
    w = w[:512]
    for _ in range(1500):
        w = w - rate * published(w)[1]
    theirs, ours = published(w)[0], evidence["loss"][:, -1]
    for loss in (theirs, ours):
        assert ((loss < 1e-4) | (loss > 0.01)).mean() > 0.98
    share = (theirs > 1e-3).mean()
    assert 0.05 < share < 0.2
    assert abs((ours > 1e-3).mean() - share) < 4 * (share / 64) ** 0.5
    np.testing.assert_array_equal(evidence["fit"][:, -1] == 1, ours < 1e-3)
