"""Training under a small push at every step."""

from typing import Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int32, Key

from basin_jax.core.contracts import Organism, State, margin_slope, with_params
from basin_jax.core.wrappers import MethodWrapper


class Pushed(MethodWrapper):
    """Train with another method, and push the parameters after each step, for a spell of steps.

    A push has the length `push`, in the space of all parameters, along the gradient of the
    organism's `margin`, towards the deceptive side or away from it ("-margin"): it is greedy at
    each step. So the least push that leads from one basin to another is an upper bound of the one
    that an optimal adversary needs (the ε of a reachable set; Meyer et al.
    2018, "Quantifying resilience to recurrent ecosystem disturbances using flow-kick dynamics").
    It pushes from step `begin` up to step `end`.

    Raises:
        ValueError: where the other method's state does not let its parameters be replaced.
    """

    push: float
    direction: Literal["margin", "-margin"] = "margin"
    begin: int = 0
    end: int

    def validate(self) -> None:
        self.require(self.push >= 0, "push", "a number of at least 0")
        self.require(self.begin >= 0, "begin", "at least 0")
        above = f"above begin = {self.begin}, up to {2**31 - 1}"
        self.require(self.begin < self.end < 2**31, "end", above)

    def step(
        self, key: Key[Array, ""], step: Int32[Array, ""], state: State, organism: Organism
    ) -> State:
        step_key, probe_key = jax.random.split(key)
        after = self.method.step(step_key, step, state, organism)
        slope = margin_slope(organism, probe_key, after.params)
        length = optax.tree.norm(slope)
        signed = self.push if self.direction == "margin" else -self.push
        # Where the margin has no slope there is no way to push.
        pushes = (self.begin <= step) & (step < self.end) & (length > 0)
        scale = jnp.where(pushes, signed / jnp.where(length > 0, length, 1), 0)
        return with_params(after, optax.tree.add_scale(after.params, scale, slope))
