"""Networks for organisms: Flax NNX modules, and the factories that build them."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key, PyTree

from basin_jax.core.plugin import Plugin


Activation = Callable[..., Array]


class Dense(nnx.Module):
    """Map features to features, with examples on the last axis.

    XLA on a CPU trains a small network almost twice as fast when the long axis of
    examples, not the short one of features, is the contiguous one.
    """

    def __init__(self, inputs: int, outputs: int, *, gain: float, rngs: nnx.Rngs):
        draws = jax.random.normal(rngs.params(), (inputs, outputs), jnp.float32)
        self.kernel = nnx.Param(draws * (gain / inputs) ** 0.5)
        self.bias = nnx.Param(jnp.zeros(outputs, jnp.float32))

    def __call__(self, x: Float[Array, "inputs example"]) -> Float[Array, "outputs example"]:
        return self.kernel[...].T @ x + self.bias[...][:, None]


@runtime_checkable
class Layered(Protocol):
    """A network whose hidden units, the input of its last layer, can be examined."""

    def hidden(self, x: Float[Array, "example inputs"]) -> Float[Array, "units example"]: ...

    def output(self, hidden: Float[Array, "units example"]) -> Float[Array, "example outputs"]: ...


class FeedForward(nnx.Module):
    """A multilayer perceptron: He initialization, LeCun at the output."""

    def __init__(self, sizes: tuple[int, ...], *, activation: Activation, rngs: nnx.Rngs):
        gains = (2.0,) * (len(sizes) - 2) + (1.0,)
        self.layers = nnx.List(
            Dense(a, b, gain=gain, rngs=rngs)
            for a, b, gain in zip(sizes[:-1], sizes[1:], gains, strict=True)
        )
        self.activation = activation

    def __call__(self, x: Float[Array, "example inputs"]) -> Float[Array, "example outputs"]:
        return self.output(self.hidden(x))

    def hidden(self, x: Float[Array, "example inputs"]) -> Float[Array, "units example"]:
        x = x.T
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return x

    def output(self, hidden: Float[Array, "units example"]) -> Float[Array, "example outputs"]:
        return self.layers[-1](hidden).T


class MLP(Plugin):
    """Build a multilayer perceptron of any widths, with any activation.

    Where an organism takes a network, it takes any callable of (inputs, outputs, *,
    rngs) that returns an NNX module from [example, inputs] to [example, outputs]. Where the
    module is `Layered`, as here, the input of its last layer can be examined.
    """

    widths: tuple[int, ...] = (32, 32)
    activation: Activation = jax.nn.relu

    def validate(self) -> None:
        self.require(all(w >= 1 for w in self.widths), "widths", "each at least 1")

    def __call__(self, inputs: int, outputs: int, *, rngs: nnx.Rngs) -> nnx.Module:
        sizes = (inputs, *self.widths, outputs)
        return FeedForward(sizes, activation=self.activation, rngs=rngs)


class Skipping(nnx.Module):
    """A residual multilayer perceptron: each block of two layers adds to a stream."""

    def __init__(self, inputs: int, outputs: int, *, sizes: "Residual", rngs: nnx.Rngs):
        width, blocks = sizes.width, sizes.blocks
        self.first = Dense(inputs, width, gain=1.0, rngs=rngs)
        # Blocks begin small, so that the stream's variance does not grow with their number.
        self.up = nnx.List(Dense(width, width, gain=2.0, rngs=rngs) for _ in range(blocks))
        self.down = nnx.List(Dense(width, width, gain=1 / blocks, rngs=rngs) for _ in range(blocks))
        self.last = Dense(width, outputs, gain=1.0, rngs=rngs)
        self.activation = sizes.activation

    def __call__(self, x: Float[Array, "example inputs"]) -> Float[Array, "example outputs"]:
        return self.output(self.hidden(x))

    def hidden(self, x: Float[Array, "example inputs"]) -> Float[Array, "units example"]:
        stream = self.first(x.T)
        for up, down in zip(self.up, self.down, strict=True):
            stream = stream + down(self.activation(up(stream)))
        return stream

    def output(self, hidden: Float[Array, "units example"]) -> Float[Array, "example outputs"]:
        return self.last(hidden).T


class Residual(Plugin):
    """Build a residual multilayer perceptron (He et al. 2016), without normalization."""

    width: int = 16
    blocks: int = 2
    activation: Activation = jax.nn.relu

    def validate(self) -> None:
        self.require(self.width >= 1, "width", "at least 1")
        self.require(self.blocks >= 1, "blocks", "at least 1")

    def __call__(self, inputs: int, outputs: int, *, rngs: nnx.Rngs) -> nnx.Module:
        return Skipping(inputs, outputs, sizes=self, rngs=rngs)


Network = Callable[..., nnx.Module]


def restore(build: Callable[[Key[Array, ""]], nnx.Module], params: PyTree[Array]) -> Any:
    """Build a module and give it these parameters."""
    return nnx.merge(nnx.graphdef(nnx.eval_shape(build, jax.random.key(0))), params)
