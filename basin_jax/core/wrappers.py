"""Wrappers of an organism or a method, which change some of its functions."""

from jaxtyping import Array, Bool, Key, PyTree

from basin_jax.core.abilities import (
    Anchorable,
    Challengeable,
    Defection,
    Implantable,
    Settling,
    able,
)
from basin_jax.core.contracts import Batch, Evidence, Method, Organism, Params, State


class OrganismWrapper(Organism):
    """Wrap another organism: all that a subclass does not change is the inner one's.

    A subclass defines `loss`, so that none trains on the inner one's unnoticed. One that changes
    what parameters or batches are changes every function that takes them, and says in `provides`
    which abilities it adds or does without. A method makes one in its step, to train another
    method on another loss.

    Example:
        >>> class Doubled(OrganismWrapper):
        ...     def loss(self, params, batch):
        ...         return 2 * self.organism.loss(params, batch)
        >>> from basin_jax.organisms import Gate
        >>> Doubled(organism=Gate()).provides(Implantable)
        False
    """

    organism: Organism

    def init(self, key: Key[Array, ""]) -> Params:
        return self.organism.init(key)

    def sample(self, key: Key[Array, ""]) -> Batch:
        return self.organism.sample(key)

    def probe(self, key: Key[Array, ""], params: Params) -> Evidence:
        return self.organism.probe(key, params)

    def provides(self, ability: type) -> bool:
        return super().provides(ability) and self.organism.provides(ability)

    def graft(self, params: Params) -> Params:
        return able(self.organism, Implantable).graft(params)

    def anchored(self, params: Params) -> Params:
        return able(self.organism, Anchorable).anchored(params)

    def settled(self, params: Params) -> Bool[Array, ""]:
        return able(self.organism, Settling).settled(params)

    def challenge(self, batch: Batch) -> tuple[PyTree[Array], Defection]:
        return able(self.organism, Challengeable).challenge(batch)


class MethodWrapper(Method):
    """Wrap another method, with its `init`; a subclass defines `step`.

    The other method's required abilities are required, too. A subclass whose state is the other's
    stops where that does, and may not change a state that has stopped.
    """

    method: Method

    @property
    def check_every(self) -> int:
        return self.method.check_every

    def init(self, key: Key[Array, ""], params: Params, organism: Organism) -> State:
        return self.method.init(key, params, organism)
