"""As far as another sweep's training moves, in a random direction."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Key

from basin_jax.core.contracts import Organism, Params
from basin_jax.core.sweep import Child, Parent


class Displaced(Child):
    """Start as far from where a parent begins as it ends, in a random direction.

    Each array of parameters moves as far as it does in the parent's training: the control of a
    training whose effect may be that of the distance alone.
    """

    def params(self, key: Key[Array, ""], organism: Organism, parent: Parent) -> Params:
        draws = optax.tree.random_like(key, parent.begun, jax.random.normal, dtype=jnp.float32)

        def displaced(begun: Array, ended: Array, draw: Array) -> Array:
            return begun + _length(ended - begun) / _length(draw) * draw

        return jax.tree.map(displaced, parent.begun, parent.ended, draws)


def _length(leaf: Array) -> Array:
    return jnp.sqrt((leaf**2).sum())
