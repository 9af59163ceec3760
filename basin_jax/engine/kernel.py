"""The kernel: the compiled program that trains any number of seeds.

A lane trains one seed at a time; a block is the lanes that one device trains at once, few enough
that their state stays in its cache. Each local device works through a queue of seeds under
`shard_map`, some steps a call. A seed's evidence is the same bits whatever the number of seeds,
steps a call, calls and devices. The number of lanes is part of the executable: low bits depend on
it with the backend "xla", and not with those that are made for a platform.
"""

import math
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

import jax
import numpy as np
from jaxtyping import Array
from numpy import ndarray

from basin_jax.core.arguments import checked
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
from basin_jax.engine.lanes import Lanes, may_stop, shapes_of_lanes
from basin_jax.engine.pacing import StepBudget
from basin_jax.engine.sharded import Devices, Key, keep_only, program_of, put
from basin_jax.engine.waiting import Patience


# The most blocks and seeds in a device's queue, and bytes of parents' parameters: memory is bound.
BLOCKS, SEEDS, BYTES = 64, 2**16, 2**28
# Seconds that a call should take: how often progress shows, and what an interrupt waits. What
# XLA keeps of every step of a loop on CPUs until the call ends stays small, too.
CALL_SECONDS = 1.0
# Rounds of a seed that may stop early: between them lanes are refilled.
ROUNDS = 40

Part: TypeAlias = tuple[ndarray, dict[str, ndarray]]  # places of some seeds, and their evidence


