"""Measure the savings and costs of the engine, besides the steps of its kernel.

Lanes of seeds that have settled are refilled; the cells of a grid share one compilation and its
lanes; a whole run stores, judges and counts what the kernel trains. Each is timed against the same
work without it.
"""

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from basin_jax.bench.cases import GRID, RUN, SETTLING
from basin_jax.bench.timing import OURS, Prepared, Work, cold, process_peak
from basin_jax.core.sweep import Sweep, grid
from basin_jax.engine.kernel import build_kernel
from basin_jax.methods.early_stopping import EarlyStopping
from basin_jax.methods.gradient import Gradient
from basin_jax.organisms.audit import Audit
from basin_jax.organisms.escape_threshold import EscapeThreshold
from basin_jax.organisms.gate import Gate
from basin_jax.runs.run import run


AUDIT = Sweep(organism=Audit(difficulty=2), method=Gradient(learning_rate=0.1), num_steps=2000)
THRESHOLD = Sweep(
    organism=EscapeThreshold(), method=Gradient(learning_rate=0.05, l2=0.3), num_steps=2000
)
GATE = Sweep(organism=Gate(), method=Gradient(learning_rate=0.05, l2=0.02), num_steps=8000)
# A sweep to its last step, the rule by which its seeds settle, lanes, and seeds of a call.
STOPPING = {
    "settling, audit": (AUDIT, {"check_every": 25}, 32, 2048),
    "settling, threshold": (THRESHOLD, {"check_every": 25, "still": 1e-3}, 1024, 100_000),
}
CELLS = {
    "method.l2": (0.01, 0.02, 0.03, 0.04),
    "organism.penalty": (2.0, 3.0, 4.0, 5.0),
    "organism.scale": (0.3, 0.4, 0.5, 0.6),
}
LANES = 256
SEEDS = 65_536  # of a grid, over all of its cells
RUN_SEEDS = 100_000
# Seeds of the runs whose time and memory are compared, each in a process of its own.
GROWTH = (1000, 10_000, 100_000, 1_000_000)
COMPILATIONS = 3  # of which the median is taken


def settling() -> Work:
    """Prepare seeds that settle: with refilling, without it, and all trained to the end."""
    return [timed for name in STOPPING for timed in _settling(name)]


def _settling(name: str) -> Work:
    sweep, rule, lanes, count = STOPPING[name]
    stopping = sweep.replace(method=EarlyStopping(method=sweep.method, **rule))
    seeds = np.arange(count, dtype=np.uint64)

    def prepare(cell: Sweep, refill: bool) -> Prepared:
        kernel = build_kernel(cell, lanes=lanes, refill=refill)
        took = kernel.compile()
        return Prepared(
            work=count,
            call=lambda: kernel(seeds),
            compile_seconds=took if refill else None,  # the same program, found compiled
            note=f"{kernel.backend.name}, {lanes} lanes",
        )

    return [
        (name, OURS, prepare(stopping, True)),
        (name, "lanes not refilled", prepare(stopping, False)),
        (name, "all to the last step", prepare(sweep, True)),
    ]


def one_grid() -> Work:
    """Prepare as many seeds of 64 cells as of one, and the time to compile each."""
    cells = grid(GATE, CELLS)
    seeds = np.arange(SEEDS, dtype=np.uint64)

    def prepare(count: int) -> Prepared:
        kernel = build_kernel(cells[:count], lanes=LANES)
        kernel.compile()
        places = np.arange(SEEDS) % count
        return Prepared(
            work=SEEDS,
            call=lambda: kernel(seeds, places),
            compile_seconds=median(_alone(_compile_seconds, count) for _ in range(COMPILATIONS)),
            note=f"{count} cell{'s' * (count > 1)}, {LANES} lanes",
        )

    return [(GRID, OURS, prepare(len(cells))), (GRID, "one cell", prepare(1))]


def whole_run() -> Work:
    """Prepare a run from an empty folder to its estimates, and the kernel alone."""
    seeds = np.arange(RUN_SEEDS, dtype=np.uint64)
    kernel = build_kernel(GATE, lanes=LANES)
    kernel.compile()
    note = f"{RUN_SEEDS:,} seeds, {LANES} lanes"
    return [
        (RUN, OURS, Prepared(work=RUN_SEEDS, call=lambda: _run(RUN_SEEDS), note=note)),
        (RUN, "kernel alone", Prepared(work=RUN_SEEDS, call=lambda: kernel(seeds), note=note)),
    ]


WORK = {SETTLING: settling, GRID: one_grid, RUN: whole_run}


def whole_runs(tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Measure time and memory of whole runs of ever more seeds.

    Returns:
        Points of `seeds`, `seconds` a run, and `peak_bytes` of its process.
    """
    points = []
    for count in GROWTH:
        points.append({"seeds": count, **_alone(_grown, count)})
        tell(f"runs: {count:,} seeds, {points[-1]['seconds']:.2f} s")
    return points


def _run(seeds: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        run(GATE, seeds, Path(scratch) / "run", lanes=LANES).fractions()


def _alone(function: Callable[[int], Any], count: int) -> Any:
    """Call a function in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, count).result()


def _compile_seconds(count: int) -> float:
    with cold():
        began = time.perf_counter()
        build_kernel(grid(GATE, CELLS)[:count], lanes=LANES).compile()
        return time.perf_counter() - began


def _grown(count: int) -> dict[str, float]:
    with cold():
        _run(GROWTH[0])  # compiled
        began = time.perf_counter()
        _run(count)
        seconds = time.perf_counter() - began
    return {"seconds": seconds, "peak_bytes": process_peak()}
