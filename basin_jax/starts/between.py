"""A point on the line between the ends of two seeds of another sweep."""

import jax
from jaxtyping import Array, Key

from basin_jax.core.contracts import Organism, Params
from basin_jax.core.sweep import Child, Parent
from basin_jax.starts._alignment import aligned_partner


class Between(Child):
    """Start on the line from where a parent ends to where its partner ends.

    At `weight` 0 it is the parent's end, at 1 that of the partner, the seed with the highest bit
    flipped: seeds of one half of all have partners of their own, so that pairs are independent.
    Probed at 0 and at 1, a sweep of no steps tells both verdicts of each pair; probed in between,
    the barrier of the loss (`statistics.barrier`).

    Networks that differ in the order of their hidden units alone do the same, and lie far apart.
    With `aligned` the hidden units of the partner, of an organism whose `network` is an `MLP`, are
    first matched to the parent's by their weights (Ainsworth, Hayase & Srinivasa 2023, "Git
    Re-Basin"). ReLU units keep their scales, which may differ in networks that do the same, too.

    Frankle et al. 2020, "Linear mode connectivity and the lottery ticket hypothesis"; Entezari et
    al. 2022, "The role of permutation invariance in linear mode connectivity of neural networks".
    """

    weight: float
    aligned: bool = False

    paired = True

    def params(self, key: Key[Array, ""], organism: Organism, parent: Parent) -> Params:
        partner = aligned_partner(self, organism, parent) if self.aligned else parent.partner
        return jax.tree.map(
            lambda a, b: (1 - self.weight) * a + self.weight * b, parent.ended, partner
        )
