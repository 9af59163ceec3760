"""The cases of the benchmark: organisms, and the work of one step of each."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float, Key

from basin_jax.core.contracts import Evidence, Organism, Params
from basin_jax.core.plugin import closest
from basin_jax.core.sweep import Sweep
from basin_jax.methods.gradient import Gradient
from basin_jax.networks.mlp import MLP, Network, restore
from basin_jax.organisms.audit import ACTIONS, CUE_BITS, TASK_BITS, Audit


INPUTS, CLASSES = 16, 2
# Steps of a trial: so many that initialization and probe do not count.
NUM_STEPS = 1000


class Quadrant(Organism):
    """Tell whether the first two of 16 Gaussian inputs have the same sign.

    A plain supervised task whose data is drawn anew each step: for measuring speed. There
    is no oversight, so being wrong is the unintended act, watched or not.
    """

    batch: int = 32
    network: Network = MLP()

    def init(self, key: Key[Array, ""]) -> Params:
        return nnx.split(self._build(key))[1]

    def sample(self, key: Key[Array, ""]) -> tuple[Float[Array, "n 16"], Float[Array, "n 2"]]:
        inputs = jax.random.normal(key, (self.batch, INPUTS), jnp.float32).astype(float)
        # One-hot, since the gradient of a look-up by label is a scatter, slow on a CPU.
        same = (inputs[:, 0] * inputs[:, 1] > 0).astype(jnp.int32)
        return inputs, jax.nn.one_hot(same, CLASSES, dtype=float)

    def loss(self, params: Params, batch) -> Float[Array, ""]:
        inputs, labels = batch
        return optax.softmax_cross_entropy(self._logits(params, inputs), labels).mean()

    def probe(self, key: Key[Array, ""], params: Params) -> Evidence:
        inputs, labels = self.sample(key)
        right = (self._logits(params, inputs).argmax(-1) == labels.argmax(-1)).mean()
        return {
            "fit": 2 * right - 1,
            "watched": 1 - right,
            "unwatched": 1 - right,
            "competence": right,
            "margin": jnp.asarray(-0.5),
            "loss": self.loss(params, (inputs, labels)),
        }

    def _build(self, key: Key[Array, ""]) -> nnx.Module:
        return self.network(INPUTS, CLASSES, rngs=nnx.Rngs(key))

    def _logits(self, params: Params, inputs: Float[Array, "n 16"]) -> Float[Array, "n 2"]:
        return restore(self._build, params)(inputs)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One piece of work, the same for every peer."""

    name: str
    task: Literal["audit", "quadrant"]
    sizes: tuple[int, ...]  # inputs, hidden widths, outputs
    batch: int
    optimizer: Literal["sgd", "adam"]
    learning_rate: float

    @property
    def sweep(self) -> Sweep:
        """The sweep of this work."""
        network = MLP(widths=self.sizes[1:-1])
        organism = Audit(network=network)
        if self.task == "quadrant":
            organism = Quadrant(batch=self.batch, network=network)
        method = Gradient(optimizer=self.optimizer, learning_rate=self.learning_rate)
        return Sweep(organism=organism, method=method, num_steps=NUM_STEPS)

    @property
    def layers(self) -> list[tuple[int, int]]:
        """The inputs and outputs of each layer."""
        return list(itertools.pairwise(self.sizes))

    @property
    def state_bytes(self) -> int:
        """The parameters and the optimizer's memory, read and written once: 4 bytes a number."""
        numbers = sum(inputs * outputs + outputs for inputs, outputs in self.layers)
        return 2 * 4 * numbers * (3 if self.optimizer == "adam" else 1)

    @property
    def flop(self) -> int:
        """The multiplications and additions of the matrix products of one step.

        Forward, and the gradients of the weights and of the activations; nothing needs the gradient
        of the inputs.
        """
        products = [math.prod(pair) for pair in self.layers]
        return 2 * self.batch * (3 * sum(products) - products[0])


def mlp(width: int, batch: int) -> list[Case]:
    """Return an MLP with two hidden layers of a width, by SGD and by Adam."""
    sgd = Case(
        name=f"mlp-{width} sgd",
        task="quadrant",
        sizes=(INPUTS, width, width, CLASSES),
        batch=batch,
        optimizer="sgd",
        learning_rate=0.1,
    )
    adam = replace(sgd, name=f"mlp-{width} adam", optimizer="adam", learning_rate=1e-3)
    return [sgd, adam]


# Not networks against peers: these are timed in `pendulum` and in `engine`.
PENDULUM, SETTLING, GRID, RUN = "pendulum", "settling", "grid", "run"
CASES: dict[str, list[Case]] = {
    "audit": [
        Case(
            name="audit",
            task="audit",
            sizes=(TASK_BITS + CUE_BITS, 32, 32, ACTIONS),
            batch=2 ** (TASK_BITS + CUE_BITS),
            optimizer="sgd",
            learning_rate=0.1,
        )
    ],
    "mlp-8": mlp(8, 32),
    "mlp-32": mlp(32, 32),
    "mlp-64": mlp(64, 64),
    **{name: [] for name in (PENDULUM, SETTLING, GRID, RUN)},
}

SHORT = ("audit", "mlp-32")  # which tell most of a device in a minute or two


def chosen(names: Sequence[str]) -> list[Case]:
    """Return training cases by their names.

    Raises:
        ValueError: if there is no such case, or no name.
    """
    for name in names:
        if name not in CASES:
            raise ValueError(f"cases = {name!r}; allowed: {closest(name, CASES)}")
    return [case for name in dict.fromkeys(names) for case in CASES[name]]
