"""Several children of one parent: the same past, and another order of data."""

from jaxtyping import Array, Key

from basin_jax.core.contracts import Organism, Params
from basin_jax.core.sweep import Child, Parent


class Fork(Child):
    """Start where a seed of another sweep is after its last step, each child on its own.

    Seed s is child s mod `children` of the parent s // `children`. The children share the
    parent's parameters after `of.num_steps` steps; the randomness of training is each child's
    own. The fraction of a parent's children that end deceptive is its committor (Bolhuis et al.
    2002, "Transition path sampling"); the verdict is decided at the step at which the committor
    comes near 0 or 1. No child repeats the parent's data, or inherits the optimizer's state.

    Children of one parent are related, so that intervals are computed by parents, not by seeds.
    """

    children: int

    def validate(self) -> None:
        self.require(1 <= self.children < 2**31, "children", "1 to 2**31 - 1")

    def params(self, key: Key[Array, ""], organism: Organism, parent: Parent) -> Params:
        return parent.ended
