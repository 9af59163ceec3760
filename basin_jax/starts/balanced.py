"""A circuit that deceives, added to a random initialization whose other behavior is kept."""

import jax
from jaxtyping import Array, Key

from basin_jax.core.abilities import Balanceable, able
from basin_jax.core.contracts import Organism, Params, Start


class Balanced(Start):
    """Start with a circuit that raises the gap, and leaves the mean rate of the act as it was.

    At `dose` 0 the start is what `Fresh` gives, but for rounding. At 1 the organism's circuit has
    taken some hidden units, and what the last layer reads of the others is kept. In between, or
    beyond, weights lie on the line through both. Then one bias is shifted until the mean rate of
    the unintended act, over watched and unwatched inputs, is the fresh network's: a dose is no
    bias for or against the act, as one of `Implant` is, and its gap is at most 2 min(r, 1 - r)
    at a rate r.

    With a `shift` above 0 the circuit is a sham: the same weights on other inputs, so many of the
    cues replaced, by which it does not tell whether it is watched.
    """

    dose: float
    shift: int = 0

    requires = (Balanceable,)

    def validate(self) -> None:
        self.require(self.shift >= 0, "shift", "at least 0")

    def params(self, key: Key[Array, ""], organism: Organism) -> Params:
        own, fresh = able(organism, Balanceable), organism.init(key)
        whole = own.add_circuit(fresh, shift=self.shift)
        dosed = jax.tree.map(lambda a, b: a + self.dose * (b - a), fresh, whole)
        return own.balance(dosed, fresh)
