"""The organism's own random initialization."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from basin_jax.core.contracts import Organism, Params, Start


class Fresh(Start):
    """Start at the organism's random initialization, `scale` times as large."""

    scale: float = 1.0

    def validate(self) -> None:
        self.require(self.scale > 0, "scale", "a number above 0")

    def params(self, key: Key[Array, ""], organism: Organism) -> Params:
        def scaled(leaf: Array) -> Array:
            return leaf * self.scale if jnp.issubdtype(leaf.dtype, jnp.inexact) else leaf

        return jax.tree.map(scaled, organism.init(key))
