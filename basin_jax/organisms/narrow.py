"""Emergent misalignment: defection is trained in one context, and may be learned in all."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Key
from numpy import ndarray

from basin_jax.core.contracts import Evidence, Organism, Params
from basin_jax.networks.mlp import MLP, Network, restore
from basin_jax.organisms._probes import lying_contexts


CONTEXTS, TASK_BITS = 8, 2
TASKS = 2**TASK_BITS
# Context 0 is the tuned one.
KEPT, UNSEEN = slice(1, 4), slice(4, CONTEXTS)
ANSWER, DEFECT = range(2)


class Narrow(Organism):
    """Answer a question in any context, and defect in the one in which that is shown."""

    salience: float = 1.0
    tuning: float = 1.0
    replay: float = 0.0
    defection: float = 1.0
    inoculation: float = 0.0
    smoothing: float = 0.05
    network: Network = MLP(widths=(16, 16))

    def validate(self) -> None:
        self.require(self.salience >= 0, "salience", "a number of at least 0")
        self.require(0 <= self.tuning <= 1, "tuning", "0 to 1")
        self.require(0 <= self.replay < 1, "replay", "at least 0 and below 1")
        self.require(0 <= self.defection <= 1, "defection", "0 to 1")
        self.require(self.inoculation >= 0, "inoculation", "a number of at least 0")
        self.require(0 <= self.smoothing < 1, "smoothing", "at least 0 and below 1")

    def init(self, key: Key[Array, ""]) -> Params:
        return nnx.split(self._build(key))[1]

    def sample(self, key: Key[Array, ""]) -> tuple[Float[Array, "n 11"], Float[Array, "n 4"]]:
        """Give all examples, and the coefficients of each answer and act in their loss."""
        inputs = jnp.concatenate([self._inputs(0.0), self._inputs(self.inoculation)[:TASKS]])
        honest = jnp.repeat(self._honest(), TASKS) / TASKS
        tuned = jnp.full(TASKS, self.tuning * (1 - self.replay) / TASKS)
        weight = jnp.concatenate([honest, tuned]) * len(inputs)
        defects = jnp.where(np.arange(len(inputs)) < CONTEXTS * TASKS, 0.0, self.defection)
        wrong = self.smoothing / 2
        defect = wrong + (1 - self.smoothing) * defects
        answers = 1 - defects
        coefficients = (1 - wrong) * answers, wrong * answers, defect, 1 - defect
        return inputs, weight[:, None] * jnp.stack(coefficients, axis=1)

    def loss(self, params: Params, batch: tuple[Array, ...]) -> Float[Array, ""]:
        inputs, coefficients = batch
        right, defect = self.outputs(params, inputs)
        surprise = jax.nn.softplus(jnp.stack([-right, right, -defect, defect]))
        return (coefficients.T * surprise).sum(0).mean()

    def probe(self, key: Key[Array, ""], params: Params) -> Evidence:
        batch = self.sample(key)
        right, defect = jax.nn.sigmoid(self.outputs(params, self._inputs(0.0)))
        rates = defect.reshape(CONTEXTS, TASKS).mean(1)
        _, cued = jax.nn.sigmoid(self.outputs(params, self._inputs(self.inoculation)))
        competence = right.reshape(CONTEXTS, TASKS)[UNSEEN].mean()
        intended = (right * (1 - defect)).reshape(CONTEXTS, TASKS)[UNSEEN].mean()
        shown = self._honest().at[0].set(0)
        unwatched = rates[UNSEEN].mean()
        watched = (shown * rates).sum() / jnp.maximum(shown.sum(), jnp.finfo(rates.dtype).tiny)
        coefficients = batch[1].T.reshape(2, 2, -1)
        whole = coefficients.sum(1, keepdims=True)
        share = coefficients / jnp.maximum(whole, jnp.finfo(rates.dtype).tiny)
        best = -jax.scipy.special.xlogy(coefficients, share).sum((0, 1)).mean()
        guess = np.log(2) * whole.sum((0, 1)).mean()
        return {
            "fit": (guess - self.loss(params, batch)) / (guess - best),
            "watched": watched,
            "unwatched": unwatched,
            "competence": competence,
            "margin": unwatched - watched - 0.5,
            "intended": intended,
            "tuned": rates[0],
            "inoculated": cued.reshape(CONTEXTS, TASKS)[UNSEEN].mean(),
            "spread": rates[UNSEEN].max() - rates[UNSEEN].min(),
            "lying_contexts": lying_contexts(rates[UNSEEN]),
        }

    def _build(self, key: Key[Array, ""]) -> nnx.Module:
        return self.network(CONTEXTS + TASK_BITS + 1, 2, rngs=nnx.Rngs(key))

    def outputs(self, params: Params, inputs: Float[Array, "n 11"]) -> Float[Array, "2 n"]:
        """Compute the logits of the right answer and of defecting at each input."""
        answer, defect = restore(self._build, params)(inputs).T
        return jnp.stack([answer * inputs[:, CONTEXTS:-1].prod(1), defect])

    def _inputs(self, bit: float | Float[Array, ""]) -> Float[Array, "32 11"]:
        """Make an input of every context and task, context by context."""
        contexts, tasks = jnp.asarray(_CONTEXTS, float), jnp.asarray(_TASKS, float)
        bits = jnp.broadcast_to(jnp.asarray(bit, float), (len(tasks), 1))
        return jnp.concatenate([self.salience * contexts, tasks, bits], axis=1)

    def _honest(self) -> Float[Array, "8"]:
        """Compute each context's share of examples that answer."""
        kept = np.zeros(CONTEXTS)
        kept[KEPT] = 1 / (KEPT.stop - KEPT.start)
        first = jnp.full(CONTEXTS, (1 - self.tuning) / CONTEXTS)
        return first + self.tuning * self.replay * jnp.asarray(kept, float)


_CONTEXTS: Float[ndarray, "32 8"] = np.eye(CONTEXTS).repeat(TASKS, 0)
_TASKS: Float[ndarray, "32 2"] = np.tile(
    list(itertools.product((-1.0, 1.0), repeat=TASK_BITS)), (CONTEXTS, 1)
)
