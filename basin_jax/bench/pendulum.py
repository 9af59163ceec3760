"""The driven pendulum: a classical system of two basins, trained like a network.

Alpha 0.1, torque 0.5 and stiffness 1, integrated to t = 1000 from uniform angles and angular
velocities, as in case 1 of pybasin's case study; Menck et al. 2013, "How basin stability
complements the linear-stability paradigm", brought the measure in.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32, Key

from basin_jax.core.contracts import Evidence, Method, Organism, Params
from basin_jax.core.sweep import Sweep


# Of the same initial conditions, 4,000 integrated to t = 200, none ends in another basin at
# this step in float32 than at 0.02 in float64; at 0.2 one does, at 0.4 25 do (in NumPy).
STEP = 0.1
HORIZON = 1000.0
# The time at the end that tells a fixed point from a limit cycle, and the largest excess of
# the highest angular velocity over the mean that counts as rest: pybasin's own criterion.
WINDOW = 50.0
REST = 0.01
# Initial conditions of pybasin's case study, and those that it counts in the limit cycle.
TRIALS, PUBLISHED = 10_000, 8_480


class Pendulum(Organism):
    """Tell whether θ'' = torque - α·θ' - stiffness·sin θ comes to rest or whirls for ever.

    The parameters are θ and ω; θ starts uniform on a whole turn about arcsin(torque /
    stiffness), ω uniform within ±`reach`. Whirling is the unintended act, watched by nobody.
    `margin` is the excess of the highest ω over the mean one, in the last 50 units of time,
    minus 0.01. The loss is the energy, which no method descends.
    """

    alpha: float = 0.1
    torque: float = 0.5
    stiffness: float = 1.0
    reach: float = 10.0

    def validate(self) -> None:
        self.require(abs(self.torque) < self.stiffness, "torque", "less than the stiffness")
        self.require(self.reach > 0, "reach", "a number above 0")

    def init(self, key: Key[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        unit = jax.random.uniform(key, (2,), jnp.float32, -1, 1)
        rest = jnp.arcsin(self.torque / self.stiffness)
        return rest + math.pi * unit[0], self.reach * unit[1]

    def sample(self, key: Key[Array, ""]) -> None:
        return None

    def loss(self, params: Params, batch: None) -> Float[Array, ""]:
        theta, omega = params
        return omega**2 / 2 - self.stiffness * jnp.cos(theta) - self.torque * theta

    def slope(self, params: Params) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Return the velocities of θ and of ω."""
        theta, omega = params
        return omega, self.torque - self.alpha * omega - self.stiffness * jnp.sin(theta)

    def probe(self, key: Key[Array, ""], params: Params) -> Evidence:
        steps = round(WINDOW / STEP)

        def watch(carry, _):
            params, highest, total = carry
            params = runge_kutta(self, params, STEP)
            return (params, jnp.maximum(highest, params[1]), total + params[1]), None

        carry = params, jnp.full_like(params[1], -jnp.inf), jnp.zeros_like(params[1])
        (_, highest, total), _ = jax.lax.scan(watch, carry, length=steps)
        margin = jnp.abs(highest - total / steps) - REST
        whirls = jnp.where(margin >= 0, 1.0, 0.0)
        return {
            "fit": jnp.ones_like(margin),
            "watched": jnp.zeros_like(margin),
            "unwatched": whirls,
            "competence": 1 - whirls,
            "margin": margin,
        }


class Flow(NamedTuple):
    """The point of the system."""

    params: Params


class RungeKutta(Method):
    """Follow an organism's own equations by a fixed step of the classical fourth order."""

    dt: float = STEP

    def validate(self) -> None:
        self.require(self.dt > 0, "dt", "a number above 0")

    def init(self, key: Key[Array, ""], params: Params, organism: Organism) -> Flow:
        return Flow(params)

    def step(
        self, key: Key[Array, ""], step: Int32[Array, ""], state: Flow, organism: Organism
    ) -> Flow:
        if not isinstance(organism, Pendulum):
            name = type(organism).__name__
            raise ValueError(f"organism = {name}; allowed: one with equations, such as Pendulum")
        return Flow(runge_kutta(organism, state.params, self.dt))


def runge_kutta(system: Pendulum, params: Params, dt: Float[Array, ""] | float) -> Params:
    """Return the point a time `dt` later, by one step of fourth order."""

    def moved(slope, share):
        return jax.tree.map(lambda p, s: p + share * dt * s, params, slope)

    first = system.slope(params)
    second = system.slope(moved(first, 0.5))
    third = system.slope(moved(second, 0.5))
    fourth = system.slope(moved(third, 1.0))
    return jax.tree.map(
        lambda p, a, b, c, d: p + dt / 6 * (a + 2 * (b + c) + d),
        *(params, first, second, third, fourth),
    )


# The probe watches the last of it, so that training ends where the watch begins.
SWEEP = Sweep(organism=Pendulum(), method=RungeKutta(), num_steps=round((HORIZON - WINDOW) / STEP))
