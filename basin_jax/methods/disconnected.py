"""Training that raises a barrier on the line to where it began."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int32, Key

from basin_jax.core.contracts import Organism, Params, State, with_params
from basin_jax.core.wrappers import MethodWrapper


class DisconnectedState(NamedTuple):
    """Hold another method's state, and the parameters from which it began."""

    method: State
    origin: Params

    @property
    def params(self) -> Params:
        return self.method.params


class Disconnected(MethodWrapper):
    """Train with another method, and raise a barrier on the line to where it began.

    After each of its steps, up to step `end`, the parameters take a step of plain descent, at
    the learning rate `rate`, on |`height` - L(q)|, with L the loss of the organism `along` and q
    a point of the straight line from the origin, where training began, to the parameters. How far
    along the line q is, t, is drawn anew between `near` and `far`. So it leaves the region that is
    linearly connected with its origin (connectivity-based fine-tuning, Lubana et al.
    2023, "Mechanistic mode connectivity"), without that method's term of invariance, which needs
    pairs of inputs with and without a cue. At a negative rate it lowers the loss on the line.

    Near a minimum of both losses with the Hessian H, descent at the learning rate η has the drift
    -(η - rate·t²)·H·(p - origin): it leaves only where the rate is above η / t².

    Raises:
        ValueError: where the other method's state does not let its parameters be replaced.
    """

    along: Organism
    rate: float
    height: float
    near: float = 0.25
    far: float = 0.75
    end: int

    def validate(self) -> None:
        self.require(0 <= self.near <= 1, "near", "0 to 1")
        self.require(self.near <= self.far <= 1, "far", f"near = {self.near:g} to 1")
        self.require(0 < self.end < 2**31, "end", f"above 0, up to {2**31 - 1}")

    def init(self, key: Key[Array, ""], params: Params, organism: Organism) -> DisconnectedState:
        return DisconnectedState(super().init(key, params, organism), params)

    def step(
        self,
        key: Key[Array, ""],
        step: Int32[Array, ""],
        state: DisconnectedState,
        organism: Organism,
    ) -> DisconnectedState:
        step_key, draw_key, sample_key = jax.random.split(key, 3)
        after = self.method.step(step_key, step, state.method, organism)
        drawn = jax.random.uniform(draw_key, (), jnp.float32)
        share = self.near + drawn * (self.far - self.near)
        batch = self.along.sample(sample_key)

        def lack(params: Params) -> Float[Array, ""]:
            point = jax.tree.map(lambda a, b: a + share * (b - a), state.origin, params)
            return jnp.abs(self.height - self.along.loss(point, batch))

        moved = optax.tree.add_scale(after.params, -self.rate, jax.grad(lack)(after.params))
        # Not a rate of 0 then: a gradient on the line need not be finite.
        raised = (step < self.end) & (jnp.asarray(self.rate) != 0)
        params = jax.tree.map(lambda a, b: jnp.where(raised, a, b), moved, after.params)
        return DisconnectedState(with_params(after, params), state.origin)
