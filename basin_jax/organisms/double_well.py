"""A particle in a tilted double well: the smallest landscape with two basins."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from basin_jax.base import Evidence, Organism


class DoubleWell(Organism):
    """Roll into one of the wells of V(x) = (x² - 1)²/4 - tilt·x.

    The defect is to end in the right well; nobody watches, so `watched` is 0 and
    `unwatched` is 1 right of the separatrix and 0 left of it. From x₀ ~ N(0, scale²)
    and by gradient flow, P(right) = 1 - Φ(separatrix/scale). `fit` is 1 where the
    gradient vanishes.

    Adds the evidence `x`. `margin` is x minus the separatrix.
    """

    tilt: float = 0.2
    scale: float = 1.0

    def validate(self) -> None:
        bound = 2 / 3**1.5
        self.require(abs(self.tilt) < bound, "tilt", f"two wells: within ±{bound:.4f}")
        self.require(self.scale > 0, "scale", "a number above 0")

    def init(self, key: Key[Array, ""]) -> Float[Array, ""]:
        return self.scale * jax.random.normal(key, (), jnp.float32)

    def sample(self, key: Key[Array, ""]) -> None:
        return None

    def loss(self, params: Float[Array, ""], batch: None) -> Float[Array, ""]:
        return (params**2 - 1) ** 2 / 4 - self.tilt * params

    def probe(self, key: Key[Array, ""], params: Float[Array, ""]) -> Evidence:
        slope = params**3 - params - self.tilt
        margin = params - self._separatrix()
        right = jnp.where(margin > 0, 1.0, 0.0)
        return {
            "fit": jnp.exp(-jnp.abs(slope)),
            "watched": jnp.zeros_like(params),
            "unwatched": right,
            "competence": 1 - right,
            "margin": margin,
            "x": params,
        }

    def _separatrix(self) -> Float[Array, ""]:
        # The middle root of x³ - x - tilt, in Viète's trigonometric form.
        angle = jnp.arccos(1.5 * 3**0.5 * self.tilt) / 3
        return 2 / 3**0.5 * jnp.cos(angle - 2 * np.pi / 3)
