"""The performance core: the compiled program that trains any number of seeds.

A lane trains one seed; a block is the lanes that one device works on at once, few enough that
their state stays in cache; each local device works through a queue of seeds under `shard_map`,
some steps a call. A seed's evidence is the same bits whatever the number of seeds, of steps, of
calls and of devices. The number of lanes is part of the executable: by the backend "xla" low bits
hang on it, by those made for a platform they do not.
"""

import math
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import jax
import numpy as np
from jaxtyping import Array
from numpy import ndarray

from basin_jax.core.identity import evidence_names
from basin_jax.core.sweep import Child, Sweep
from basin_jax.core.trial import (
    Output,
    Signature,
    TrialInputs,
    count_params,
    inputs_of,
    numerics,
    signature_of,
    with_beginning,
)
from basin_jax.engine.backends import BACKENDS, Backend, backends_for
from basin_jax.engine.lanes import Lanes, idle, may_stop
from basin_jax.engine.sharded import Devices, advance, put


# Blocks, and seeds, of a device's queue, and bytes of parents' parameters: they bound memory.
BLOCKS, SEEDS, BYTES = 64, 2**16, 2**28
# Seconds of work a call aims at: how often progress shows, and what an interrupt waits. What
# XLA keeps of every step of a loop on CPUs until the call ends stays small, too.
CALL_SECONDS = 1.0
# Steps of a first call, and the most that a call may be longer than the one before.
FIRST, GROWTH = 64, 32
# Rounds that a seed takes which might stop early: between them lanes are handed on.
ROUNDS = 40

Part: TypeAlias = tuple[ndarray, dict[str, ndarray]]  # which of the seeds, and their evidence


