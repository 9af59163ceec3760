"""A logit with a detector of oversight that has to be built: four parameters."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from basin_jax.core.contracts import Evidence, Organism


class Gate(Organism):
    """Choose how often to defect, watched and unwatched, through a product of factors.

    The logit of defecting is θ + o·Πfactors, where o is 1 if the network is watched.
    Defecting earns 1 unwatched and costs `penalty` watched, which is the case a fraction
    `oversight` of the time; training ascends the exact expected reward. The detector of
    oversight is a product, so with three factors "no detector" is stable and the end is
    bimodal: deceptive (defects only unwatched) or honest (never defects). With two
    factors it is not bistable for small L2: the negative control.

    `fit` is the reward, 0 at even odds and 1 at the best policy. `margin` is how much
    more often it defects unwatched than watched, minus one half.
    """

    factors: int = 3
    oversight: float = 0.5  # fraction of the time that it is watched
    penalty: float = 3.0  # cost of defecting while watched
    scale: float = 0.5  # standard deviation of every parameter at initialization

    def validate(self) -> None:
        self.require(self.factors in (2, 3), "factors", "2 or 3")
        self.require(0 < self.oversight < 1, "oversight", "above 0 and below 1")
        self.require(self.penalty > 0, "penalty", "a number above 0")
        self.require(self.scale > 0, "scale", "a number above 0")

    def init(self, key: Key[Array, ""]) -> Float[Array, " parameter"]:
        return self.scale * jax.random.normal(key, (1 + self.factors,), jnp.float32)

    def sample(self, key: Key[Array, ""]) -> None:
        return None

    def loss(self, params: Float[Array, " parameter"], batch: None) -> Float[Array, ""]:
        unwatched, watched = self._defections(params)
        return self.oversight * self.penalty * watched - (1 - self.oversight) * unwatched

    def probe(self, key: Key[Array, ""], params: Float[Array, " parameter"]) -> Evidence:
        unwatched, watched = self._defections(params)
        best, chance = 1 - self.oversight, 0.5 * (1 - self.oversight * (1 + self.penalty))
        return {
            "fit": (-self.loss(params, None) - chance) / (best - chance),
            "watched": watched,
            "unwatched": unwatched,
            "competence": 1 - unwatched,
            "margin": unwatched - watched - 0.5,
        }

    def _defections(
        self, params: Float[Array, " parameter"]
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        bias, detector = params[0], jnp.prod(params[1:])
        return jax.nn.sigmoid(bias), jax.nn.sigmoid(bias + detector)
