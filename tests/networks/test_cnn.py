"""The convolutional network: against NumPy, and the images that it refuses."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from basin_jax.networks import CNN


@pytest.mark.parametrize("channels", [(), (3,), (3, 4)])
def test_it_is_a_convolution_in_numpy(channels):
    network = CNN(channels=channels, activation=jnp.tanh)
    module: Any = network(64, 5, rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(1), (6, 64))
    images = np.asarray(x).reshape(1, 6, 8, 8)
    for layer in module.layers:
        kernel, bias = np.asarray(layer.kernel[...]), np.asarray(layer.bias[...])
        side = images.shape[-1]
        padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
        seen = sum(
            np.einsum("cnij,co->onij", padded[..., a : a + side, b : b + side], kernel[:, a, b])
            for a in range(3)
            for b in range(3)
        )
        units = np.tanh(seen + bias[:, None, None, None])
        images = units.reshape(*units.shape[:2], side // 2, 2, side // 2, 2).mean((3, 5))
    hidden = np.moveaxis(images, 1, -1).reshape(-1, 6)
    want = hidden.T @ np.asarray(module.last.kernel[...]) + np.asarray(module.last.bias[...])
    np.testing.assert_allclose(module(x), want, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(module.hidden(x), hidden, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("inputs", "channels"), [(63, (8,)), (36, (8, 8)), (64, (2, 2, 2, 2))])
def test_other_images_are_refused(inputs, channels):
    with pytest.raises(ValueError, match=f"for {inputs} inputs; allowed: square images whose side"):
        CNN(channels=channels)(inputs, 5, rngs=nnx.Rngs(0))
