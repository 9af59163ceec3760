"""Choose the backend and the number of lanes of a sweep, and remember what was measured.

Both are frozen into the sweep's folder: they are part of what fixes a seed's bits. The backend made
for the machine is taken, unless a sweep is long enough for a measurement to pay and XLA is faster
in every pair of measurements. On CPUs speeds are per second of the CPU (`engine/timed.py`).
"""

import contextlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from basin_jax import __version__
from basin_jax.core.identity import trace_of
from basin_jax.core.sources import short_hash
from basin_jax.core.sweep import Sweep
from basin_jax.core.trial import count_params, signature_of
from basin_jax.devices import cache_directory, cpu_model
from basin_jax.engine.backends import (
    ACCELERATOR_LANES,
    BACKENDS,
    CPU,
    FASTEST,
    LANES,
    Backend,
    backends_for,
)
from basin_jax.engine.timed import TimedSteps, speeds_in_turns
from basin_jax.files import read_file, write_file
from basin_jax.schema import listed, mapping, number, one_of, parse, plain, text, text_of, whole


# Turns in which candidates are measured, how much more speed a larger block must bring, and how
# much more XLA, in every turn.
TURNS, GAIN, GAIN_OF_XLA = 5, 1.05, 1.15
# The share of the best speed of the first turn below which a candidate is not measured again.
HOPELESS = 1 / 2
# Numbers of parameters updated by a run below which nothing is measured: a second or so.
TINY = 10**8
# Seconds of training below which compiling other candidates takes longer than they could save.
LONG = 60.0
# Numbers of parameters updated between two stops of a seed below which a block of lanes of the
# CPU's own program takes little more time than the exchange of its seeds.
SHORT_ROUND = 2**18
MEASURING = "measuring this machine once for each program of a long training, some 5 s each"
MEMORY_BYTES = 2**24  # of the file that remembers


class Tuning(NamedTuple):
    """A backend's name, its lanes, and their speed (training steps of one seed per second).

    The speed is 0 if it was not measured.
    """

    backend: str
    lanes: int
    speed: float


def lanes_of(backend: Backend, sweep: Sweep) -> tuple[int, ...]:
    """Return the numbers of lanes worth measuring, the first of which needs no measurement."""
    device = jax.local_devices()[0]
    if device.platform == "gpu":
        # Whole waves of what the multiprocessors train at once, so that none of them waits. Of XLA
        # none is known: its dozens of launches a step are shared by more lanes.
        wave = getattr(device, "core_count", 0) * backend.steps(signature_of(sweep)).at_once
        return (-(-ACCELERATOR_LANES // wave) * wave if wave else 4 * ACCELERATOR_LANES,)
    if device.platform != "cpu":
        return ACCELERATOR_LANES, 4 * ACCELERATOR_LANES, ACCELERATOR_LANES // 4
    if backend is not CPU:
        return backend.first_lanes, 4 * backend.first_lanes
    # Seeds are trained a vector at a time: more lanes only spread the cost of exchanging them.
    short = sweep.num_steps * count_params(sweep) < SHORT_ROUND
    return (4 * backend.first_lanes if short else backend.first_lanes,)


def choose(
    sweep: Sweep,
    *,
    lanes: int | None = None,
    seeds: int | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Tuning:
    """Choose the backend and the number of lanes for a sweep on this kind of device.

    Args:
        sweep: the sweep to train.
        lanes: the only number allowed; nothing is measured then.
        seeds: how many will be trained; any number if None. A short training is not measured.
        tell: called with a line before a long measurement.
    """
    candidates = backends_for(sweep)
    first = candidates[0]
    if lanes is not None:
        return Tuning(first.name, lanes, 0.0)
    untuned = Tuning(first.name, lanes_of(first, sweep)[0], 0.0)
    updates = None if seeds is None else seeds * sweep.all_steps * max(count_params(sweep), 1)
    if updates is not None and updates < TINY:
        return untuned
    key = short_hash(json.dumps([*_shape(sweep), *map(_identity, candidates)]))
    known = _remembered().get(key)
    if known and known.backend in [backend.name for backend in candidates]:
        return known
    # Released at the end of this function: compiled steps keep hundreds of memory maps.
    steps = _Steps(sweep)
    speed = steps.of(first, untuned.lanes).speed()
    if seeds is not None and seeds * sweep.all_steps < LONG * speed:
        return untuned._replace(speed=speed)
    tell(MEASURING)
    best = _fastest(steps, candidates)
    _remember(key, best)
    return best


class _Steps:
    """The steps of a sweep that are compiled to be timed, by backend and lanes."""

    def __init__(self, sweep: Sweep):
        self.sweep = sweep
        self._compiled: dict[tuple[str, int], TimedSteps] = {}

    def of(self, backend: Backend, lanes: int) -> TimedSteps:
        key = backend.name, lanes
        if key not in self._compiled:
            self._compiled[key] = TimedSteps(self.sweep, backend, lanes)
        return self._compiled[key]


def _fastest(steps: _Steps, candidates: Sequence[Backend]) -> Tuning:
    """Return the first backend, unless another is faster in every turn."""
    best = _best_lanes(steps, candidates[0])
    for backend in candidates[1:]:
        own = steps.of(candidates[0], best.lanes)
        first = steps.of(backend, lanes_of(backend, steps.sweep)[0])
        (before,), (now,) = speeds_in_turns([own, first], 1)
        if now < HOPELESS * before:
            continue
        rival = _best_lanes(steps, backend)
        pair = speeds_in_turns([own, steps.of(backend, rival.lanes)], TURNS)
        if all(there > GAIN_OF_XLA * here for here, there in zip(*pair, strict=True)):
            best = rival
    return best


def _best_lanes(steps: _Steps, backend: Backend) -> Tuning:
    """Find a backend's best number of lanes: the fewest that are about as fast as any."""
    numbers = sorted(lanes_of(backend, steps.sweep))
    while True:
        turns = TURNS if len(numbers) > 1 else 1
        measured = speeds_in_turns([steps.of(backend, lanes) for lanes in numbers], turns)
        # The highest speed counts: noise only slows.
        speeds = dict(zip(numbers, map(max, measured), strict=True))
        best = next(n for n in numbers if GAIN * speeds[n] >= max(speeds.values()))
        if len(numbers) == 1 or best != numbers[-1] or 4 * best > LANES:
            return Tuning(backend.name, best, speeds[best])
        numbers = [best, 4 * best]


def _identity(backend: Backend) -> list[str]:
    return [backend.name, backend.identity() if backend.identity else ""]


def _shape(sweep: Sweep) -> list[str]:
    """Describe what a sweep's speed depends on: its operations and the device."""
    device = jax.local_devices()[0]
    return [
        device.device_kind,
        str(len(jax.local_devices())),
        cpu_model() if device.platform == "cpu" else "",
        __version__,
        jax.__version__,
        os.environ.get("XLA_FLAGS", ""),
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
