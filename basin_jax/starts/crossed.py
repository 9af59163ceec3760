"""A ticket of one seed's start at the places that another seed would keep."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from basin_jax.core.contracts import Organism, Params
from basin_jax.core.sweep import Child, Parent
from basin_jax.starts._alignment import aligned_partner
from basin_jax.starts.ticket import largest


class Crossed(Child):
    """Start with a parent's own weights at the places that its partner would keep.

    Of each matrix of weights, the share `keep` that is largest where the partner ends is kept: the
    partner's `Ticket`, filled with the weights with which the parent begins. The rest is zero, and
    biases are the parent's. Where the two end differently, what such a ticket does tells whether
    its end follows the places or the weights. Train it with `Masked`, which holds the zeros.

    Hidden units have no order in common. With `aligned` those of the partner, of an organism whose
    `network` is an `MLP`, are first matched to the parent's by the weights at both ends, as in
    `Between`.

    Frankle and Carbin 2019, "The lottery ticket hypothesis"; Ainsworth, Hayase & Srinivasa 2023,
    "Git Re-Basin".
    """

    keep: float = 0.2
    aligned: bool = False

    paired = True

    def validate(self) -> None:
        self.require(0 < self.keep <= 1, "keep", "above 0, up to 1")

    def params(self, key: Key[Array, ""], organism: Organism, parent: Parent) -> Params:
        partner = aligned_partner(self, organism, parent) if self.aligned else parent.partner
        return jax.tree.map(
            lambda own, other: (
                own if own.ndim < 2 else jnp.where(largest(jnp.abs(other), self.keep), own, 0)
            ),
            parent.begun,
            partner,
        )
