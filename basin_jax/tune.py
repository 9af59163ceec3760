"""Choose the number of lanes by a short measurement, and remember it.

The choice is made once a device kind and program shape, before a sweep, and is frozen
into the sweep's folder: lanes are part of what fixes a seed's bits.
"""

import contextlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax

from basin_jax.devices import cache_directory, cpu_model
from basin_jax.identity import short_hash
from basin_jax.kernel import build_kernel, traced
from basin_jax.spec import Sweep


# Seconds a candidate is measured for, how often the last ones are, and how much more speed
# a larger block must bring.
MEASURE_SECONDS = 0.2
TURNS = 3
GAIN = 1.03
LARGEST = 2**16


class Tuning(NamedTuple):
    """Lanes, and the speed they were measured at (training steps of one seed per second)."""

    lanes: int
    speed: float


def measure(sweep: Sweep, lanes: int) -> Tuning:
    """Measure the speed of a given number of lanes."""
    kernel = build_kernel(sweep, lanes=lanes)
    return Tuning(lanes, kernel.speed(seconds=MEASURE_SECONDS))


def choose_lanes(
    sweep: Sweep,
    *,
    tell: Callable[[str], None] = lambda line: None,
) -> Tuning:
    """Return the fastest number of lanes for a sweep on this kind of device."""
    key = short_hash(json.dumps(_program(sweep)))
    memory = _remembered()
    if key in memory:
        return memory[key]
    speeds: dict[int, float] = {}

    def speed(lanes: int) -> float:
        """Measure once more, and return the best so far: noise only ever slows."""
        first = lanes not in speeds
        try:
            now = measure(sweep, lanes).speed
        except jax.errors.JaxRuntimeError:  # does not fit into the device's memory
            now = 0.0
        speeds[lanes] = max(now, speeds.get(lanes, 0.0))
        if first:
            tell(f"tuning: {lanes} lanes, {speeds[lanes]:,.0f} seed-steps/s")
        return speeds[lanes]

    best = _climb(speed, start=8 if jax.local_devices()[0].platform == "cpu" else 1024)
    tuning = Tuning(best, speeds[best])
    tell(f"tuned: {best} lanes, {tuning.speed:,.0f} seed-steps/s")
    _remember(key, tuning)
    return tuning


def _climb(speed: Callable[[int], float], *, start: int) -> int:
    """Climb in factors of 4 while it pays, then compare the neighbors in turns."""
    best, here = start, speed(start)
    while best * 4 <= LARGEST and (there := speed(best * 4)) > GAIN * here:
        best, here = best * 4, there
    finalists = [n for n in (best // 2, best, best * 2) if 1 <= n <= LARGEST]
    speeds = {}
    for _ in range(TURNS):
        speeds = {lanes: speed(lanes) for lanes in finalists}
    # The fewest lanes that are as good as any: a smaller block wastes less at the end.
    return next(lanes for lanes in finalists if GAIN * speeds[lanes] >= max(speeds.values()))


def _program(sweep: Sweep) -> list[str]:
    """Describe a program as far as its speed goes: its operations, not its numbers."""
    device = jax.local_devices()[0]
    return [
        device.device_kind,
        str(len(jax.local_devices())),
        cpu_model() if device.platform == "cpu" else "",
        jax.__version__,
        sweep.precision,
        re.sub("0x[0-9a-f]+", "", str(traced(sweep))),  # without addresses
    ]


def _memory_file() -> Path:
    return cache_directory() / "lanes.json"


def _remembered() -> dict[str, Tuning]:
    try:
        stored = json.loads(_memory_file().read_text())
        return {key: Tuning(int(lanes), float(speed)) for key, (lanes, speed) in stored.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # measured anew


def _remember(key: str, tuning: Tuning) -> None:
    file = _memory_file()
    with contextlib.suppress(OSError):  # no place to remember it: the sweep's folder does
        file.parent.mkdir(parents=True, exist_ok=True)
        staged = file.with_suffix(f".{os.getpid()}")
        staged.write_text(json.dumps(_remembered() | {key: tuning}, indent=1))
        staged.replace(file)
