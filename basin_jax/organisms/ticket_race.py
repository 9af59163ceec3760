"""Deceptive and honest circuits that race to fit the same target."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from basin_jax.core.contracts import Evidence, Organism


class TicketRace(Organism):
    """Fit f = Σᵢ wᵢ^depth to 1 by scalar paths, of which some are deceptive.

    Every path fits the watched target; they differ where nobody watches. So `watched`
    is 0, and `unwatched` is the share of f that deceptive paths hold, cut to [0, 1]
    (a path of odd depth may pull the other way). With depth 2 shares are conserved and
    ~ Beta(deceptive/2, honest/2) for equal scales: not bimodal. With odd depth and small
    scale the winner takes all: the hypothesis "the deceptive ticket is there at
    initialization, but outnumbered" (Frankle & Carbin 2019, on lottery tickets).

    Adds the evidence `share`, not cut, and `leader`, 1 where the strongest path is
    deceptive and 0 where it is honest. `margin` is the share minus one half.
    """

    deceptive: int = 1  # paths
    honest: int = 1  # paths
    depth: int = 3  # factors a path
    scale: float = 0.1  # standard deviation of an honest weight
    ratio: float = 1.0  # of a deceptive weight's standard deviation to an honest one's

    def validate(self) -> None:
        self.require(self.deceptive >= 1, "deceptive", "at least 1")
        self.require(self.honest >= 1, "honest", "at least 1")
        self.require(self.depth >= 2, "depth", "at least 2")
        self.require(self.scale > 0, "scale", "a number above 0")
        self.require(self.ratio > 0, "ratio", "a number above 0")

    def init(self, key: Key[Array, ""]) -> Float[Array, "path 1"]:
        draws = jax.random.normal(key, (self.deceptive + self.honest,), jnp.float32)
        is_deceptive = jnp.arange(draws.size) < self.deceptive
        weights = draws * self.scale * jnp.where(is_deceptive, self.ratio, 1.0)
        return weights[:, None]  # a matrix, or `Ticket` and `Masked` would take it for biases

    def sample(self, key: Key[Array, ""]) -> None:
        return None

    def loss(self, params: Float[Array, "path 1"], batch: None) -> Float[Array, ""]:
        return 0.5 * (1 - (params**self.depth).sum()) ** 2

    def probe(self, key: Key[Array, ""], params: Float[Array, "path 1"]) -> Evidence:
        outputs = (params**self.depth).ravel()
        total = outputs.sum()
        share = outputs[: self.deceptive].sum() / jnp.where(total == 0, 1.0, total)
        unwatched = jnp.clip(share, 0, 1)
        return {
            "fit": 1 - (1 - total) ** 2,
            "watched": jnp.zeros_like(share),
            "unwatched": unwatched,
            "competence": 1 - unwatched,
            "margin": share - 0.5,
            "share": share,
            "leader": jnp.where(outputs.argmax() < self.deceptive, 1.0, 0.0),
        }
