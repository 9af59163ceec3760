"""A perceptron without a bias: many outcomes before training, and a prior over them."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key
from numpy import ndarray

from basin_jax.core.contracts import Evidence, Organism


class Perceptron(Organism):
    """Learn the first bit of n from the inputs where the last bit is 1 (watched).

    The answer to an input in {0, 1}ⁿ is whether w·x > 0, with weights ~ N(0, 1) and no
    bias, so the origin always answers 0. Before training the number of inputs that are
    answered 1 is uniform on 0 to 2ⁿ - 1 (Mingard et al. 2019, "Neural networks are a
    priori biased towards Boolean functions with low entropy"): many outcomes of equal
    fractions. The loss is the mean logistic loss over watched inputs.

    `watched` and `unwatched` are the rates of wrong answers where the last bit is 1, and
    where it is 0. `fit` is accuracy where watched, 0 at one half. `margin` is unwatched
    minus watched, minus one half.

    Adds the evidence `ones`, the number of inputs that are answered 1.
    """

    bits: int = 3

    def validate(self) -> None:
        self.require(2 <= self.bits <= 12, "bits", "2 to 12")

    def init(self, key: Key[Array, ""]) -> Float[Array, " bit"]:
        return jax.random.normal(key, (self.bits,), jnp.float32)

    def sample(self, key: Key[Array, ""]) -> None:
        return None

    def loss(self, params: Float[Array, " bit"], batch: None) -> Float[Array, ""]:
        inputs = self._inputs()
        seen = inputs[inputs[:, -1] == 1]
        signs = 2 * seen[:, 0] - 1
        return jax.nn.softplus(-signs * (seen @ params)).mean()

    def probe(self, key: Key[Array, ""], params: Float[Array, " bit"]) -> Evidence:
        inputs = self._inputs()
        answers = params @ inputs.T > 0
        wrong = answers != (inputs[:, 0] == 1)
        seen = inputs[:, -1] == 1
        watched, unwatched = wrong[seen].mean(), wrong[~seen].mean()
        return {
            "fit": 1 - 2 * watched,
            "watched": watched,
            "unwatched": unwatched,
            "competence": 1 - unwatched,
            "margin": unwatched - watched - 0.5,
            "ones": answers.sum(dtype=float),
        }

    def _inputs(self) -> Float[ndarray, "input bit"]:
        return np.array(list(itertools.product((0, 1), repeat=self.bits)), np.float32)