def capacity(lanes: int) -> int:
    """Return how many blocks of so many lanes a call can hold a device."""
    return max(1, min(BLOCKS, SEEDS // lanes))


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """Train any number of seeds, of one sweep or of cells that differ in numbers only."""

    cells: tuple[Sweep, ...]
    lanes: int
    devices: Devices
    backend: Backend
    may_stop: bool  # a seed, before the last step
    hands_on: bool  # its lane to the next one, as soon as it has stopped
    output: Output = "evidence"
    parent: "Kernel | None" = None  # whose ends the seeds start from
    descent: tuple[int, ...] = ()  # the number of each cell's parent among the parent's cells

    @property
    def _signature(self) -> Signature:
        return signature_of(self.cells[0], self.output)

    @property
    def _block(self) -> int:
        return self.lanes * len(self.devices)

    @property
    def _held(self) -> int:
        """How many blocks a call can hold a device: parameters of parents take their place."""
        seen = count_params(self.cells[0]) if self.output == "params" else 0
        size = 2 * 8 * self.lanes * max(seen, self._signature.num_parent_params, 1)
        return min(capacity(self.lanes), max(BYTES // size, 1))

    def compile(self) -> float:
        """Compile by a call with no seed in it; return the seconds it took."""
        began = time.perf_counter()
        if self.parent is not None:
            self.parent.compile()
        self(np.zeros(0, np.uint64))
        return time.perf_counter() - began

    def __call__(
        self, seeds: ndarray, cells: ndarray | int = 0, *, hyperparameters: ndarray | None = None
    ) -> dict[str, ndarray]:
        """Return evidence [seed, stop] of any number of seeds, each of the cell of its number."""
        parts = list(self.stream(seeds, cells, hyperparameters=hyperparameters))
        which = np.concatenate([which for which, _ in parts])
        order = np.empty_like(which)
        order[which] = np.arange(len(which))
        names = parts[0][1]
        return {n: np.concatenate([seen[n] for _, seen in parts])[order] for n in names}

    def stream(
        self,
        seeds: ndarray,
        cells: ndarray | int = 0,
        *,
        hyperparameters: ndarray | None = None,
        seconds: float = CALL_SECONDS,
    ) -> Iterator[Part]:
        """Yield which seeds are trained, by their places, and their evidence, a call at a time.

        Args:
            seeds: any number of them.
            cells: the number of each one's cell.
            hyperparameters: the float fields of each one's plug-ins, in the order of their leaves;
                those of its cell if None.
            seconds: of work that a call aims at.
        """
        which = np.broadcast_to(cells, len(seeds))
        rows = self._rows(seeds, which)
        if hyperparameters is not None:
            rows = rows._replace(hyperparameters=hyperparameters)
        return self._queues(rows, self.cells[0].stops, _Pace(seconds), seeds, which)

    def _rows(self, seeds: ndarray, cells: ndarray) -> TrialInputs:
        kinds = [inputs_of(cell, np.uint64(0)) for cell in self.cells]
        roots, hyperparameters = (np.stack([kind[i] for kind in kinds])[cells] for i in (1, 2))
        return inputs_of(self.cells[0], seeds)._replace(
            root_bits=roots, hyperparameters=hyperparameters
        )

    def _queues(
        self, rows: TrialInputs, stops: Sequence[int], pace: "_Pace", seeds: ndarray, cells: ndarray
    ) -> Iterator[Part]:
        """Train one queue after the other, each as long as memory is for."""
        share = self._held * self._block
        for first in range(0, max(len(seeds), 1), share):
            which = np.arange(first, min(first + share, len(seeds)))
            part = TrialInputs(*(x[which] for x in rows))
            if self.parent is not None and len(which):
                ends = yield from self._train_parents(self.parent, seeds[which], cells[which])
                part = part._replace(parent_params=ends.astype(rows.parent_params.dtype))
                pace.restart()
            yield from self._queue(part, which, stops, pace)

    def _train_parents(
        self, parent: "Kernel", seeds: ndarray, cells: ndarray
    ) -> Generator[Part, None, ndarray]:
        """Yield parts with no seed in them, so that signals are heard; return parameters."""
        kinds = np.array(self.descent, np.uint64)[cells]
        broods = [cell.start.children for cell in self.cells if isinstance(cell.start, Child)]
        seeds = seeds // np.array(broods, np.uint64)[cells]
        (kinds, own), children = np.unique(np.stack([kinds, seeds]), axis=1, return_inverse=True)
        stops = len(self.cells[0].stops)
        shapes = idle(self._signature, self.lanes, 0, stops).evidence
        nothing = {name: np.zeros(shape.shape, shape.dtype) for name, shape in shapes.items()}
        ends = np.empty((len(own), 2, self._signature.num_parent_params))
        for which, seen in parent.stream(own, kinds.astype(np.int64)):
            ends[which] = seen["params"][:, [0, -1]]
            yield np.zeros(0, np.int64), nothing
        return ends[children]

    def _queue(
        self, rows: TrialInputs, which: ndarray, stops: Sequence[int], pace: "_Pace"
    ) -> Iterator[Part]:
        width, held = len(self.devices), self._held

        def dealt(x: ndarray, fill: int = 0) -> ndarray:
            # Block j to device j mod width: a seed's lane is the same whatever the width.
            padded = np.full((held * self._block, *x.shape[1:]), fill, x.dtype)
            padded[: len(x)] = x
            blocks = padded.reshape(held, width, self.lanes, *x.shape[1:]).swapaxes(0, 1)
            return blocks.reshape(width, held * self.lanes, *x.shape[1:])

        places, queue = dealt(which, -1), TrialInputs(*map(dealt, rows))
        counts = (places >= 0).sum(1, dtype=np.int32)
        lanes = self._idle(len(stops))
        with numerics(self._signature.precision):
            given, queue, lanes = put((counts, queue, lanes), self.devices)
        stride, unit = self._stride(stops)

        def call(lanes: Lanes, budget: int) -> tuple[Lanes, Array]:
            limits = (np.int32(stride), np.int32(budget), np.bool_(self.hands_on))
            with numerics(self._signature.precision):
                run = advance(self._signature, self.backend, self.devices)
                return run(np.asarray(stops, np.int32), *limits, given, queue, lanes)

        budget, seen, done = pace.budget(unit), np.zeros_like(places, bool), False
        lanes, left = call(lanes, budget)
        while not done:
            # One call is always under way while another's evidence is used. Behind the last
            # one it finds nothing to do.
            following = pace.budget(unit)
            ahead = call(lanes, following)
            _wait(lanes.done)
            if not np.asarray(left).all():
                pace.heed(budget)
            fresh = np.asarray(lanes.done) & ~seen
            seen |= fresh
            done = seen.sum() == counts.sum()
            yield places[fresh], {n: np.asarray(v)[fresh] for n, v in lanes.evidence.items()}
            (lanes, left), budget = ahead, following

    def _stride(self, stops: Sequence[int]) -> tuple[int, int]:
        """Return the steps of a round, and of what a call takes multiples.

        Where lanes are handed on early, between rounds, they are a divisor of all spans, so
        that lanes stay in step.
        """
        if not self.may_stop:
            return max(stops[-1], 1), 1
        check_every, wanted = self.cells[0].method.check_every, max(stops[-1] // ROUNDS, 1)
        common = math.gcd(*stops) or 1
        fits = [n for n in range(1, 2 * wanted + 1) if common % n == 0 and n % check_every == 0]
        stride = max(fits, default=max(wanted // check_every, 1) * check_every)
        return stride, stride

    def _idle(self, stops: int) -> Lanes:
        """Return lanes that wait for their first seed, on every device."""
        width, length = len(self.devices), self._held * self.lanes
        shapes = idle(self._signature, self.lanes, length, stops)
        lanes = jax.tree.map(lambda x: np.zeros((width, *x.shape), x.dtype), shapes)
        return lanes._replace(slot=np.full_like(lanes.slot, length))

    def speed(self, *, seconds: float) -> float:
        """Measure training steps of one seed per second, over all devices."""
        self.compile()
        most = self.cells[0].num_steps
        steps, blocks = min(most, 8) or 1, 1
        while (took := self._time(steps, blocks)) < seconds / 4:
            factor = max(2, min(16, seconds / 2 / took))
            if steps < most:
                steps = min(most, int(steps * factor))
            elif blocks < capacity(self.lanes):
                blocks = min(capacity(self.lanes), int(blocks * factor))
            else:
                break
        took = min(took, self._time(steps, blocks), self._time(steps, blocks))
        return blocks * self._block * steps / took

    def _time(self, steps: int, blocks: int) -> float:
        which = np.arange(blocks * self._block)
        rows = inputs_of(self.cells[0], which)
        # Not from where parents end, which would take their time; nor from zeros, where nothing
        # moves and a seed may stop at once.
        start = 0.1 * np.random.default_rng(0).normal(size=rows.parent_params.shape[1:])
        rows = rows._replace(parent_params=np.broadcast_to(start, rows.parent_params.shape))
        stops = tuple(min(stop, steps) for stop in self.cells[0].stops)
        pace = _Pace(math.inf, blocks * steps + 1)
        began = time.perf_counter()
        orphan = replace(self, parent=None)
        for _ in orphan._queues(rows, stops, pace, which, which):
            pass
        return time.perf_counter() - began


class _Pace:
    """Find how many steps a call takes that takes so many seconds."""

    def __init__(self, seconds: float, steps: int = FIRST):
        self.seconds, self.steps, self.began = seconds, steps, time.perf_counter()

    def restart(self) -> None:
        """Forget the time since the last call: it was spent on something else."""
        self.began = time.perf_counter()

    def budget(self, unit: int) -> int:
        """Return the steps of the next call, a multiple of a unit."""
        return min(-(-self.steps // unit) * unit, 2**31 - 1)

    def heed(self, steps: int) -> None:
        """Heed that a call of so many steps is at its end."""
        now = time.perf_counter()
        factor = min(self.seconds / (now - self.began), GROWTH)
        self.steps, self.began = max(int(steps * factor), 1), now


def _wait(values: Any) -> None:
    pause = 1e-4
    while not all(value.is_ready() for value in jax.tree.leaves(values)):
        time.sleep(pause)  # in Python, so that signals are heard
        pause = min(2 * pause, 5e-3)


def build_kernel(
    sweep: Sweep | Sequence[Sweep],
    *,
    lanes: int,
    devices: Devices | None = None,
    backend: str | None = None,
    hand_on: bool = True,
) -> Kernel:
    """Return the compiled program of a sweep, for some or for all local devices.

    Args:
        sweep: what to train, or cells that differ in nothing but numbers and roots: their
            seeds share lanes.
        lanes: seeds trained side by side.
        devices: where; all local devices if None.
        backend: "cpu", "cuda" or "xla"; if None, the one made for the devices, or else "xla".
        hand_on: whether a lane goes to the next seed as soon as its own has stopped. It
            changes no bit, only the time it takes.

    Raises:
        ValueError: where the plug-ins do not fit together, the lanes are not positive,
            cells differ in more than numbers, or the backend has no program for the sweep,
            with the reason.
    """
    if lanes < 1:
        raise ValueError(f"lanes = {lanes}; allowed: at least 1")
    if backend is not None and backend not in BACKENDS:
        raise ValueError(f"backend = {backend!r}; allowed: {', '.join(BACKENDS)}")
    cells = (sweep,) if isinstance(sweep, Sweep) else tuple(sweep)
    asked = None if backend is None else BACKENDS[backend]
    return _build(cells, lanes, devices or tuple(jax.local_devices()), asked, hand_on)


def _build(
    cells: tuple[Sweep, ...],
    lanes: int,
    devices: Devices,
    backend: Backend | None,
    hand_on: bool,
    output: Output = "evidence",
) -> Kernel:
    signature = signature_of(cells[0])
    if any(signature_of(cell) != signature or cell.schedule != cells[0].schedule for cell in cells):
        raise ValueError("cells differ in more than numbers and roots; allowed: a kernel for each")
    evidence_names(cells[0])
    parents = [with_beginning(c.start.of) for c in cells if isinstance(c.start, Child)]
    unique = tuple(dict.fromkeys(parents))
    parent = None
    if unique:
        # The native backend, or XLA, where the one asked for has no program for its steps.
        refused = backend and backend.why_not(signature_of(unique[0]))
        parent = _build(unique, lanes, devices, None if refused else backend, hand_on, "params")
    if backend is None:
        backend = backends_for(cells[0])[0]
    elif why := backend.why_not(signature):
        raise ValueError(
            f'backend = "{backend.name}"; allowed: "xla", since {backend.name} has no program '
            f"for {why}"
        )
    return Kernel(
        cells=cells,
        lanes=lanes,
        devices=devices,
        backend=backend,
        may_stop=may_stop(signature),
        hands_on=hand_on,
        output=output,
        parent=parent,
        descent=tuple(map(unique.index, parents)),
    )
