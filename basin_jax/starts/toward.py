"""A point on the line from a seed's beginning to the end of another seed of another sweep."""

import jax
from jaxtyping import Array, Key

from basin_jax.core.contracts import Organism, Params
from basin_jax.core.sweep import Child, Parent


class Toward(Child):
    """Start on the line from where a parent begins to where its partner ends.

    At `dose` 0 it is the parent's beginning, at 1 the end of the partner, the seed with the
    highest bit flipped; a dose above 1 extrapolates. What another seed has grown is a dose for a
    fresh network that owes nothing to it, as `Interpolated` gives one of its own.
    """

    dose: float

    paired = True

    def params(self, key: Key[Array, ""], organism: Organism, parent: Parent) -> Params:
        return jax.tree.map(lambda a, b: a + self.dose * (b - a), parent.begun, parent.partner)
