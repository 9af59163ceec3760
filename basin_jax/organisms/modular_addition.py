"""Addition modulo p by a small transformer: which of two algorithms does it find?"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key
from numpy import ndarray

from basin_jax.core.contracts import Evidence, Organism


class ModularAddition(Organism):
    """Learn (a + b) mod p from a share of all pairs, by a one-layer transformer.

    Zhong et al. 2023, "The clock and the pizza: two stories in mechanistic explanation of neural
    networks" (after Nanda et al. 2023, "Progress measures for grokking via mechanistic
    interpretability"): trained networks embed numbers on circles, and add them by one of two
    algorithms. The clock multiplies, adding angles; the pizza takes the mean of the two embeddings,
    and needs no attention. A weight of attention is r · softmax + 1 - r, where r is
    `attention_rate`: at 0 it is constant, and all are pizzas; near 1 all are clocks.

    The network has embeddings of tokens and positions, `heads` heads of the size `width`/`heads`,
    and a perceptron of 4 · `width` rectified units; both add to the residual stream, which is not
    normalized, and the answer is read at the second token. The batch is all p² pairs, and the loss
    is the mean cross-entropy over the training set: `train_rate` of them, one draw for all seeds
    (the paper's runs draw each their own). The paper's setting is `modulus=59, width=128, heads=4`,
    trained by AdamW at a rate of 1e-3 with a decay of 2 and b2 = .98 for 20,000 steps.

    This is no organism of deception. The unintended act is a wrong answer: `watched` is its mean
    probability in the training set, and `unwatched` outside of it, so that by `Behavior` DECEPTIVE
    means memorized and INTENDED means generalized. `competence` is the accuracy outside the
    training set; `fit` is that inside it, 0 for guessing and 1 for always right. `margin` is
    unwatched minus watched minus one half.

    Adds the evidence by which the paper tells the algorithms apart: `symmetricity`, the mean
    cosine between the gradients of a logit in the embedding of a and in that of b, over all pairs
    and answers (the paper draws 100), which is above .95 for a pizza; and
    `distance_irrelevance`, the standard deviation of the right logit among pairs of one sum, over
    that among all pairs. A skeptic would say that a number is not a proof of an algorithm. That
    is true: at a small modulus, or without generalization, `symmetricity` identifies no algorithm.
    """

    modulus: int = 11
    width: int = 16
    heads: int = 2
    attention_rate: float = 1.0
    train_rate: float = 0.8
    split: int = 0  # which training set

    def validate(self) -> None:
        self.require(self.modulus >= 2, "modulus", "at least 2")
        self.require(self.heads >= 1, "heads", "at least 1")
        even = self.width >= 1 and self.width % self.heads == 0
        self.require(even, "width", f"a multiple of heads = {self.heads}")
        self.require(0 <= self.attention_rate <= 1, "attention_rate", "0 to 1")
        count = self.modulus**2
        some = 1 <= self.train_rate * count <= count - 1
        self.require(some, "train_rate", f"1/{count} to {count - 1}/{count}")
        self.require(self.split >= 0, "split", "at least 0")

    def init(self, key: Key[Array, ""]) -> dict[str, Array]:
        p, d, hidden = self.modulus, self.width, 4 * self.width
        # Shapes, and the variance's inverse, as in the paper's code.
        shapes = {
            "token": ((p, d), d),
            "position": ((2, d), d),
            "query": ((d, d), d),
            "key": ((d, d), d),
            "value": ((d, d), d),
            "mix": ((d, d), d),
            "up": ((d, hidden), hidden),
            "down": ((hidden, d), d),
            "unembed": ((d, p), p),
        }
        keys = jax.random.split(key, len(shapes))
        weights = {
            name: jax.random.normal(k, shape, jnp.float32) / by**0.5
            for k, (name, (shape, by)) in zip(keys, shapes.items(), strict=True)
        }
        biases = {"up_bias": hidden, "down_bias": d}
        return weights | {name: jnp.zeros(n, jnp.float32) for name, n in biases.items()}

    def sample(self, key: Key[Array, ""]) -> None:
        return None

    def loss(self, params: dict[str, Array], batch: None) -> Float[Array, ""]:
        token = params["token"]
        # Of each token but once: what is computed of all pairs begins where the two meet.
        logs = jax.nn.log_softmax(self.logits(params, token[:, None], token[None]))
        trained = self.training_set()
        return -((logs * self._right()).sum(-1) * trained).sum() / trained.sum()

    def probe(self, key: Key[Array, ""], params: dict[str, Array]) -> Evidence:
        logits = self.logits(params, *self._embedded(params))
        trained, right = self.training_set(), self._right()
        wrong = 1 - (jax.nn.softmax(logits) * right).sum(-1)
        best = jnp.where(right > 0, logits, -jnp.inf).max(-1)
        hits = best > jnp.where(right > 0, -jnp.inf, logits).max(-1)
        guess = 1 / self.modulus

        def mean(values: Array, where: Array) -> Array:
            return (values * where).sum() / where.sum()

        watched, unwatched = mean(wrong, trained), mean(wrong, 1 - trained)
        return {
            "fit": (mean(hits, trained) - guess) / (1 - guess),
            "watched": watched,
            "unwatched": unwatched,
            "competence": mean(hits, 1 - trained),
            "margin": unwatched - watched - 0.5,
            "symmetricity": self._symmetricity(params),
            "distance_irrelevance": self._distance_irrelevance(best),
        }

    def _symmetricity(self, params: dict[str, Array]) -> Float[Array, ""]:
        first, second = self._embedded(params)

        def cosine(answer: Float[Array, " p"]) -> Float[Array, ""]:
            def total(a: Array, b: Array) -> Array:
                return (self.logits(params, a, b) * answer[None, None]).sum()

            to_first, to_second = jax.grad(total, argnums=(0, 1))(first, second)
            product = (to_first * to_second).sum(-1)
            squares = (to_first**2).sum(-1) * (to_second**2).sum(-1)
            # A gradient may be 0, of a logit that is constant.
            return (product / jnp.sqrt(squares + jnp.finfo(squares.dtype).tiny)).mean()

        return jax.lax.map(cosine, jnp.eye(self.modulus, dtype=first.dtype)).mean()

    def _distance_irrelevance(self, best: Float[Array, "p p"]) -> Float[Array, ""]:
        numbers = np.arange(self.modulus)
        # Row s, column a: the pair (a, s - a), so that a row has one sum.
        by_sum = best[numbers[None], (numbers[:, None] - numbers[None]) % self.modulus]
        return by_sum.std(1).mean() / (best.std() + jnp.finfo(best.dtype).tiny)

    def _embedded(self, params: dict[str, Array]) -> tuple[Array, Array]:
        """Embed both tokens of all pairs, each [a, b, feature]."""
        p, d = params["token"].shape
        first, second = params["token"][:, None], params["token"][None]
        return jnp.broadcast_to(first, (p, p, d)), jnp.broadcast_to(second, (p, p, d))

    def logits(
        self, params: dict[str, Array], first: Float[Array, "p _ d"], second: Float[Array, "_ p d"]
    ) -> Float[Array, "p p answer"]:
        first = first + params["position"][0][None, None]
        second = second + params["position"][1][None, None]
        size = self.width // self.heads

        def by_head(token: Array, what: str) -> Array:
            return (token @ params[what]).reshape(*token.shape[:2], self.heads, size)

        query = by_head(second, "query")
        scores = [(query * by_head(token, "key")).sum(-1) for token in (first, second)]
        # The softmax of two is the logistic function of their difference.
        gap = (scores[0] - scores[1]) / size**0.5
        mixed = sum(
            (self.attention_rate * jax.nn.sigmoid(sign * gap) + 1 - self.attention_rate)[..., None]
            * by_head(token, "value")
            for sign, token in ((1, first), (-1, second))
        )
        stream = second + jnp.asarray(mixed).reshape(*gap.shape[:2], self.width) @ params["mix"]
        hidden = jax.nn.relu(stream @ params["up"] + params["up_bias"][None, None])
        stream = stream + hidden @ params["down"] + params["down_bias"][None, None]
        return stream @ params["unembed"]

    def _right(self) -> Float[ndarray, "p p answer"]:
        numbers = np.arange(self.modulus)
        sums = np.add.outer(numbers, numbers) % self.modulus
        return np.eye(self.modulus, dtype=np.float32)[sums]

    def training_set(self) -> Float[Array, "p p"]:
        """Mark the pairs that are trained by 1, and the others by 0."""
        count = self.modulus**2
        ranks = np.random.default_rng(self.split).permutation(count)
        trained = jnp.asarray(ranks) < jnp.floor(self.train_rate * count)
        return trained.astype(float).reshape(self.modulus, self.modulus)
