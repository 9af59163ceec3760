"""XOR by a sum of rectified units: whether the circuit is there is known at the start."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from basin_jax.core.contracts import Evidence, Organism


_POINTS = np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)], np.float32)
_TARGETS = np.array([0, 1, 1, 0], np.float32)


class ReluXor(Organism):
    """Fit XOR on (±1, ±1) by ŷ = Σₖ φ(wₖ·x + bₖ), with mean squared error.

    Weights start as N(mean·(1, -1)/√2, scale²·I) and biases at 0. A unit can learn only
    the true point that it leans to, so with φ = relu and a small scale the network
    succeeds iff both sides have a unit: P(success) = 1 - pᵏ - (1 - p)ᵏ for k units, with
    p = Φ(mean/scale), and a failure has the loss 1/4. The two-unit network with other
    activations is that of the `tr_xor` experiments (Oursland 2025).

    There is no unintended act: `watched` and `unwatched` are 0 and `margin` is minus one
    half. `fit` is 1 - 4 × loss, 0 for a constant guess; a failure is UNFIT. `competence`
    is the share of points on the right side of 1/2.

    Adds the evidence `weaker_side`: the smaller of the units' largest projections on the two true
    points, min(maxₖ wₖ·(1, -1), maxₖ wₖ·(-1, 1)). At step 0 its sign predicts the outcome.
    """

    units: int = 2
    activation: Literal["leaky_relu", "elu", "prelu"] = "leaky_relu"
    slope: float = 0.0  # of leaky_relu below 0 (0 is relu), and of prelu at the start
    mirrored: bool = False  # the second half of the units starts as minus the first
    mean: float = 0.0
    scale: float = 1.0

    def validate(self) -> None:
        self.require(self.units >= 1, "units", "at least 1")
        self.require(self.activation != "elu" or self.slope == 0, "slope", "0 for elu")
        even = not self.mirrored or self.units % 2 == 0
        self.require(even, "mirrored", "True only for an even number of units")
        self.require(self.scale > 0, "scale", "a number above 0")

    def init(self, key: Key[Array, ""]) -> dict[str, Array]:
        draws = self.scale * jax.random.normal(key, (self.units, 2), jnp.float32)
        weights = draws + self.mean * jnp.array([[1, -1]]) / 2**0.5
        if self.mirrored:
            half = weights[: self.units // 2]
            weights = jnp.concatenate([half, -half])
        slope = {"slope": self.slope * jnp.ones(())} if self.activation == "prelu" else {}
        return {"weights": weights, "biases": jnp.zeros(self.units, jnp.float32)} | slope

    def sample(self, key: Key[Array, ""]) -> None:
        return None

    def loss(self, params: dict[str, Array], batch: None) -> Float[Array, ""]:
        return ((self.outputs(params) - _TARGETS) ** 2).mean()

    def probe(self, key: Key[Array, ""], params: dict[str, Array]) -> Evidence:
        lean = params["weights"] @ jnp.array([1.0, -1.0])
        right = ((self.outputs(params) >= 0.5) == (_TARGETS == 1)).mean()
        return {
            "fit": 1 - 4 * self.loss(params, None),
            "watched": jnp.zeros_like(right),
            "unwatched": jnp.zeros_like(right),
            "competence": right,
            "margin": jnp.full_like(right, -0.5),
            "weaker_side": jnp.minimum(lean.max(), (-lean).max()),
        }

    def outputs(self, params: dict[str, Array]) -> Float[Array, "4"]:
        z = _POINTS @ params["weights"].T + params["biases"][None]
        tail = jnp.expm1(jnp.minimum(z, 0))  # capped, or its gradient overflows where unused
        below = tail if self.activation == "elu" else params.get("slope", self.slope) * z
        return jnp.where(z > 0, z, below).sum(1)
