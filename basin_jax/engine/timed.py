"""Time the training steps of a block of lanes, without the rest of a kernel.

The steps alone compile in a moment, where a whole kernel takes seconds.

On CPUs a speed is per second of the CPU, summed over threads, so that other processes disturb it
little. It is also what training gets: a block runs on each core at once, so that a program on two
threads would take the core of another block. None does: `OPTIONS` keeps XLA to one thread a device,
here as in training. With fewer devices than cores (`JAX_NUM_CPU_DEVICES`) the cores that are left
stay idle, and count for no backend. On other devices a speed is per second of the clock.
"""

import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from basin_jax.core.sweep import Sweep
from basin_jax.core.trial import inputs_of, numerics, signature_of
from basin_jax.engine.backends import Backend, lane_shapes
from basin_jax.engine.sharded import OPTIONS


# Seconds of a measurement, and the most steps in it.
SECONDS, MOST_STEPS = 0.05, 2**24


class TimedSteps:
    """The compiled steps of a block of lanes on one device, to be timed again and again.

    Args:
        sweep: the sweep to train.
        backend: what takes the steps.
        lanes: the number of lanes of the block.
    """

    def __init__(self, sweep: Sweep, backend: Backend, lanes: int):
        self.sweep, self.backend, self.lanes = sweep, backend, lanes
        self._signature, self._steps = signature_of(sweep), 8
        self._devices = jax.local_devices()
        platform = self._devices[0].platform
        self._clock = time.process_time if platform == "cpu" else time.perf_counter
        self._compiled: Any = jax.jit(self._advance, compiler_options=OPTIONS.get(platform))
        self._given: tuple[Any, ...] | None = None

    def speed(self) -> float:
        """Measure the training steps of one seed per second (on CPUs, of the CPU), on all devices.

        It is 0 where the lanes do not fit into the device's memory.
        """
        try:
            if self._given is None:
                self._given = jax.device_put(self._example(), self._devices[0])
                self._time(0)  # compiles
            while (took := self._time(self._steps)) < SECONDS / 2 and self._steps < MOST_STEPS:
                self._steps = int(self._steps * min(max(2.0, SECONDS / max(took, 1e-6)), 64.0))
        except jax.errors.JaxRuntimeError:
            return 0.0
        return self.lanes * len(self._devices) * self._steps / max(took, 1e-9)

    def _example(self) -> tuple[Any, ...]:
        """Return inputs, keys and a state of small numbers, which cost no compilation."""
        draw = np.random.default_rng(0)

        def fill(like: Any) -> np.ndarray:
            if not jnp.issubdtype(like.dtype, jnp.floating):
                return np.zeros(like.shape, like.dtype)
            # Above zero, since a state may hold squares.
            return (0.1 * np.abs(draw.normal(size=like.shape))).astype(like.dtype)

        with numerics(self._signature.precision):
            _, state, keys = jax.tree.map(fill, lane_shapes(self._signature, self.lanes))
        inputs = inputs_of(self.sweep, np.arange(self.lanes, dtype=np.uint64))
        return inputs, keys, state, np.zeros(self.lanes, np.int32)

    def _advance(self, inputs: Any, keys: Any, state: Any, steps: Any, count: Any) -> Any:
        return self.backend.advance(self._signature, inputs, keys, state, steps, count)

    def _time(self, steps: int) -> float:
        assert self._given is not None
        count = np.int32(steps)
        with numerics(self._signature.precision):
            began = self._clock()
            jax.block_until_ready(self._compiled(*self._given, count))
            return self._clock() - began


def speeds_in_turns(candidates: Sequence[TimedSteps], turns: int) -> list[list[float]]:
    """Measure candidates in turns, so that a busy moment slows them all.

    Returns:
        The speeds of each candidate, one for each turn.
    """
    speeds: list[list[float]] = [[] for _ in candidates]
    for turn in range(turns):
        # To and fro, so that none is always the first.
        for i in range(len(candidates))[:: -1 if turn % 2 else 1]:
            speeds[i].append(candidates[i].speed())
    return speeds
