"""Choose the number of lanes by a short measurement, and remember it.

The choice is made once a device kind and program shape, before a sweep, and is frozen
into the sweep's folder: lanes are part of what fixes a seed's bits.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax

from basin_jax.devices import cache_directory
from basin_jax.identity import origin, short_hash
from basin_jax.kernel import Devices, build_kernel, evidence_names
from basin_jax.spec import Sweep


# Seconds a candidate is measured for, and how much more speed a larger block must bring.
MEASURE_SECONDS = 0.25
GAIN = 1.03
LARGEST = 2**16


class Tuning(NamedTuple):
    """Lanes, and the speed they were measured at (training steps of one seed per second)."""

    lanes: int
    speed: float


def measure(sweep: Sweep, lanes: int, *, devices: Devices | None = None) -> Tuning:
    """Measure the speed of a given number of lanes."""
    kernel = build_kernel(sweep, lanes=lanes, devices=devices)
    return Tuning(lanes, kernel.speed(seconds=MEASURE_SECONDS))


def choose_lanes(
    sweep: Sweep,
    *,
    devices: Devices | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Tuning:
    """Return the fastest number of lanes for a sweep on this kind of device."""
    key = short_hash(json.dumps(_program_shape(sweep)))
    memory = _remembered()
    if key in memory:
        return Tuning(*memory[key])
    devices = devices or tuple(jax.local_devices())
    speeds: dict[int, float] = {}

    def speed(lanes: int) -> float:
        if lanes not in speeds:
            try:
                speeds[lanes] = measure(sweep, lanes, devices=devices).speed
                tell(f"tuning: {lanes} lanes, {speeds[lanes]:,.0f} seed-steps/s")
            except jax.errors.JaxRuntimeError:  # does not fit into the device's memory
                speeds[lanes] = 0.0
        return speeds[lanes]

    best = _climb(speed, start=8 if devices[0].platform == "cpu" else 1024)
    _remember(key, Tuning(best, speeds[best]))
    return Tuning(best, speeds[best])


def _climb(speed: Callable[[int], float], *, start: int) -> int:
    """Climb in factors of 4 while it pays, then look at the neighbors in between."""
    best = start
    while best * 4 <= LARGEST and speed(best * 4) > GAIN * speed(best):
        best *= 4
    for neighbor in (best * 2, best // 2):
        if 1 <= neighbor <= LARGEST and speed(neighbor) > GAIN * speed(best):
            return neighbor
    return best


def _program_shape(sweep: Sweep) -> list[Any]:
    """Describe a program as far as its speed goes: not by its numbers, nor its seeds."""
    key = jax.eval_shape(lambda: jax.random.key(0))
    params = jax.eval_shape(sweep.start.params, key, sweep.organism)
    state = jax.eval_shape(sweep.method.init, key, params, sweep.organism)
    batch = jax.eval_shape(sweep.organism.sample, key)
    parts = (sweep.organism, sweep.start, sweep.method)
    return [
        jax.local_devices()[0].device_kind,
        jax.__version__,
        sweep.precision,
        [type(part).__qualname__ + " " + origin(type(part)) for part in parts],
        [f"{leaf.dtype}{leaf.shape}" for leaf in jax.tree.leaves((state, batch))],
        evidence_names(sweep),
        _cpu_model() if jax.local_devices()[0].platform == "cpu" else "",
    ]


def _cpu_model() -> str:
    # JAX calls every CPU "cpu"; lanes follow its caches.
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith("model name")), "")


def _memory_file() -> Path:
    return cache_directory() / "lanes.json"


def _remembered() -> dict[str, list[Any]]:
    try:
        return json.loads(_memory_file().read_text())
    except (OSError, ValueError):
        return {}


def _remember(key: str, tuning: Tuning) -> None:
    file = _memory_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    staged = file.with_suffix(f".{os.getpid()}")
    staged.write_text(json.dumps(_remembered() | {key: tuning}, indent=1))
    staged.replace(file)
