"""The organism's own random initialization."""

from jaxtyping import Array, Key

from basin_jax.base import Organism, Params, Start


class Fresh(Start):
    """Start at the organism's random initialization."""

    def params(self, key: Key[Array, ""], organism: Organism) -> Params:
        return organism.init(key)
