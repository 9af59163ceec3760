"""A small convolutional network, for organisms that see images."""

import math
from itertools import pairwise

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from basin_jax.core.plugin import Plugin
from basin_jax.networks.mlp import Activation, Dense


AXES = ("CHWN", "IHWO", "CHWN")  # examples last, as in `Dense`


class Convolution(nnx.Module):
    """Look at 3 x 3 pixels around each, and average the activations of each 2 x 2."""

    def __init__(self, inputs: int, outputs: int, *, activation: Activation, rngs: nnx.Rngs):
        draws = jax.random.normal(rngs.params(), (inputs, 3, 3, outputs), jnp.float32)
        self.kernel = nnx.Param(draws * (2 / (9 * inputs)) ** 0.5)
        self.bias = nnx.Param(jnp.zeros(outputs, jnp.float32))
        self.activation = activation

    def __call__(
        self, x: Float[Array, "inputs side side example"]
    ) -> Float[Array, "outputs half half example"]:
        seen = jax.lax.conv_general_dilated(
            x, self.kernel[...], (1, 1), "SAME", dimension_numbers=AXES
        )
        units = self.activation(seen + self.bias[...][:, None, None, None])
        channels, side, _, count = units.shape
        return units.reshape(channels, side // 2, 2, side // 2, 2, count).mean((2, 4))


class Convolutional(nnx.Module):
    """A convolutional network: He initialization, LeCun at the output."""

    def __init__(self, inputs: int, outputs: int, *, sizes: "CNN", rngs: nnx.Rngs):
        self.side = math.isqrt(inputs)
        channels = (1, *sizes.channels)
        self.layers = nnx.List(
            Convolution(a, b, activation=sizes.activation, rngs=rngs) for a, b in pairwise(channels)
        )
        left = self.side // 2 ** len(sizes.channels)
        self.last = Dense(channels[-1] * left**2, outputs, gain=1.0, rngs=rngs)

    def __call__(self, x: Float[Array, "example inputs"]) -> Float[Array, "example outputs"]:
        return self.output(self.hidden(x))

    def hidden(self, x: Float[Array, "example inputs"]) -> Float[Array, "units example"]:
        images = x.T.reshape(1, self.side, self.side, -1)
        for layer in self.layers:
            images = layer(images)
        return images.reshape(-1, images.shape[-1])

    def output(self, hidden: Float[Array, "units example"]) -> Float[Array, "example outputs"]:
        return self.last(hidden).T


class CNN(Plugin):
    """Build a convolutional network of square images of one channel (LeCun et al. 1989).

    Attributes:
        channels: those of each layer, which halves the side of its image.
        activation: the activation.
    """

    channels: tuple[int, ...] = (8, 16)
    activation: Activation = jax.nn.relu

    def validate(self) -> None:
        self.require(all(c >= 1 for c in self.channels), "channels", "each at least 1")

    def __call__(self, inputs: int, outputs: int, *, rngs: nnx.Rngs) -> nnx.Module:
        side, halved = math.isqrt(inputs), 2 ** len(self.channels)
        if side**2 != inputs or side % halved:
            raise ValueError(
                f"CNN.channels = {self.channels} for {inputs} inputs; allowed: square images whose "
                f"side is a multiple of {halved}"
            )
        return Convolutional(inputs, outputs, sizes=self, rngs=rngs)
