"""A push away from the end of another sweep's training."""

from typing import Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from basin_jax.core.contracts import Organism, Params, margin_slope
from basin_jax.core.sweep import Child, Parent


class Perturbed(Child):
    """Start at a distance of `radius` from where a parent ends, in the space of parameters.

    `direction` is that of a Gaussian draw ("random"), of the gradient of the training loss
    ("loss"), or of the gradient of the organism's `margin`, towards the deceptive side ("margin")
    or away from it ("-margin"). A gradient of zero has no direction, and nothing moves.

    Distances are plain lengths, or with `relative` shares: each array of parameters moves by a
    share of its own length, and the radius is the root mean square of these shares. A gradient is
    the steepest direction in this norm, and a random draw moves all arrays by the same share (as
    in Li et al. 2018, "Visualizing the loss landscape of neural nets"). Layers of ReLU units that
    are scaled up, with the next ones down, do the same as before, and so they do after a relative
    push. An array of zeros does not move.
    """

    radius: float
    direction: Literal["random", "loss", "margin", "-margin"] = "random"
    relative: bool = False

    def validate(self) -> None:
        self.require(self.radius >= 0, "radius", "a number of at least 0")

    def params(self, key: Key[Array, ""], organism: Organism, parent: Parent) -> Params:
        direction = self._direction(key, organism, parent.ended)
        if self.relative:
            direction = self._along(direction, parent.ended)
            length = _relative_length(direction, parent.ended)
        else:
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

    def _along(self, direction: Params, at: Params) -> Params:
        """Scale each array of a direction to what it is in the relative norm."""

        def scaled(way: Array, own: Array) -> Array:
            size, length = _length(own), _length(way)
            if self.direction == "random":
                return way * size / length
            # The gradient in coordinates in which the array has length one.
            return way * size**2

        return jax.tree.map(scaled, direction, at)


def _length(leaf: Array) -> Float[Array, ""]:
    return jnp.sqrt((leaf**2).sum())


def _relative_length(push: Params, at: Params) -> Float[Array, ""]:
    """Compute the root mean square of the shares of their lengths by which arrays move."""
    sizes = jnp.stack([_length(leaf) for leaf in jax.tree.leaves(at)])
    moves = jnp.stack([_length(leaf) for leaf in jax.tree.leaves(push)])
    shares = jnp.where(sizes > 0, moves / jnp.where(sizes > 0, sizes, 1), 0)
    return jnp.sqrt((shares**2).sum() / jnp.maximum((sizes > 0).sum(), 1))
