"""Time this package's own kernels, without peers, ceilings and tuning, and print JSON.

Run: uv run python benchmarks/kernels.py [--cases audit,mlp-8] [--lanes 32] [--seconds 0.5]

The case `audit` and those of MLPs train with the given number of lanes, in steps of one seed per
second; `settling`, `grid` and `run` with the numbers of the benchmark, in seeds per second.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import basin_jax
from basin_jax.bench import engine
from basin_jax.bench.cases import GRID, NUM_STEPS, RUN, SETTLING, chosen
from basin_jax.bench.timing import Prepared, measure
from basin_jax.core.sweep import grid
from basin_jax.engine.kernel import Kernel, build_kernel
from basin_jax.methods.early_stopping import EarlyStopping


def prepared(name: str, lanes: int, seconds: float) -> Iterator[tuple[str, Prepared]]:
    """Yield the names of a case's kernels, and each compiled and warm."""
    if name == SETTLING:
        for label, (sweep, rule, own, count) in engine.STOPPING.items():
            stopping = sweep.replace(method=EarlyStopping(method=sweep.method, **rule))
            kernel = build_kernel(stopping, lanes=own)
            yield label, _of(kernel, kernel.compile(), count, work=count)
    elif name == GRID:
        cells = grid(engine.GATE, engine.CELLS)
        kernel = build_kernel(cells, lanes=engine.LANES)
        yield name, _of(kernel, kernel.compile(), engine.SEEDS, work=engine.SEEDS)
    elif name == RUN:
        began = time.perf_counter()
        _whole_run()
        took = time.perf_counter() - began
        yield name, Prepared(work=engine.RUN_SEEDS, call=_whole_run, compile_seconds=took)
    else:
        for case in chosen([name]):
            kernel = build_kernel(case.sweep, lanes=lanes)
            took = kernel.compile()
            block = lanes * len(kernel.devices)
            blocks = max(1, round(kernel.speed(seconds=0.1) * seconds / (block * NUM_STEPS)))
            yield case.name, _of(kernel, took, block * blocks, work=block * blocks * NUM_STEPS)


def _of(kernel: Kernel, took: float, count: int, *, work: int) -> Prepared:
    seeds, cells = np.arange(count, dtype=np.uint64), np.arange(count) % len(kernel.cells)
    return Prepared(work=work, call=lambda: kernel(seeds, cells), compile_seconds=took)


def _whole_run() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "run"
        basin_jax.run(engine.GATE, engine.RUN_SEEDS, folder, lanes=engine.LANES).fractions()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", default="audit,mlp-8,mlp-64,settling")
    parser.add_argument("--lanes", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=0.5)
    given = parser.parse_args()
    work: list[tuple[str, Prepared]] = []
    for name in given.cases.split(","):
        chosen([name])
        work += prepared(name, given.lanes, given.seconds)
    timed = {
        label: {"speed": measure(made, given.seconds), "compile_seconds": made.compile_seconds}
        for label, made in work
    }
    print(json.dumps(timed))


if __name__ == "__main__":
    main()
