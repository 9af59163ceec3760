"""The performance core: the compiled program that trains any number of seeds.

A lane trains one seed; a block is the lanes that one device works on at once, few enough that
their state stays in cache; the loop over steps runs inside the loop over blocks, and each local
device runs whole blocks under `shard_map`. The number of lanes is part of the executable, since
XLA's low bits depend on it; the number of blocks, of steps and of devices is not, so a seed's
evidence is the same bits whatever they are.
"""

import functools
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float
from numpy import ndarray

from basin_jax.blocks import Lanes, Program, advance_queue, idle, may_stop, plugins_of, train
from basin_jax.lane import Row, Shape, begin, look, numerics, rows_of, shape_of, spans, step
from basin_jax.plan import as_seeds
from basin_jax.simd.arrays import Unsupported
from basin_jax.spec import Sweep


# Blocks, and seeds, that a call can hold a device: they bound memory. A call runs as many
# blocks as it is given.
BLOCKS, SEEDS = 64, 2**16
# Seconds of work a call aims at: how often progress shows, and what an interrupt waits.
CALL_SECONDS = 1.0
# Rounds that a seed takes which does not stop early: between them lanes are handed on.
ROUNDS = 40

Devices: TypeAlias = tuple[Any, ...]  # of jax.Device, which type checkers take for no type
Part: TypeAlias = tuple[ndarray, dict[str, ndarray]]  # which of the seeds, and their evidence

# A device a core needs no threads inside an op, and their number would change low bits.
CPU = {
    "xla_cpu_multi_thread_eigen": False,
    "xla_disable_hlo_passes": "cpu-parallel-task-assigner",
}


