"""A point on the line from where another sweep's training begins to where it ends."""

import jax
from jaxtyping import Array, Key

from basin_jax.core.contracts import Organism, Params
from basin_jax.core.sweep import Child, Parent


class Interpolated(Child):
    """Start on the line from a parent's beginning to its end.

    At `dose` 0 it is the parent's beginning, at 1 its end; a dose above 1 extrapolates. It measures
    how much of a seed's own deceptive end must be present for another training to end there, too.
    """

    dose: float

    def params(self, key: Key[Array, ""], organism: Organism, parent: Parent) -> Params:
        return jax.tree.map(lambda a, b: a + self.dose * (b - a), parent.begun, parent.ended)
