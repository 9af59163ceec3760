"""The mean of the parameters along the way."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int32, Key

from basin_jax.core.contracts import Organism, Params, State
from basin_jax.core.wrappers import MethodWrapper


class AveragedState(NamedTuple):
    """Hold another method's state, and the mean of its parameters."""

    method: State
    mean: Params

    @property
    def params(self) -> Params:
        """The mean: no field, so that wrappers do not train it."""
        return self.mean


class Averaged(MethodWrapper):
    """Train with another method, and look at the mean of its parameters.

    With a `decay` of 1 all parameters since step `begin` weigh the same (Polyak & Juditsky 1992,
    "Acceleration of stochastic approximation by averaging"; Izmailov et al. 2018, "Averaging
    weights leads to wider optima and better generalization"). Below 1 it is an exponential
    moving average: the mean moves to the newest by the fraction 1 - decay, and by more in the
    beginning, when it is the mean of all so far. Up to step `begin` the mean is the parameters
    themselves. Training never sees the mean.

    The mean is along one trajectory, and not over the networks of several seeds, whose weights
    cannot be averaged, since units can be exchanged.
    """

    decay: float = 1.0
    begin: int = 0

    def validate(self) -> None:
        self.require(0 <= self.decay <= 1, "decay", "0 to 1")
        self.require(0 <= self.begin < 2**31, "begin", "0 to 2**31 - 1")

    def init(self, key: Key[Array, ""], params: Params, organism: Organism) -> AveragedState:
        return AveragedState(super().init(key, params, organism), params)

    def step(
        self, key: Key[Array, ""], step: Int32[Array, ""], state: AveragedState, organism: Organism
    ) -> AveragedState:
        method = self.method.step(key, step, state.method, organism)
        count = jnp.maximum(step + 1 - self.begin, 0).astype(float) + 1
        share = jnp.maximum(1 / count, 1 - self.decay)
        mean = jax.tree.map(lambda old, new: old + share * (new - old), state.mean, method.params)
        return AveragedState(method, mean)
