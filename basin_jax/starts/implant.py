"""A circuit that deceives, grafted into a random initialization."""

import jax
from jaxtyping import Array, Key

from basin_jax.core.abilities import Implantable, able
from basin_jax.core.contracts import Organism, Params, Start


class Implant(Start):
    """Start with a deceptive circuit grafted into some of the hidden units.

    The circuit is the organism's own: it tells whether it is watched, and acts on it. At `dose`
    0 the start is what `Fresh` gives, at 1 the circuit's weights have replaced those of the
    units that it takes, and in between, or beyond, they lie on the line through both.

    A dose is a place on that line, and no amount of deceptiveness. A part of a circuit need not do
    a part of what the whole does, and the weights it replaces did something: in the audit game a
    small dose lowers defection, watched and not. What a dose does before any training is what the
    probe says of it, with `num_steps=0`.
    """

    dose: float

    requires = (Implantable,)

    def params(self, key: Key[Array, ""], organism: Organism) -> Params:
        fresh = organism.init(key)
        grafted = able(organism, Implantable).graft(fresh)
        return jax.tree.map(lambda a, b: a + self.dose * (b - a), fresh, grafted)
