"""Several children of one parent: the same past, and another order of data."""

from jaxtyping import Array, Key

from basin_jax.core.contracts import Organism, Params
from basin_jax.core.sweep import Child, Parent


class Fork(Child):
    """Start where a seed of another sweep is after its last step, each child on its own.

    Seed s is child s mod `children` of the parent s // `children`. What they have in common is
    all that the parent is after `of.num_steps` steps; what they have of their own is the
    randomness of training from there on: the share of a parent's children that end deceptive
    is its committor (Bolhuis et al. 2002, "Transition path sampling"), and the step at which it
    comes near 0 or 1 is when the verdict is decided. The parent's data come from its own streams,
    so that no child repeats them. What an optimizer remembered is not handed down.

    Children of one parent are alike, so that intervals go by parents and not by seeds.
    """

    children: int

    def validate(self) -> None:
        self.require(1 <= self.children < 2**31, "children", "1 to 2**31 - 1")

    def params(self, key: Key[Array, ""], organism: Organism, parent: Parent) -> Params:
        return parent.ended
