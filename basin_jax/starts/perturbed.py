"""A push away from the end of another sweep's training."""

from typing import Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Key

from basin_jax.core.contracts import Organism, Params, margin_slope
from basin_jax.core.sweep import Child, Parent


class Perturbed(Child):
    """Start at a distance of `radius` from where a parent ends, in the space of parameters.

    `direction` is that of a Gaussian draw ("random"), of the gradient of the training loss
    ("loss"), or of the gradient of the organism's `margin`, towards the deceptive side ("margin")
    or away from it ("-margin"). A gradient of zero has no direction, and nothing moves.
    """

    radius: float
    direction: Literal["random", "loss", "margin", "-margin"] = "random"

    def validate(self) -> None:
        self.require(self.radius >= 0, "radius", "a number of at least 0")

    def params(self, key: Key[Array, ""], organism: Organism, parent: Parent) -> Params:
        direction = self._direction(key, organism, parent.ended)
        length = optax.tree.norm(direction)
        scale = jnp.where(length > 0, self.radius / jnp.where(length > 0, length, 1), 0)
        return optax.tree.add_scale(parent.ended, scale, direction)

    def _direction(self, key: Key[Array, ""], organism: Organism, at: Params) -> Params:
        if self.direction == "random":
            return optax.tree.random_like(key, at, jax.random.normal, dtype=jnp.float32)
        if self.direction == "loss":
            return jax.grad(organism.loss)(at, organism.sample(key))

        slope = margin_slope(organism, key, at)
        return optax.tree.scale(-1, slope) if self.direction == "-margin" else slope
