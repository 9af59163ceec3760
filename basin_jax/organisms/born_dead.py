"""Deep narrow ReLU networks that are dead before training begins."""

from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from basin_jax.core.contracts import Evidence, Organism


Weights: TypeAlias = list[Float[Array, "_ _"]]  # [inputs, outputs] of each layer


class BornDead(Organism):
    """Fit 1 at the input 1 by a bias-free ReLU network, unless it is born dead.

    If all units of a layer are silent, nothing passes and no gradient comes back: the
    network outputs 0 for ever. With symmetric weights a layer above a live one is silent
    with probability 2^-width, so P(dead at step 0) = 1 - (1 - 2^-width)^depth (Lu, Shin,
    Su & Karniadakis 2019, "Dying ReLU and initialization").

    `fit` and `competence` are 1 where a signal reaches the output, so that the network
    can learn, and 0 where it is dead; so the dead are UNFIT. There is no unintended act:
    `watched` and `unwatched` are 0, and `margin` is minus one half.

    Adds the evidence `output`.
    """

    depth: int = 4  # hidden layers
    width: int = 4  # units of each

    def validate(self) -> None:
        self.require(self.depth >= 1, "depth", "at least 1")
        self.require(self.width >= 1, "width", "at least 1")

    def init(self, key: Key[Array, ""]) -> Weights:
        sizes = (1, *(self.width,) * self.depth, 1)
        keys = jax.random.split(key, self.depth + 1)
        return [
            jax.random.normal(k, (a, b), jnp.float32) * (2 / a) ** 0.5
            for k, a, b in zip(keys, sizes[:-1], sizes[1:], strict=True)
        ]

    def sample(self, key: Key[Array, ""]) -> None:
        return None

    def loss(self, params: Weights, batch: None) -> Float[Array, ""]:
        return 0.5 * (1 - (self._signal(params) @ params[-1])[0]) ** 2

    def probe(self, key: Key[Array, ""], params: Weights) -> Evidence:
        signal = self._signal(params)
        alive = jnp.where((signal > 0).any(), 1.0, 0.0)
        return {
            "fit": alive,
            "watched": jnp.zeros_like(alive),
            "unwatched": jnp.zeros_like(alive),
            "competence": alive,
            "margin": jnp.full_like(alive, -0.5),
            "output": (signal @ params[-1])[0],
        }

    def _signal(self, params: Weights) -> Float[Array, " unit"]:
        """Compute the activations of the last hidden layer."""
        signal = jnp.ones(1, params[0].dtype)
        for weights in params[:-1]:
            signal = jax.nn.relu(signal @ weights)
        return signal
