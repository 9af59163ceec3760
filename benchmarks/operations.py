"""Time operations of ordinary losses by the CPU's own programs against XLA, in turns.

Run: uv run python benchmarks/operations.py

Each organism has a small layer and one operation in its loss, or is a small network, that only XLA
had a program for up to 0.4. Both backends train 32 lanes; a ratio is the median of five pairs, with
the extremes.

    uv run python benchmarks/operations.py Recurrent Convolutional

times those named.
"""

import sys
from statistics import median

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from basin_jax import Organism, Sweep, build_kernel
from basin_jax.methods import Gradient


ROWS, INPUTS, CLASSES, TURNS, PAIRS = 32, 8, 10, 16, 5


class Operation(Organism):
    """A layer of weights, and a loss with one operation."""

    def init(self, key):
        return 0.3 * jax.random.normal(key, (INPUTS, CLASSES), jnp.float32)

    def sample(self, key):
        return jax.random.normal(key, (ROWS, INPUTS), jnp.float32)

    def loss(self, params, batch):
        return self.of_outputs(batch @ params, (batch[:, 0] > 0).astype(jnp.int32))

    def of_outputs(self, outputs, labels):
        raise NotImplementedError

    def probe(self, key, params):
        return {"fit": params.sum()}


class Labels(Operation):
    def of_outputs(self, outputs, labels):
        return optax.softmax_cross_entropy_with_integer_labels(outputs, labels).mean()


class OwnRows(Operation):
    def of_outputs(self, outputs, labels):
        return (outputs[labels] ** 2).mean() - outputs.mean()


class Concatenated(Operation):
    def of_outputs(self, outputs, labels):
        both = jnp.concatenate([outputs, jnp.roll(outputs, 1, 1)], 1)
        return (jnp.tanh(both) ** 2).mean()


class RunningSum(Operation):
    def of_outputs(self, outputs, labels):
        return (jnp.tanh(jnp.cumsum(outputs, 1)) ** 2).mean()


class AddedAtPlaces(Operation):
    def of_outputs(self, outputs, labels):
        sums = jnp.zeros((2, CLASSES)).at[labels].add(outputs)
        return (jnp.tanh(sums / ROWS) ** 2).mean()


class Sorted(Operation):
    def of_outputs(self, outputs, labels):
        return (jnp.sort(outputs, 1) * jnp.arange(CLASSES)[None]).mean() + (outputs**2).mean()


class Solved(Operation):
    def of_outputs(self, outputs, labels):
        moments = outputs.T @ outputs / ROWS + jnp.eye(CLASSES)
        return (jnp.linalg.solve(moments, outputs.mean(0)) ** 2).sum()


class Recurrent(Organism):
    """A recurrent network that adds numbers up, with a loss of each turn."""

    def init(self, key):
        shapes = {"read": (4, 16), "turn": (16, 16), "write": (16,)}
        keys = jax.random.split(key, len(shapes))
        return {
            name: 0.3 * jax.random.normal(k, shape, jnp.float32)
            for k, (name, shape) in zip(keys, shapes.items(), strict=True)
        }

    def sample(self, key):
        return jax.random.normal(key, (TURNS, ROWS, 4), jnp.float32)

    def loss(self, params, batch):
        def turn(hidden, inputs):
            hidden = jnp.tanh(inputs @ params["read"] + hidden @ params["turn"])
            return hidden, hidden @ params["write"]

        _, outputs = jax.lax.scan(turn, jnp.zeros((ROWS, 16), jnp.float32), batch)
        return ((outputs - jnp.cumsum(batch[..., 0], 0)) ** 2).mean()

    def probe(self, key, params):
        return {"fit": params["write"].sum()}


class Convolutional(Organism):
    """Two convolutions with pooling, and a layer, of images of 8 x 8."""

    def init(self, key):
        shapes = [(3, 3, 1, 8), (3, 3, 8, 8), (32, CLASSES)]
        keys = jax.random.split(key, len(shapes))
        return [
            0.3 * jax.random.normal(k, shape, jnp.float32)
            for k, shape in zip(keys, shapes, strict=True)
        ]

    def sample(self, key):
        return jax.random.normal(key, (ROWS, 8, 8, 1), jnp.float32)

    def loss(self, params, batch):
        *kernels, weights = params
        hidden, labels = batch, (batch.sum((1, 2, 3)) > 0).astype(jnp.int32)
        for kernel in kernels:
            layout = ("NHWC", "HWIO", "NHWC")
            hidden = jax.lax.conv_general_dilated(
                hidden, kernel, (1, 1), "SAME", dimension_numbers=layout
            )
            hidden = nnx.max_pool(jax.nn.relu(hidden), (2, 2), (2, 2))
        outputs = hidden.reshape(ROWS, -1) @ weights
        return optax.softmax_cross_entropy_with_integer_labels(outputs, labels).mean()

    def probe(self, key, params):
        return {"fit": params[-1].sum()}


ORGANISMS = (Labels(), OwnRows(), Concatenated(), RunningSum(), AddedAtPlaces(), Sorted(), Solved())
ORGANISMS += (Recurrent(), Convolutional())


def main() -> None:
    print("| operation | cpu, seed-steps/s | xla, seed-steps/s | cpu / xla, least, most |")
    print("|---|---|---|---|")
    for organism in ORGANISMS:
        if sys.argv[1:] and type(organism).__name__ not in sys.argv[1:]:
            continue
        sweep = Sweep(organism=organism, method=Gradient(learning_rate=0.05), num_steps=500)
        kernels = [build_kernel(sweep, lanes=32, backend=name) for name in ("cpu", "xla")]
        pairs = []
        for kernel in kernels:
            kernel.compile()
        for turn in range(PAIRS):
            order = kernels if turn % 2 else kernels[::-1]
            speeds = {kernel: kernel.speed(seconds=0.5) for kernel in order}
            pairs.append([speeds[kernel] for kernel in kernels])
        ratios = [cpu / xla for cpu, xla in pairs]
        cpu, xla = (median(some) for some in zip(*pairs, strict=True))
        found = (
            f"{cpu:,.0f} | {xla:,.0f} | {median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
        )
        print(f"| {type(organism).__name__} | {found} |", flush=True)


if __name__ == "__main__":
    main()