def capacity(lanes: int) -> int:
    """Return the maximal number of blocks in a device's queue."""
    return max(1, min(BLOCKS, SEEDS // lanes))


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """The compiled program that trains any number of seeds of cells with one signature.

    Attributes:
        cells: the sweeps, which differ in hyperparameters and roots only.
        lanes: the number of lanes of a block.
        devices: the devices, each of which trains a block.
        backend: the backend that takes the steps.
        may_stop: whether a seed may stop before its last step.
        refills: whether a lane is refilled as soon as its seed has stopped.
        output: the output of a probe.
        parent: the kernel of the cells from whose ends the seeds start.
        parent_cells: the number of each cell's parent among the cells of `parent`.
    """

    cells: tuple[Sweep, ...]
    lanes: int
    devices: Devices
    backend: Backend
    may_stop: bool
    refills: bool
    output: Output = "evidence"
    parent: "Kernel | None" = None
    parent_cells: tuple[int, ...] = ()

    @property
    def _signature(self) -> Signature:
        return signature_of(self.cells[0], self.output)

    @property
    def _all_lanes(self) -> int:
        return self.lanes * len(self.devices)

    @property
    def _blocks(self) -> int:
        """The number of blocks in a device's queue; parents' parameters leave less room."""
        seen = count_params(self.cells[0]) if self.output == "params" else 0
        size = 8 * self.lanes * max(2 * seen, math.prod(self._signature.parent_shape), 2)
        return min(capacity(self.lanes), max(BYTES // size, 1))

    def compile(self) -> float:
        """Compile, by a call without seeds, and return the seconds that it took."""
        began = time.perf_counter()
        if self.parent is not None:
            self.parent.compile()
        self(np.zeros(0, np.uint64))
        return time.perf_counter() - began

    @property
    def programs(self) -> tuple[Key, ...]:
        """The compiled programs that it calls: its own, and its parents'."""
        own = self._signature, self.backend, self.devices
        return (own, *(self.parent.programs if self.parent is not None else ()))

    def __call__(
        self, seeds: ndarray, cells: ndarray | int = 0, **given: Any
    ) -> dict[str, ndarray]:
        """Return the evidence [seed, stop] of seeds, in their order; `given` is as in `stream`."""
        parts = list(self.stream(seeds, cells, **given))
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
        parent_params: ndarray | None = None,
        seconds: float = CALL_SECONDS,
        patience: Patience = Patience(),  # noqa: B008 (frozen)
    ) -> Iterator[Part]:
        """Yield the places of seeds whose training has ended, and their evidence, call by call.

        Args:
            seeds: any number of seeds.
            cells: the number of each seed's cell.
            hyperparameters: the float fields of each seed's plug-ins, in the order of their
                leaves; those of its cell if None.
            parent_params: what `parents` returns of the seeds; they are trained if None.
            seconds: the time that a call should take.
            patience: how long to wait for a call.

        Raises:
            GaveUp: if a call does not end.
            Interrupted: if it does not end after a signal.
        """
        which = np.broadcast_to(cells, len(seeds))
        inputs = self._inputs(seeds, which)
        if hyperparameters is not None:
            inputs = inputs._replace(hyperparameters=hyperparameters)
        kernel, budget = self, StepBudget(seconds, patience=patience)
        if parent_params is not None:
            kernel = replace(self, parent=None)
            inputs = inputs._replace(parent_params=parent_params)
        return kernel._train(inputs, self.cells[0].stops, budget, seeds, which)

    def parents(self, seeds: ndarray) -> ndarray:
        """Train the parents of seeds of the first cell, and return their parameters."""
        none = inputs_of(self.cells[0], seeds).parent_params
        if self.parent is None or not len(seeds):
            return none
        training = self._train_parents(self.parent, seeds, np.zeros(len(seeds), int), Patience())
        while True:
            try:
                next(training)
            except StopIteration as ended:
                return ended.value.astype(none.dtype)

    def blank(self, seeds: int) -> dict[str, ndarray]:
        """Return the evidence [seed, stop] of seeds of which there is none: not a number."""
        shapes = shapes_of_lanes(self._signature, self.lanes, seeds, len(self.cells[0].stops))
        return {n: np.full(s.shape, np.nan, s.dtype) for n, s in shapes.evidence.items()}

    def _inputs(self, seeds: ndarray, cells: ndarray) -> TrialInputs:
        kinds = [inputs_of(cell, np.uint64(0)) for cell in self.cells]
        roots, hyperparameters = (np.stack([kind[i] for kind in kinds])[cells] for i in (1, 2))
        return inputs_of(self.cells[0], seeds)._replace(
            root_bits=roots, hyperparameters=hyperparameters
        )

    def _train(
        self,
        inputs: TrialInputs,
        stops: Sequence[int],
        budget: StepBudget,
        seeds: ndarray,
        cells: ndarray,
    ) -> Iterator[Part]:
        """Train one queue after the other, each as long as memory allows."""
        share = self._blocks * self._all_lanes
        for first in range(0, max(len(seeds), 1), share):
            which = np.arange(first, min(first + share, len(seeds)))
            part = TrialInputs(*(x[which] for x in inputs))
            if self.parent is not None and len(which):
                own = seeds[which], cells[which], budget.patience
                ends = yield from self._train_parents(self.parent, *own)
                part = part._replace(parent_params=ends.astype(inputs.parent_params.dtype))
                budget.restart()
            yield from self._train_queue(part, which, stops, budget)

    def _train_parents(
        self, parent: "Kernel", seeds: ndarray, cells: ndarray, patience: Patience
    ) -> Generator[Part, None, ndarray]:
        """Yield parts without seeds, so that signals are heard; return the parents' parameters."""
        parents = cast(Child, self.cells[0].start).parents(seeds)
        kinds = np.repeat(np.array(self.parent_cells, np.uint64)[cells], parents.shape[1])
        # The children of one parent are a family: it is trained once.
        pairs = np.stack([kinds, parents.ravel()])
        (kinds, own), family = np.unique(pairs, axis=1, return_inverse=True)
        nothing = self.blank(0)
        shape = self._signature.parent_shape
        ends = np.empty((len(own), 2, shape[1]))
        for which, evidence in parent.stream(own, kinds.astype(np.int64), patience=patience):
            ends[which] = evidence["params"][:, [0, -1]]
            yield np.zeros(0, np.int64), nothing
        return ends[family].reshape(len(seeds), *shape)

    def _train_queue(
        self, inputs: TrialInputs, which: ndarray, stops: Sequence[int], budget: StepBudget
    ) -> Iterator[Part]:
        width, blocks = len(self.devices), self._blocks

        def deal(x: ndarray, fill: int = 0) -> ndarray:
            # Block j to device j mod width: a seed's lane is the same whatever the width.
            padded = np.full((blocks * self._all_lanes, *x.shape[1:]), fill, x.dtype)
            padded[: len(x)] = x
            dealt = padded.reshape(blocks, width, self.lanes, *x.shape[1:]).swapaxes(0, 1)
            return dealt.reshape(width, blocks * self.lanes, *x.shape[1:])

        places, queue = deal(which, -1), TrialInputs(*map(deal, inputs))
        counts = (places >= 0).sum(1, dtype=np.int32)
        lanes = self._free_lanes(len(stops))
        with numerics(self._signature.precision):
            given, queue, lanes = put((counts, queue, lanes), self.devices)
        stride, multiple_of = self._stride(stops)

        def call(lanes: Lanes, steps: int) -> tuple[Lanes, Array]:
            limits = (np.int32(stride), np.int32(steps), np.bool_(self.refills))
            with numerics(self._signature.precision):
                run = program_of((self._signature, self.backend, self.devices))
                return run(np.asarray(stops, np.int32), limits, given, queue, lanes)

        steps, seen, done = budget.next(multiple_of), np.zeros_like(places, bool), False
        lanes, left = call(lanes, steps)
        while not done:
            # One call is always under way while the evidence of another is used. After the last
            # one it finds nothing to do.
            following = budget.next(multiple_of)
            ahead = call(lanes, following)
            budget.patience.wait_for(lanes.done)
            if not _fetch(left).all():
                budget.record(steps)
            fresh = _fetch(lanes.done) & ~seen
            seen |= fresh
            done = seen.sum() == counts.sum()
            yield places[fresh], {n: v[fresh] for n, v in _fetch(lanes.evidence).items()}
            (lanes, left), steps = ahead, following

    def _stride(self, stops: Sequence[int]) -> tuple[int, int]:
        """Return the steps of a round, and a divisor of the steps of every call.

        Where seeds may stop early, a round divides the steps between all stops, so that lanes
        which were refilled at different times stay in step.
        """
        if not self.may_stop:
            return max(stops[-1], 1), 1
        check_every, wanted = self.cells[0].method.check_every, max(stops[-1] // ROUNDS, 1)
        common = math.gcd(*stops) or 1
        fits = [n for n in range(1, 2 * wanted + 1) if common % n == 0 and n % check_every == 0]
        stride = max(fits, default=max(wanted // check_every, 1) * check_every)
        return stride, stride

    def _free_lanes(self, stops: int) -> Lanes:
        """Return lanes without a seed, on every device."""
        width, length = len(self.devices), self._blocks * self.lanes
        shapes = shapes_of_lanes(self._signature, self.lanes, length, stops)
        lanes = jax.tree.map(lambda x: np.zeros((width, *x.shape), x.dtype), shapes)
        return lanes._replace(place=np.full_like(lanes.place, length))

    def speed(self, *, seconds: float) -> float:
        """Measure the steps of one seed per second, over all devices, in about `seconds`."""
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
        return blocks * self._all_lanes * steps / took

    def _time(self, steps: int, blocks: int) -> float:
        which = np.arange(blocks * self._all_lanes)
        inputs = inputs_of(self.cells[0], which)
        # Not from where parents end, which would take their time; nor from zeros, where nothing
        # moves and a seed may stop at once.
        start = 0.1 * np.random.default_rng(0).normal(size=inputs.parent_params.shape[1:])
        inputs = inputs._replace(parent_params=np.broadcast_to(start, inputs.parent_params.shape))
        stops = tuple(min(stop, steps) for stop in self.cells[0].stops)
        budget = StepBudget(math.inf, blocks * steps + 1)
        began = time.perf_counter()
        orphan = replace(self, parent=None)
        for _ in orphan._train(inputs, stops, budget, which, which):
            pass
        return time.perf_counter() - began


def _fetch(values: Any) -> Any:
    """Copy arrays from the devices, whatever transfers the user has forbidden."""
    with jax.transfer_guard("allow"):
        return jax.tree.map(np.asarray, values)


@checked
def build_kernel(
    sweep: Sweep | Sequence[Sweep],
    *,
    lanes: int,
    devices: Devices | None = None,
    backend: str | None = None,
    refill: bool = True,
) -> Kernel:
    """Build the kernel of a sweep, for some or for all local devices.

    Args:
        sweep: the sweep to train, or cells that differ in nothing but hyperparameters and roots:
            their seeds share lanes.
        lanes: the number of lanes of a block.
        devices: the devices to train on; all local devices if None.
        backend: "cpu", "cuda" or "xla"; if None, the one made for the devices, or else "xla".
        refill: whether a lane is refilled as soon as its seed has stopped, rather than at the
            last step. It changes no bit, only the time it takes.

    Raises:
        ValueError: where the plug-ins do not fit together, the lanes are not positive,
            cells differ in more than hyperparameters and roots, or the backend has no program
            for the sweep, with the reason.
    """
    if lanes < 1:
        raise ValueError(f"lanes = {lanes}; allowed: at least 1")
    if backend is not None and backend not in BACKENDS:
        raise ValueError(f"backend = {backend!r}; allowed: {', '.join(BACKENDS)}")
    cells = (sweep,) if isinstance(sweep, Sweep) else tuple(sweep)
    asked = None if backend is None else BACKENDS[backend]
    return _build(cells, lanes, devices or tuple(jax.local_devices()), asked, refill)


def release_others(kernels: Sequence[Kernel]) -> None:
    """Release all compiled programs but those of some kernels, and the one used last before.

    A kernel whose program was released compiles it anew where it is called.
    """
    keep_only({key for kernel in kernels for key in kernel.programs})


def _build(
    cells: tuple[Sweep, ...],
    lanes: int,
    devices: Devices,
    backend: Backend | None,
    refill: bool,
    output: Output = "evidence",
) -> Kernel:
    signature = signature_of(cells[0])
    if any(signature_of(cell) != signature or cell.schedule != cells[0].schedule for cell in cells):
        raise ValueError(
            "cells differ in more than hyperparameters and roots; allowed: a kernel for each"
        )
    evidence_names(cells[0])
    parents = [with_beginning(c.start.of) for c in cells if isinstance(c.start, Child)]
    unique = tuple(dict.fromkeys(parents))
    parent = None
    if unique:
        # The native backend, or XLA, where the one asked for has no program for its steps.
        refused = backend and backend.why_not(signature_of(unique[0]))
        parent = _build(unique, lanes, devices, None if refused else backend, refill, "params")
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
        refills=refill,
        output=output,
        parent=parent,
        parent_cells=tuple(map(unique.index, parents)),
    )
