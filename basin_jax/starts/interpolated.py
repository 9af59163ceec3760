"""A point on the line from where another sweep's training begins to where it ends."""

import jax
from jaxtyping import Array, Key

from basin_jax.core.contracts import Organism, Params
from basin_jax.core.sweep import Child, Parent


class Interpolated(Child):
    """Start on the line from a parent's beginning to its end.

    At `dose` 0 it is the parent's beginning, at 1 its end, and beyond 1 more than that: how much
    of the deceiver that a seed becomes must be there for it to become one in another way.
    """

    dose: float

    def params(self, key: Key[Array, ""], organism: Organism, parent: Parent) -> Params:
        return jax.tree.map(lambda a, b: a + self.dose * (b - a), *parent)
