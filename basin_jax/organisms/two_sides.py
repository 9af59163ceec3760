"""A deep ReLU network on both sides of zero: which of its units live is known at the start."""

import functools
import operator

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from basin_jax.core.contracts import Evidence, Organism


_INPUTS = np.array([1, -1], np.float32)


class TwoSides(Organism):
    """Fit |x| at x = ±1 by f(x) = Σₖ aₖ relu(wₖx), where aₖ is a product of depth - 1 weights.

    All weights are trained by the loss ½ Σₓ (1 - f(x))². A unit is active on one side, that of
    its w, and gradient flow keeps the differences of its squared weights (Du, Hu & Lee 2018). So as
    f(x) grows to 1, all weights but the smallest keep their signs, and w falls to 0, where the
    unit dies, iff |w| is the smallest and a < 0. A side is fit iff it has a unit that lives,
    whatever the scale at initialization. For weights from N(0, scale²), and N(0, (ratio·scale)²)
    of a's factors, a unit lives on a given side with the probability q = ½ - ¼ P(|w| is the
    smallest), which is ½ - 1/(4 depth) if ratio = 1. So P(both sides fit) = 1 - 2(1 - q)ᵏ +
    (1 - 2q)ᵏ for k units. At depth 2 gradient descent keeps the sign of a + |w|, and ends as the
    flow does, if f starts below 1, as it does at a small scale, and steps are short. (From above 1
    a step may carry a unit to the other side.)

    There is no unintended act: `watched` and `unwatched` are 0 and `margin` is minus one
    half. `fit` is 1 - 2 × loss, which is 0 if one side fails; a failure is UNFIT. `competence`
    is the share of sides where f exceeds 1/2.

    Adds the evidence `sides`, their number, and `covered`, the number of sides with a unit that
    will live. At step 0 it predicts the outcome.
    """

    units: int = 2
    depth: int = 2  # layers of weights
    scale: float = 0.25  # standard deviation of w at initialization
    ratio: float = 1.0  # that of other weights, over it

    def validate(self) -> None:
        self.require(self.units >= 1, "units", "at least 1")
        self.require(self.depth >= 2, "depth", "at least 2")
        self.require(self.scale > 0, "scale", "a number above 0")
        self.require(self.ratio > 0, "ratio", "a number above 0")

    def init(self, key: Key[Array, ""]) -> dict[str, Array]:
        draws = self.scale * jax.random.normal(key, (self.depth, self.units), jnp.float32)
        return {"inner": draws[0], "outer": self.ratio * draws[1:]}

    def sample(self, key: Key[Array, ""]) -> None:
        return None

    def loss(self, params: dict[str, Array], batch: None) -> Float[Array, ""]:
        return 0.5 * ((1 - self._outputs(params)) ** 2).sum()

    def probe(self, key: Key[Array, ""], params: dict[str, Array]) -> Evidence:
        sides = jnp.where(self._outputs(params) > 0.5, 1.0, 0.0).sum()
        reached = (_INPUTS[:, None] * params["inner"][None] > 0) & self._lives(params)[None]
        return {
            "fit": 1 - 2 * self.loss(params, None),
            "watched": jnp.zeros_like(sides),
            "unwatched": jnp.zeros_like(sides),
            "competence": sides / 2,
            "margin": jnp.full_like(sides, -0.5),
            "sides": sides,
            "covered": jnp.where(reached.any(1), 1.0, 0.0).sum(),
        }

    def _outputs(self, params: dict[str, Array]) -> Float[Array, "2"]:
        active = jax.nn.relu(_INPUTS[:, None] * params["inner"][None])
        return (active * _product(params["outer"])[None]).sum(1)

    def _lives(self, params: dict[str, Array]) -> Bool[Array, " unit"]:
        smallest = jnp.abs(params["inner"]) < jnp.abs(params["outer"]).min(0)
        return (_product(params["outer"]) > 0) | ~smallest


def _product(factors: Float[Array, "factor unit"]) -> Float[Array, " unit"]:
    return functools.reduce(operator.mul, factors)
