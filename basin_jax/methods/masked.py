"""Training of a sparse subnetwork: zeros stay zero."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int32, Key, PyTree

from basin_jax.core.contracts import Organism, Params, State, with_params
from basin_jax.core.wrappers import MethodWrapper


class MaskedState(NamedTuple):
    """Hold another method's state, and the weights that it may move."""

    method: State
    free: PyTree[Bool[Array, "..."]]

    @property
    def params(self) -> Params:
        return self.method.params


class Masked(MethodWrapper):
    """Train with another method, and hold at zero each weight that is zero at the start.

    Weights are arrays of two axes or more: biases, which mostly start at zero, are free. It is made
    for the subnetworks of `Ticket`.

    Raises:
        ValueError: where the other method's state does not let its parameters be replaced.
    """

    def init(self, key: Key[Array, ""], params: Params, organism: Organism) -> MaskedState:
        free = jax.tree.map(lambda leaf: (leaf != 0) | (leaf.ndim < 2), params)
        return MaskedState(super().init(key, params, organism), free)

    def step(
        self, key: Key[Array, ""], step: Int32[Array, ""], state: MaskedState, organism: Organism
    ) -> MaskedState:
        after = self.method.step(key, step, state.method, organism)
        held = jax.tree.map(lambda new, free: jnp.where(free, new, 0), after.params, state.free)
        return MaskedState(with_params(after, held), state.free)
