"""A small transformer: of numbers as a network for organisms, and of text as a language model."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from basin_jax.core.plugin import Plugin
from basin_jax.networks.mlp import Activation, Dense


class Block(nnx.Module):
    """Add attention, and then a layer of hidden units, to a stream of tokens."""

    def __init__(self, sizes: "Transformer", *, causal: bool, rngs: nnx.Rngs):
        width, gain = sizes.width, 0.5 / sizes.blocks
        self.looks = nnx.List(Dense(width, width, gain=1.0, rngs=rngs) for _ in range(3))
        self.mix = Dense(width, width, gain=gain, rngs=rngs)
        self.up = Dense(width, 2 * width, gain=2.0, rngs=rngs)
        self.down = Dense(2 * width, width, gain=gain, rngs=rngs)
        self.heads, self.causal, self.activation = sizes.heads, causal, sizes.activation

    def __call__(
        self, stream: Float[Array, "width token example"]
    ) -> Float[Array, "width token example"]:
        stream = stream + self._attend(stream)
        return stream + _each(self.down, self.activation(_each(self.up, stream)))

    def _attend(
        self, stream: Float[Array, "width token example"]
    ) -> Float[Array, "width token example"]:
        width, tokens, _ = stream.shape
        size = width // self.heads
        split = (self.heads, size, *stream.shape[1:])
        queries, keys, values = (_each(layer, stream).reshape(split) for layer in self.looks)
        scores = jnp.einsum("hcte,hcse->hets", queries, keys) / size**0.5
        if self.causal:
            later = np.triu(np.ones((tokens, tokens), bool), 1)[None, None]
            scores = jnp.where(later, jnp.finfo(scores.dtype).min, scores)
        seen = jnp.einsum("hets,hcse->hcte", jax.nn.softmax(scores, axis=-1), values)
        return _each(self.mix, seen.reshape(stream.shape))


class Encoder(nnx.Module):
    """Read numbers, each as a token; answer from the mean over tokens."""

    def __init__(self, inputs: int, outputs: int, *, sizes: "Transformer", rngs: nnx.Rngs):
        self.value = Dense(1, sizes.width, gain=0.5, rngs=rngs)
        self.place = _places(sizes.width, inputs, rngs=rngs)
        self.blocks = nnx.List(Block(sizes, causal=False, rngs=rngs) for _ in range(sizes.blocks))
        self.last = Dense(sizes.width, outputs, gain=1.0, rngs=rngs)

    def __call__(self, x: Float[Array, "example inputs"]) -> Float[Array, "example outputs"]:
        return self.output(self.hidden(x))

    def hidden(self, x: Float[Array, "example inputs"]) -> Float[Array, "units example"]:
        stream = _each(self.value, x.T[None]) + self.place[...][:, :, None]
        for block in self.blocks:
            stream = block(stream)
        return stream.mean(1)

    def output(self, hidden: Float[Array, "units example"]) -> Float[Array, "example outputs"]:
        return self.last(hidden).T


class Decoder(nnx.Module):
    """Read text from the left; give the logits of the next token at each."""

    def __init__(self, tokens: int, length: int, *, sizes: "Transformer", rngs: nnx.Rngs):
        self.token = Dense(tokens, sizes.width, gain=0.5 * tokens, rngs=rngs)
        self.place = _places(sizes.width, length, rngs=rngs)
        self.blocks = nnx.List(Block(sizes, causal=True, rngs=rngs) for _ in range(sizes.blocks))
        self.last = Dense(sizes.width, tokens, gain=1.0, rngs=rngs)

    def __call__(
        self, text: Float[Array, "symbol token example"]
    ) -> Float[Array, "symbol token example"]:
        stream = _each(self.token, text) + self.place[...][:, :, None]
        for block in self.blocks:
            stream = block(stream)
        return _each(self.last, stream)


class Transformer(Plugin):
    """Build a transformer (Vaswani et al. 2017) without normalization.

    As a network it reads each input as a token, embedded with its position; every token looks at
    every other, and the outputs are read from the mean over tokens. Its `language_model` reads
    one-hot text, and a token looks at no later one.

    A few blocks that begin small, as in `Residual`, train without normalization, as those of
    Elhage et al. 2021 ("A mathematical framework for transformer circuits") do; it would be the
    most expensive part of a stream this narrow.
    """

    width: int = 16
    heads: int = 2
    blocks: int = 1
    activation: Activation = jax.nn.relu

    def validate(self) -> None:
        self.require(self.width >= 1, "width", "at least 1")
        divisor = f"a divisor of width = {self.width}"
        self.require(self.heads >= 1 and self.width % self.heads == 0, "heads", divisor)
        self.require(self.blocks >= 1, "blocks", "at least 1")

    def __call__(self, inputs: int, outputs: int, *, rngs: nnx.Rngs) -> Encoder:
        return Encoder(inputs, outputs, sizes=self, rngs=rngs)

    def language_model(self, symbols: int, length: int, *, rngs: nnx.Rngs) -> Decoder:
        """Build a causal transformer, for texts of up to `length` tokens."""
        return Decoder(symbols, length, sizes=self, rngs=rngs)


def _places(width: int, length: int, *, rngs: nnx.Rngs) -> nnx.Param:
    draws = jax.random.normal(rngs.params(), (width, length), jnp.float32)
    return nnx.Param(draws * 0.5**0.5)


def _each(layer: Dense, x: Float[Array, "inputs token example"]) -> Float[Array, "..."]:
    """Apply a layer to each token of each example."""
    return layer(x.reshape(len(x), -1)).reshape(-1, *x.shape[1:])
