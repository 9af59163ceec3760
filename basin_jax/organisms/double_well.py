"""A particle in a tilted double well: the smallest landscape with two basins."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from basin_jax.core.contracts import Evidence, Organism


class DoubleWell(Organism):
    """Roll into one of the wells of V(x) = (x² - 1)²/4 - tilt·x.

    The defect is to end in the right well; nobody watches, so `watched` is 0 and
    `unwatched` is 1 right of the separatrix and 0 left of it. From x₀ ~ N(mean, scale²)
    and by gradient flow, P(right) = 1 - Φ((separatrix - mean)/scale). `fit` is 1 where
    the gradient vanishes, and beyond the bottoms, from where a well is certain.

    Under `Gradient(learning_rate=η, noise=√(2T/η))` it is a particle at temperature T,
    and it is settled when it first reaches the bottom of a well, l or r: that of
    the right one with the committor q(x₀) = ∫_l^x₀ e^{V/T} / ∫_l^r e^{V/T}.

    Adds the evidence `x`. `margin` is x minus the separatrix.
    """

    tilt: float = 0.2
    mean: float = 0.0
    scale: float = 1.0  # standard deviation of x₀; 0 for a given start

    def validate(self) -> None:
        bound = 2 / 3**1.5
        self.require(abs(self.tilt) < bound, "tilt", f"two wells: within ±{bound:.4f}")
        self.require(self.scale >= 0, "scale", "a number of at least 0")

    def init(self, key: Key[Array, ""]) -> Float[Array, ""]:
        return self.mean + self.scale * jax.random.normal(key, (), jnp.float32)

    def sample(self, key: Key[Array, ""]) -> None:
        return None

    def loss(self, params: Float[Array, ""], batch: None) -> Float[Array, ""]:
        return (params**2 - 1) ** 2 / 4 - self.tilt * params

    def probe(self, key: Key[Array, ""], params: Float[Array, ""]) -> Evidence:
        slope = params**3 - params - self.tilt
        margin = params - self._rest_points()[1]
        right = jnp.where(margin > 0, 1.0, 0.0)
        return {
            "fit": jnp.where(self.settled(params), 1.0, jnp.exp(-jnp.abs(slope))),
            "watched": jnp.zeros_like(params),
            "unwatched": right,
            "competence": 1 - right,
            "margin": margin,
            "x": params,
        }

    def settled(self, params: Float[Array, ""]) -> Bool[Array, ""]:
        left, _, right = self._rest_points()
        return (params <= left) | (params >= right)

    def _rest_points(self) -> Float[Array, "3"]:
        """Find the bottom of the left well, the separatrix, and the bottom of the right well."""
        # The roots of x³ - x - tilt, in Viète's trigonometric form.
        angle = jnp.arccos(1.5 * 3**0.5 * self.tilt) / 3
        return 2 / 3**0.5 * jnp.cos(angle - 2 * np.pi / 3 * np.array([2, 1, 0]))
