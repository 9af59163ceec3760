"""Gradient flow: gradient descent with steps as short as needed."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int32, Key

from basin_jax.core.contracts import Method, Organism, Params


# The shortest substep there is, as a part of a step.
SHORTEST = 2.0**-14
# How the slopes weigh in the formula of third order, and what that of second order has less.
THIRD_ORDER = (2 / 9, 1 / 3, 4 / 9)
DIFFERENCE = (-5 / 72, 1 / 12, 1 / 9, -1 / 8)


class GradientFlowState(NamedTuple):
    """Hold the parameters, and the share of a step that the next substep takes."""

    params: Params
    substep: Float[Array, ""]


class _Substep(NamedTuple):
    params: Params
    slope: Params  # at the parameters
    left: Float[Array, ""]  # of the step
    length: Float[Array, ""]  # of the next substep, in steps


class GradientFlow(Method):
    """Follow the gradient flow dw/dt = -∇loss(w), over the time `duration` a step.

    It is the limit of descent as the learning rate tends to 0: after n steps the time is n times
    `duration`, as after n steps of descent it is n times the learning rate. A step is made of
    substeps (Bogacki & Shampine 1989, "A 3(2) pair of Runge-Kutta formulas"), whose length is
    chosen so that no parameter's error, as the two formulas tell it, is above `tolerance` in a
    substep. A seed whose substeps would have to be shorter than 2⁻¹⁴ of a step, as one that goes
    off to infinity, counts as DIVERGED. The flow is that of a batch; where batches are random, it
    is another one each step.
    """

    duration: float
    tolerance: float = 1e-4

    def validate(self) -> None:
        self.require(self.duration > 0, "duration", "a number above 0")
        self.require(self.tolerance > 0, "tolerance", "a number above 0")

    def init(self, key: Key[Array, ""], params: Params, organism: Organism) -> GradientFlowState:
        return GradientFlowState(params, jnp.ones((), float))

    def step(
        self,
        key: Key[Array, ""],
        step: Int32[Array, ""],
        state: GradientFlowState,
        organism: Organism,
    ) -> GradientFlowState:
        batch = organism.sample(key)

        def slope(params: Params) -> Params:
            return jax.tree.map(jnp.negative, jax.grad(organism.loss)(params, batch))

        def turn(now: _Substep) -> _Substep:
            used = jnp.minimum(now.length, now.left)
            time, k1 = used * self.duration, now.slope
            k2 = slope(optax.tree.add_scale(now.params, 1 / 2 * time, k1))
            k3 = slope(optax.tree.add_scale(now.params, 3 / 4 * time, k2))
            params = optax.tree.add_scale(now.params, time, _mean((k1, k2, k3), THIRD_ORDER))
            k4 = slope(params)
            error = time * optax.tree.norm(_mean((k1, k2, k3, k4), DIFFERENCE), ord="inf")
            good = error <= self.tolerance
            lost = ~good & (used < SHORTEST)
            fit = jnp.clip(0.9 * jnp.cbrt(self.tolerance / error), 0.2, 5.0)
            length = used * jnp.where(jnp.isnan(error), 0.2, fit)
            # The rest of a step, which was cut short, says little of what is possible.
            length = jnp.where(good & (used < now.length), now.length, length)
            left = jnp.where(good, now.left - used, jnp.where(lost, 0.0, now.left))
            before, after = (now.params, k1), (params, k4)
            reached, downhill = jax.tree.map(
                lambda old, new: jnp.where(good, new, jnp.where(lost, jnp.nan, old)), before, after
            )
            return _Substep(reached, downhill, left, length)

        start = _Substep(state.params, slope(state.params), jnp.ones((), float), state.substep)
        end = jax.lax.while_loop(lambda now: now.left > 0, turn, start)
        return GradientFlowState(end.params, end.length)


def _mean(slopes: tuple[Params, ...], weights: tuple[float, ...]) -> Params:
    """Compute a weighted sum of slopes."""
    return jax.tree.map(
        lambda *leaves: sum(w * leaf for w, leaf in zip(weights, leaves, strict=True)), *slopes
    )
