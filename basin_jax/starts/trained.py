"""The end of another sweep's training."""

from jaxtyping import Array, Key

from basin_jax.core.contracts import Organism, Params
from basin_jax.core.sweep import Child, Parent


class Trained(Child):
    """Start where a seed of another sweep ends, to train it further in another way.

    The caller chooses the seeds: `records.seeds(Verdict.DECEPTIVE)` are those of a stored parent
    that ended deceptive, and an estimate over them is conditional on that. The optimizer's state
    is not inherited.
    """

    def params(self, key: Key[Array, ""], organism: Organism, parent: Parent) -> Params:
        return parent.ended