def capacity(lanes: int) -> int:
    """Return how many blocks of so many lanes a call can hold a device."""
    return max(1, min(BLOCKS, SEEDS // lanes))


def trial(sweep: Sweep, seed: int) -> dict[str, Float[Array, " stop"]]:
    """Train one seed and return its evidence at each of the sweep's stops.

    A pure function of a seed: the unit of meaning of the package. `run` computes it for
    many seeds at once, to within the rounding that programs and lanes bring.
    """
    (seed,) = as_seeds([seed])
    with numerics(sweep.precision):
        return _jitted_trial(shape_of(sweep), jnp.asarray(sweep.stops), rows_of(sweep, seed))


def _trial(shape: Shape, stops, row: Row) -> dict[str, Float[Array, " stop"]]:
    plugins = plugins_of(shape, row)
    state, keys = begin(plugins, row, shape.vary)

    def until(state, span):
        turn = functools.partial(step, plugins, keys)
        state = jax.lax.fori_loop(span[0], span[1], turn, state)
        return state, look(plugins, keys, state)

    return jax.lax.scan(until, state, spans(stops))[1]


_jitted_trial = jax.jit(_trial, static_argnums=0)


@functools.cache
def _block_program(shape: Shape, program: Program, lanes: int, devices: Devices):
    """Return the jitted function that trains blocks of seeds from the first step to the last."""

    def shard(stops, counts, rows):
        # One device's share: rows[1, blocks, lanes, ...], of which counts[0] blocks run.
        def block(b):
            return train(shape, program, stops, jax.tree.map(lambda x: x[0, b], rows))

        def body(b, out):
            return jax.tree.map(lambda o, e: o.at[0, b].set(e), out, block(b))

        shapes = jax.eval_shape(block, 0)
        empty = jax.tree.map(lambda s: jnp.zeros((1, capacity(lanes), *s.shape), s.dtype), shapes)
        return jax.lax.fori_loop(0, counts[0], body, empty)

    return _over(devices, shard, (P(), P("device"), P("device")))


@functools.cache
def _queue_program(shape: Shape, program: Program, devices: Devices):
    """Return the jitted function that goes on with a queue of seeds for some rounds."""

    def shard(stops, stride, rounds, early, counts, queue, lanes):
        queue, lanes = jax.tree.map(lambda x: x[0], (queue, lanes))
        lanes = advance_queue(
            shape,
            program,
            stops,
            queue,
            counts[0],
            stride=stride,
            rounds=rounds,
            early=early,
            lanes=lanes,
        )
        return jax.tree.map(lambda x: x[None], lanes)

    return _over(devices, shard, (P(), P(), P(), P(), P("device"), P("device"), P("device")))


def _over(devices: Devices, shard: Any, in_specs: tuple[P, ...]):
    sharded = jax.shard_map(
        shard,
        mesh=Mesh(np.array(devices), ("device",)),
        in_specs=in_specs,
        out_specs=P("device"),
        check_vma=False,
    )
    return jax.jit(sharded, compiler_options=CPU if devices[0].platform == "cpu" else None)


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """Train any number of seeds, of one sweep or of cells that differ in numbers only."""

    cells: tuple[Sweep, ...]
    lanes: int
    devices: Devices
    program: Program
    may_stop: bool  # a seed, before the last step
    hands_on: bool  # its lane to the next one, as soon as it has stopped

    @property
    def _shape(self) -> Shape:
        return shape_of(self.cells[0])

    @property
    def _block(self) -> int:
        return self.lanes * len(self.devices)

    def compile(self) -> float:
        """Compile by a call with no seed in it; return the seconds it took."""
        began = time.perf_counter()
        rows = self._rows(np.zeros(0, np.uint64), np.zeros(0, int))
        for _ in self._calls(rows, blocks=1, stops=self.cells[0].stops, empty=True):
            pass
        return time.perf_counter() - began

    def __call__(self, seeds: ndarray, cells: ndarray | int = 0) -> dict[str, ndarray]:
        """Return evidence [seed, stop] of any number of seeds, each of the cell of its number."""
        parts = list(self.stream(seeds, cells, blocks=capacity(self.lanes)))
        order = np.argsort(np.concatenate([which for which, _ in parts]))
        names = parts[0][1]
        return {n: np.concatenate([seen[n] for _, seen in parts])[order] for n in names}

    def stream(self, seeds: ndarray, cells: ndarray | int = 0, *, blocks: int) -> Iterator[Part]:
        """Yield which seeds are trained, by their places, and their evidence, a call at a time.

        Args:
            seeds: any number of them.
            cells: the number of each one's cell.
            blocks: of lanes, from the first step to the last, that a call may take a device.
        """
        rows = self._rows(seeds, np.broadcast_to(cells, len(seeds)))
        return self._calls(rows, blocks=blocks, stops=self.cells[0].stops)

    def _rows(self, seeds: ndarray, cells: ndarray) -> Row:
        kinds = [rows_of(cell, np.uint64(0)) for cell in self.cells]
        roots, numbers = (np.stack([kind[i] for kind in kinds])[cells] for i in (1, 2))
        return Row(rows_of(self.cells[0], seeds).seed, roots, numbers)

    def _calls(
        self, rows: Row, *, blocks: int, stops: Sequence[int], empty: bool = False
    ) -> Iterator[Part]:
        if self.may_stop:
            return self._queues(rows, blocks=blocks, stops=stops, empty=empty)
        return self._blocks(rows, blocks=blocks, stops=stops, empty=empty)

    def _blocks(self, rows: Row, *, blocks: int, stops, empty: bool) -> Iterator[Part]:
        """Train whole blocks. One call is always under way while another's evidence is used."""
        share, running = blocks * self._block, None
        for first in range(0, len(rows.seed) + empty, share):
            which = np.arange(first, min(first + share, len(rows.seed)))
            following = which, self._dispatch(Row(*(x[which] for x in rows)), stops)
            if running:
                yield self._fetch(*running)
            running = following
        if running:
            yield self._fetch(*running)

    def _dispatch(self, rows: Row, stops: Sequence[int]) -> dict[str, Array]:
        width, size, held = len(self.devices), len(rows.seed), capacity(self.lanes)
        blocks = -(-size // self.lanes)
        # Block j runs on device j mod width; what is left of the last block is padded.
        grouped = jax.tree.map(
            lambda x: (
                _padded(x, held * self._block)
                .reshape(held, width, self.lanes, *x.shape[1:])
                .swapaxes(0, 1)
            ),
            rows,
        )
        counts = np.array([len(range(d, blocks, width)) for d in range(width)], np.int32)
        with numerics(self._shape.precision):
            run = _block_program(self._shape, self.program, self.lanes, self.devices)
            return run(np.asarray(stops, np.int32), counts, grouped)

    def _fetch(self, which: ndarray, evidence: dict[str, Array]) -> Part:
        _wait(evidence)

        def flat(values):
            values = np.asarray(values).swapaxes(0, 1)
            return values.reshape(-1, values.shape[-1])[: len(which)]

        return which, {name: flat(values) for name, values in evidence.items()}

    def _queues(self, rows: Row, *, blocks: int, stops, empty: bool) -> Iterator[Part]:
        """Train queues of seeds, each as long as memory is for."""
        share = capacity(self.lanes) * self._block
        for first in range(0, len(rows.seed) + empty, share):
            which = np.arange(first, min(first + share, len(rows.seed)))
            yield from self._queue(Row(*(x[which] for x in rows)), which, blocks, stops)

    def _queue(self, rows: Row, which: ndarray, blocks: int, stops) -> Iterator[Part]:
        width, length = len(self.devices), capacity(self.lanes) * self.lanes
        places = _padded(which, width * length, fill=-1).reshape(length, width).T
        queue = jax.tree.map(
            lambda x: (
                _padded(x, width * length).reshape(length, width, *x.shape[1:]).swapaxes(0, 1)
            ),
            rows,
        )
        counts = (places >= 0).sum(1, dtype=np.int32)
        stride = _stride(stops, self.cells[0].method.check_every)
        rounds = max(ROUNDS, blocks * stops[-1] // stride)
        with numerics(self._shape.precision):
            run = _queue_program(self._shape, self.program, self.devices)
            lanes = self._idle(Row(*(x[0] for x in queue)), len(stops))
        seen = np.zeros_like(places, bool)
        while True:
            with numerics(self._shape.precision):
                limits = (np.int32(stride), np.int32(rounds), np.bool_(self.hands_on))
                lanes = run(np.asarray(stops, np.int32), *limits, counts, queue, lanes)
            _wait(lanes.done)
            fresh = np.asarray(lanes.done) & ~seen
            seen |= fresh
            yield places[fresh], {n: np.asarray(v)[fresh] for n, v in lanes.evidence.items()}
            if seen.sum() == counts.sum():
                return

    def _idle(self, queue: Row, stops: int) -> Lanes:
        """Return lanes that wait for their first seed, on every device."""
        shapes = idle(self._shape, queue, self.lanes, stops)
        width = len(self.devices)
        lanes = jax.tree.map(lambda x: np.zeros((width, *x.shape), x.dtype), shapes)
        return lanes._replace(slot=np.full_like(lanes.slot, len(queue.seed)))

    def speed(self, *, seconds: float) -> float:
        """Measure training steps of one seed per second, over all devices."""
        self.compile()
        sweep = self.cells[0]
        rows = rows_of(sweep, np.arange(self._block, dtype=np.uint64))
        steps = min(sweep.num_steps, 8) or 1
        while True:
            took = self._time(rows, steps)
            if took >= seconds / 4 or steps >= sweep.num_steps:
                break
            steps = min(sweep.num_steps, int(steps * max(2, min(16, seconds / 2 / took))))
        best = min(took, self._time(rows, steps), self._time(rows, steps))
        return self._block * steps / best

    def _time(self, rows: Row, steps: int) -> float:
        stops = tuple(min(stop, steps) for stop in self.cells[0].stops)
        began = time.perf_counter()
        for _ in self._calls(rows, blocks=1, stops=stops):
            pass
        return time.perf_counter() - began


def _padded(values: ndarray, length: int, fill: int = 0) -> ndarray:
    padded = np.full((length, *values.shape[1:]), fill, values.dtype)
    padded[: len(values)] = values
    return padded


def _wait(values: Any) -> None:
    while not all(value.is_ready() for value in jax.tree.leaves(values)):
        time.sleep(0.005)  # in Python, so that signals are heard


def _stride(stops: Sequence[int], check_every: int) -> int:
    """Return the steps of a round: a divisor of all spans, so that lanes stay in step."""
    wanted = max(stops[-1] // ROUNDS, 1)
    common = math.gcd(*stops) or 1
    fitting = [n for n in range(1, 2 * wanted + 1) if common % n == 0 and n % check_every == 0]
    return max(fitting, default=max(wanted // check_every, 1) * check_every)


def build_kernel(
    sweep: Sweep | Sequence[Sweep],
    *,
    lanes: int,
    devices: Devices | None = None,
    program: Program | None = None,
    hand_on: bool = True,
) -> Kernel:
    """Return the compiled program of a sweep, for some or for all local devices.

    Args:
        sweep: what to train, or cells that differ in nothing but numbers and roots: their
            seeds share lanes.
        lanes: seeds trained side by side.
        devices: where; all local devices if None.
        program: "simd" or "xla"; "simd" if None and there is one.
        hand_on: whether a lane goes to the next seed as soon as its own has stopped. It
            changes no bit, only the time it takes.

    Raises:
        ValueError: where the plug-ins do not fit together, the lanes are not positive,
            cells differ in more than numbers, or there is no such program, with the reason.
    """
    if lanes < 1:
        raise ValueError(f"lanes = {lanes}; allowed: at least 1")
    cells = (sweep,) if isinstance(sweep, Sweep) else tuple(sweep)
    shape = shape_of(cells[0])
    if any(shape_of(cell) != shape or cell.stops != cells[0].stops for cell in cells):
        raise ValueError("cells differ in more than numbers and roots; allowed: a kernel for each")
    evidence_names(cells[0])
    why = refusal(cells[0]) if program != "xla" else None
    if program == "simd" and why:
        raise ValueError(f'program = "simd"; allowed: "xla", since simd has none for {why}')
    return Kernel(
        cells=cells,
        lanes=lanes,
        devices=devices or tuple(jax.local_devices()),
        program=program or ("xla" if why else "simd"),
        may_stop=_may_stop(shape),
        hands_on=hand_on,
    )


def evidence_names(sweep: Sweep) -> tuple[str, ...]:
    """Return the names of a sweep's evidence, by tracing a trial without running it."""
    return _evidence_names(shape_of(sweep))


def refusal(sweep: Sweep) -> str | None:
    """Return why a sweep has no program of `simd`, or None where it has one."""
    if jax.local_devices()[0].platform != "cpu":
        return "devices other than CPUs"
    return _refusal(shape_of(sweep))


def traced(sweep: Sweep) -> Jaxpr:
    """Return a trial's operations, in which the sweep's floats, root and steps are inputs."""
    return _traced(shape_of(sweep))


@functools.cache
def _evidence_names(shape: Shape) -> tuple[str, ...]:
    with numerics(shape.precision):
        stops, row = _abstract(shape)
        return tuple(sorted(jax.eval_shape(functools.partial(_trial, shape), stops, row)))


@functools.cache
def _refusal(shape: Shape) -> str | None:
    with numerics(shape.precision):
        stops, rows = _abstract(shape, 1)
        try:
            jax.eval_shape(functools.partial(train, shape, "simd"), stops, rows)
        except Unsupported as why:
            return str(why)
    return None


@functools.cache
def _may_stop(shape: Shape) -> bool:
    with numerics(shape.precision):
        return may_stop(shape, _abstract(shape, 1)[1])


@functools.cache
def _traced(shape: Shape) -> Jaxpr:
    with numerics(shape.precision):
        return jax.make_jaxpr(functools.partial(_trial, shape))(*_abstract(shape)).jaxpr


def _abstract(shape: Shape, *lanes: int) -> tuple[Any, Row]:
    words = jax.ShapeDtypeStruct((*lanes, 2), np.uint32)
    numbers = jax.ShapeDtypeStruct((*lanes, shape.numbers), jnp.result_type(float))
    return jax.ShapeDtypeStruct((shape.stops,), np.int32), Row(words, words, numbers)
