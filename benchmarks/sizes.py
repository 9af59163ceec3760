"""Print where each way of a GPU's training ends: by fragments, by loops, or by XLA.

    uv run python benchmarks/sizes.py

Prints a table of `docs/performance.md`: multilayer perceptrons of 16 inputs with Adam, in TF32, and
the shared memory of a seed at compute capability 9.0.
"""

from basin_jax import Sweep
from basin_jax.bench.cases import Quadrant
from basin_jax.compiler import ir
from basin_jax.compiler.cuda.build import emitted
from basin_jax.core.trial import numerics, signature_of
from basin_jax.engine.backends import step_of
from basin_jax.methods import Gradient
from basin_jax.networks import MLP


WIDTHS = ((8, 8), (32, 32), (64, 64), (64,) * 4, (128, 128), (256,))
BATCHES = (32, 128, 512, 1024)
ADAM = Gradient(optimizer="adam", learning_rate=1e-3)
MOST_LEVELS = 20  # barriers of a step by fragments; by loops there are more


def way(widths: tuple[int, ...], batch: int) -> str:
    """Return the kind of a step's program, and the memory of a seed."""
    organism = Quadrant(batch=batch, network=MLP(widths=widths))
    sweep = Sweep(organism=organism, method=ADAM, num_steps=1, precision="tf32")
    with numerics("tf32"):
        try:
            program = emitted(*step_of(signature_of(sweep)), "sm_90")[-1]
        except ir.Unsupported:
            return "XLA"
    kind = "fragments" if program.barriers < MOST_LEVELS else "loops"
    return f"{kind}, {program.memory / 1024:.0f} KiB"


def main() -> None:
    print(f"| widths | {' | '.join(f'batch {n:,}' for n in BATCHES)} |")
    print(f"|{' --- |' * (len(BATCHES) + 1)}")
    for widths in WIDTHS:
        row = [way(widths, batch) for batch in BATCHES]
        print(f"| {'-'.join(map(str, widths))} | {' | '.join(row)} |")


if __name__ == "__main__":
    main()
