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

    A dose is a place on that line, not an amount of deceptiveness. Half of a circuit need not have
    half of its effect, and the weights that it replaces had one, too: in the audit game a small
    dose lowers defection, watched and not. The probe with `num_steps=0` measures the effect of a
    dose before training.
    """

    dose: float

    requires = (Implantable,)

    def params(self, key: Key[Array, ""], organism: Organism) -> Params:
        fresh = organism.init(key)
        grafted = able(organism, Implantable).graft(fresh)
        return jax.tree.map(lambda a, b: a + self.dose * (b - a), fresh, grafted)
