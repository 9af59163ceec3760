"""Choose the backend and the number of lanes by a short measurement, and remember them.

The choice is made once a device kind and sweep's shape, before a sweep, and is frozen into
the sweep's folder: backend and lanes are part of what fixes a seed's bits.
"""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax

from basin_jax.core.identity import trace_of
from basin_jax.core.sources import short_hash
from basin_jax.core.sweep import Sweep
from basin_jax.devices import cache_directory, cpu_model
from basin_jax.engine.backends import (
    ACCELERATOR_LANES,
    BACKENDS,
    FASTEST,
    LANES,
    Backend,
    backends_for,
)
from basin_jax.engine.kernel import build_kernel
from basin_jax.files import read_file, write_file
from basin_jax.schema import listed, mapping, number, one_of, parse, plain, text, text_of, whole


# Seconds a candidate is measured for, how often the last ones are, and how much more speed
# a larger block must bring.
MEASURE_SECONDS = 0.2
TURNS = 3
GAIN = 1.03
MEMORY_BYTES = 2**24  # of the file that remembers
# The share of the best speed so far below which a backend's other numbers are not measured.
HOPELESS = 1 / 3


class Tuning(NamedTuple):
    """A backend's name, its lanes, and their speed (training steps of one seed per second)."""

    backend: str
    lanes: int
    speed: float


def measure(sweep: Sweep, lanes: int, backend: str | None = None) -> Tuning:
    """Measure the speed of a given number of lanes."""
    kernel = build_kernel(sweep, lanes=lanes, backend=backend)
    return Tuning(kernel.backend.name, lanes, kernel.speed(seconds=MEASURE_SECONDS))


def choose(
    sweep: Sweep,
    *,
    lanes: int | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Tuning:
    """Return the fastest backend and number of lanes for a sweep on this kind of device.

    Args:
        sweep: the sweep to train.
        lanes: the only number to measure; any if None.
        tell: called with lines of progress.
    """
    candidates = backends_for(sweep)
    names = [backend.name for backend in candidates]
    key = short_hash(json.dumps([*_shape(sweep), *names, lanes]))
    known = _remembered().get(key)
    if known and known.backend in names and lanes in (None, known.lanes):
        return known
    if lanes is not None:
        given = measure(sweep, lanes)
        _remember(key, given)
        return given
    best = Tuning("xla", 1, 0.0)
    for backend in candidates:
        tuning = _choose_lanes(sweep, backend, best.speed * HOPELESS, tell)
        best = max(best, tuning, key=lambda tuning: tuning.speed)
    tell(f"tuned: {best.backend}, {best.lanes} lanes, {best.speed:,.0f} seed-steps/s")
    _remember(key, best)
    return best


def _choose_lanes(
    sweep: Sweep, backend: Backend, hopeless: float, tell: Callable[[str], None]
) -> Tuning:
    """Find a backend's best number of lanes; its first if it is far too slow."""
    speeds: dict[int, float] = {}

    def speed(lanes: int) -> float:
        """Measure once more and return the highest speed so far: noise only slows."""
        first = lanes not in speeds
        try:
            now = measure(sweep, lanes, backend.name).speed
        except jax.errors.JaxRuntimeError:  # does not fit into the device's memory
            now = 0.0
        speeds[lanes] = max(now, speeds.get(lanes, 0.0))
        if first:
            tell(f"tuning: {backend.name}, {lanes} lanes, {speeds[lanes]:,.0f} seed-steps/s")
        return speeds[lanes]

    on_cpu = jax.local_devices()[0].platform == "cpu"
    start = backend.first_lanes if on_cpu else ACCELERATOR_LANES
    best = start if speed(start) < hopeless else _climb(speed, start=start)
    return Tuning(backend.name, best, speeds[best])


def _climb(speed: Callable[[int], float], *, start: int) -> int:
    """Climb in factors of 4 while speed grows, then compare the neighbors repeatedly."""
    best, here = start, speed(start)
    while best * 4 <= LANES and (there := speed(best * 4)) > GAIN * here:
        best, here = best * 4, there
    finalists = [n for n in (best // 2, best, best * 2) if 1 <= n <= LANES]
    speeds = {}
    for _ in range(TURNS):
        speeds = {lanes: speed(lanes) for lanes in finalists}
    # The fewest lanes that are as good as any: a smaller block wastes less at the end.
    return next(lanes for lanes in finalists if GAIN * speeds[lanes] >= max(speeds.values()))


def _shape(sweep: Sweep) -> list[str]:
    """Describe what a sweep's speed depends on: its operations and the device."""
    device = jax.local_devices()[0]
    return [
        device.device_kind,
        str(len(jax.local_devices())),
        cpu_model() if device.platform == "cpu" else "",
        jax.__version__,
        sweep.precision,
        trace_of(sweep),
    ]


def _memory_file() -> Path:
    return cache_directory() / "tuning.json"


def _remembered() -> dict[str, Tuning]:
    """Read the stored tunings; drop invalid ones."""
    try:
        stored = parse(read_file(_memory_file(), at_most=MEMORY_BYTES))
        mapping(text, listed(plain))("", stored)
    except (OSError, ValueError):
        return {}
    return {key: Tuning(*values) for key, values in stored.items() if _is_tuning(values)}


def _is_tuning(values: list[Any]) -> bool:
    if len(values) != len(Tuning._fields):
        return False
    checks = {"backend": one_of(BACKENDS), "lanes": whole(1, LANES), "speed": number(0.0, FASTEST)}
    try:
        for (field, check), value in zip(checks.items(), values, strict=True):
            check(field, value)
    except ValueError:
        return False
    return True


def _remember(key: str, tuning: Tuning) -> None:
    file = _memory_file()
    with contextlib.suppress(OSError):  # no place to remember it: the sweep's folder does
        file.parent.mkdir(parents=True, exist_ok=True)
        memory = text_of(_remembered() | {key: tuning}).encode()
        write_file(file, memory)
