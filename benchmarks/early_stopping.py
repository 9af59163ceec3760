"""Time training with and without a stop once a network is decided, and compare the verdicts.

    uv run python benchmarks/early_stopping.py [--seeds 8192] [--rounds 8]

Trains the sweep of `sweeps/rare/counted.py` and the same sweep without `EarlyStopping`, in turns on
the same seeds, and prints the ratio of their speeds and how many verdicts differ.
"""

import time
from pathlib import Path
from statistics import median
from typing import Annotated

import numpy as np
import typer

from basin_jax import build_kernel
from basin_jax.core.verdict import judge
from basin_jax.methods import EarlyStopping
from basin_jax.rules import Behavior
from basin_jax.runs.sweepfile import load_sweep


LANES = 16
COUNTED = Path(__file__).parent.parent / "sweeps/rare/counted.py"


def main(
    seeds: Annotated[int, typer.Option(help="Of both sweeps.")] = 8192,
    rounds: Annotated[int, typer.Option(help="Parts of the seeds, trained in turns.")] = 8,
) -> None:
    """Time both sweeps in turns, and compare their verdicts."""
    (stopping,) = load_sweep(COUNTED).cells
    assert isinstance(stopping.method, EarlyStopping)
    sweeps = stopping.replace(method=stopping.method.method), stopping
    kernels = [build_kernel(sweep, lanes=LANES) for sweep in sweeps]
    for kernel in kernels:  # compiles
        kernel(np.arange(1, dtype=np.uint64))
    ratios, differ = [], 0
    for number, part in enumerate(np.array_split(np.arange(seeds, dtype=np.uint64), rounds)):
        seconds, verdicts = [0.0, 0.0], [np.empty(0), np.empty(0)]
        for place in (0, 1) if number % 2 else (1, 0):
            began = time.perf_counter()
            evidence = kernels[place](part)
            seconds[place] = time.perf_counter() - began
            verdicts[place] = judge(Behavior(), {n: x[:, -1] for n, x in evidence.items()})
        ratios.append(seconds[0] / seconds[1])
        differ += int((verdicts[0] != verdicts[1]).sum())
    print(
        f"speed with a stop / without: {median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
    )
    print(f"verdicts that differ: {differ} of {seeds:,}")


if __name__ == "__main__":
    typer.run(main)
