"""Training towards flat minima."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from basin_jax.core.contracts import Batch, Method, Organism, Params, State, with_loss


class SharpnessAware(Method):
    """Train with another method, on the loss where it is worst nearby.

    Sharpness-aware minimization (Foret et al. 2021, "Sharpness-aware minimization for
    efficiently improving generalization"): the loss at w is that at w + `radius` · g/|g|, g its
    gradient at w on the same batch, and the step up is held when the gradient is taken. Weight
    decay and noise of the method inside stay as they are, at w. With a radius of 0 it is the
    method inside. A step costs two gradients.
    """

    method: Method
    radius: float  # of the neighborhood, in Euclidean norm over all parameters

    def validate(self) -> None:
        self.require(self.radius >= 0, "radius", "a number of at least 0")

    def init(self, key: Key[Array, ""], params: Params, organism: Organism) -> State:
        return self.method.init(key, params, organism)

    def step(self, key: Key[Array, ""], state: State, organism: Organism) -> State:
        def loss(params: Params, batch: Batch) -> Float[Array, ""]:
            # Held before, not after: else JAX would trace a second derivative, and drop it.
            gradient = jax.grad(organism.loss)(jax.lax.stop_gradient(params), batch)
            norm = optax.tree.norm(gradient)
            reach = self.radius / jnp.where(norm > 0, norm, 1)
            return organism.loss(optax.tree.add_scale(params, reach, gradient), batch)

        return self.method.step(key, state, with_loss(organism, loss))
