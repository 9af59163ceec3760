"""The end of another sweep's training, as the point from which drift is measured."""

from jaxtyping import Array, Key

from basin_jax.core.abilities import Anchorable, able
from basin_jax.core.contracts import Organism, Params
from basin_jax.core.sweep import Child, Parent


class Anchored(Child):
    """Start where a seed of another sweep ends, as `Trained` does, and put the anchor there.

    The anchor is that of an organism that measures how far its parameters have moved: `Drift`.
    """

    requires = (Anchorable,)

    def params(self, key: Key[Array, ""], organism: Organism, parent: Parent) -> Params:
        return able(organism, Anchorable).anchored(parent.ended)
