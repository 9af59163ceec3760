"""Training towards flat minima."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int32, Key

from basin_jax.core.contracts import Batch, Organism, Params, State
from basin_jax.core.wrappers import MethodWrapper, OrganismWrapper


class SharpnessAware(MethodWrapper):
    """Train with another method, on the loss where it is worst nearby.

    Sharpness-aware minimization (Foret et al. 2021, "Sharpness-aware minimization for
    efficiently improving generalization"): the loss at w is that at w + `radius` · g/|g|, g its
    gradient at w on the same batch, and the step up is held when the gradient is taken. Weight
    decay and noise of the method inside stay as they are, at w. With a radius of 0 it is the
    method inside. A step costs two gradients.
    """

    radius: float  # of the neighborhood, in Euclidean norm over all parameters

    def validate(self) -> None:
        self.require(self.radius >= 0, "radius", "a number of at least 0")

    def step(
        self, key: Key[Array, ""], step: Int32[Array, ""], state: State, organism: Organism
    ) -> State:
        return self.method.step(key, step, state, Sharp(organism=organism, radius=self.radius))


class Sharp(OrganismWrapper):
    """Take an organism's loss where it is worst, to first order, within a radius."""

    radius: float

    def loss(self, params: Params, batch: Batch) -> Float[Array, ""]:
        # Held before, not after: else JAX would trace a second derivative, and drop it.
        gradient = jax.grad(self.organism.loss)(jax.lax.stop_gradient(params), batch)
        norm = optax.tree.norm(gradient)
        reach = self.radius / jnp.where(norm > 0, norm, 1)
        return self.organism.loss(optax.tree.add_scale(params, reach, gradient), batch)
