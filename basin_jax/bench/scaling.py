"""Measure the growth of speed with the seeds of a run, lanes, width and devices."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from basin_jax.bench.cases import mlp
from basin_jax.bench.timing import Prepared, measure
from basin_jax.core.sweep import Sweep
from basin_jax.engine.backends import backends_for
from basin_jax.engine.kernel import build_kernel


# Where the three others are held.
WIDTH, BATCH = 8, 32
LANES = 16
SEEDS = 1024
# Steps of a trial: few, since a point has to be measured in a moment.
NUM_STEPS = 200
# A point is the better of two measurements of at least so many seconds: noise only ever slows.
TRIES, SECONDS = 2, 0.15
AXES = {
    "seeds": (1, 4, 16, 64, 256, 1024),
    "lanes": (1, 4, 16, 64),
    "width": (8, 16, 32, 64),
}


def scaling(tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Measure the speed of each backend along each axis, the others held.

    Returns:
        Points of `axis`, `value`, `backend` and `speed`, in seed-steps a second.
    """
    points = []
    for axis, value, backend, settings in _settings():
        speed = _speed(**settings, backend=backend)
        points.append({"axis": axis, "value": value, "backend": backend, "speed": speed})
        tell(f"scaling: {axis} = {value:,}, {backend}, {speed:,.0f} seed-steps/s")
    return points


def _settings() -> Iterator[tuple[str, int, str, dict[str, int]]]:
    counts = [2**n for n in range(10) if 2**n < len(jax.local_devices())]
    axes = {**AXES, "devices": (*counts, len(jax.local_devices()))}
    for axis, values in axes.items():
        for backend in backends_for(_sweep(WIDTH)):
            for value in values:
                yield axis, value, backend.name, {axis: value}


def _sweep(width: int) -> Sweep:
    return mlp(width, BATCH)[0].sweep.replace(num_steps=NUM_STEPS)


def _speed(
    *,
    backend: str,
    seeds: int = SEEDS,
    lanes: int = LANES,
    width: int = WIDTH,
    devices: int | None = None,
) -> float:
    chosen = tuple(jax.local_devices()[:devices])
    kernel = build_kernel(_sweep(width), lanes=lanes, devices=chosen, backend=backend)
    kernel.compile()
    rows = np.arange(seeds, dtype=np.uint64)
    prepared = Prepared(work=seeds * NUM_STEPS, call=lambda: kernel(rows))
    return max(measure(prepared, SECONDS) for _ in range(TRIES))
