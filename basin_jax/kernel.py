"""The performance core: a trial, and the compiled program that trains blocks of them.

A lane trains one seed; a block is the lanes that one program instance holds, small
enough that their state stays in cache; the loop over steps runs inside the loop over
blocks, and each local device runs whole blocks under `shard_map`. The number of lanes is
part of the executable, since XLA's low bits depend on it; the number of blocks, of steps
and of devices is not, so a seed's evidence is the same bits whatever they are.

There are two programs: "xla" is a trial under `vmap`; in "simd" the steps are compiled for
the CPU's vectors, with a seed in each lane of a vector (see `basin_jax.simd`), which is
faster where a step is made of what that knows.
"""

import contextlib
import functools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Int32, Key, UInt32
from numpy import ndarray

from basin_jax.base import Evidence, Method, Organism, Params, Start, State
from basin_jax.plan import as_seeds
from basin_jax.simd.arrays import Unsupported
from basin_jax.simd.build import compile_steps
from basin_jax.spec import Precision, Sweep


# Blocks a call can hold a device. A call runs as many as it is given: this bounds memory.
CAPACITY = 64
# Seconds of work a call aims at: how often progress shows, and what an interrupt waits.
CALL_SECONDS = 1.0

Devices: TypeAlias = tuple[Any, ...]  # of jax.Device, which type checkers take for no type
Program: TypeAlias = Literal["simd", "xla"]
Plugins: TypeAlias = tuple[Organism, Start, Method]

# Whatever the user's environment says: a seed's draws are part of what a version promises.
PRNG = "threefry2x32"
# A device a core needs no threads inside an op, and their number would change low bits.
CPU = {
    "xla_cpu_multi_thread_eigen": False,
    "xla_disable_hlo_passes": "cpu-parallel-task-assigner",
}

_MATMUL = {"float32": "float32", "tf32": "tensorfloat32", "bf16": "bfloat16", "float64": "float32"}


def seed_words(seeds: Any) -> UInt32[ndarray, "*seeds 2"]:
    """Return the high and the low 32 bits of 64-bit seeds."""
    seeds = np.asarray(seeds, dtype=np.uint64)
    return np.stack([seeds >> np.uint64(32), seeds & np.uint64(2**32 - 1)], -1).astype(np.uint32)


def fold_in_seed(key: Key[Array, ""], words: UInt32[Array, "2"]) -> Key[Array, ""]:
    """Fold a 64-bit identity into a key. (`jax.random.key(2**32)` equals `key(0)`.)"""
    return jax.random.fold_in(jax.random.fold_in(key, words[0]), words[1])


def trial(sweep: Sweep, seed: int) -> dict[str, Float[Array, " stop"]]:
    """Train one seed and return its evidence at each of the sweep's stops.

    A pure function of a seed: the unit of meaning of the package. `run` computes it for
    many seeds at once, to within the rounding that the number of lanes brings.
    """
    (seed,) = as_seeds([seed])
    with _numerics(sweep.precision):
        stops = jnp.asarray(sweep.stops, jnp.int32)
        words = jnp.asarray(seed_words(seed))
        root = jnp.asarray(seed_words(sweep.root))
        plugins = (sweep.organism, sweep.start, sweep.method)
        return _jitted_trial(plugins, root, stops, words, vary=sweep.vary)


def _trial(
    plugins: Plugins,
    root: UInt32[Array, "2"],
    stops: Int32[Array, " stop"],
    seed: UInt32[Array, "2"],
    vary: str,
) -> dict[str, Float[Array, " stop"]]:
    state, step_key, probe_key = _begin(plugins, root, seed, vary)

    def until(state, span):
        state = jax.lax.fori_loop(
            span[0], span[1], lambda i, state: _step(plugins, step_key, i, state), state
        )
        return state, _look(plugins, probe_key, state)

    return jax.lax.scan(until, state, _spans(stops))[1]


def _begin(
    plugins: Plugins, root: UInt32[Array, "2"], seed: UInt32[Array, "2"], vary: str
) -> tuple[State, Key[Array, ""], Key[Array, ""]]:
    """Return the state before the first step, and the keys of the steps and of the probe."""
    organism, start, method = plugins
    # Streams are split before seeds are folded in, so that no seed's key is a stream's.
    root_key = fold_in_seed(jax.random.key(0, impl=PRNG), root)
    init_key, data_key, probe_key = jax.random.split(root_key, 3)
    init_key = init_key if vary == "data" else fold_in_seed(init_key, seed)
    data_key = data_key if vary == "init" else fold_in_seed(data_key, seed)
    method_key, step_key = jax.random.split(data_key)
    params = jax.tree.map(_cast, start.params(init_key, organism))
    state = method.init(method_key, params, organism)
    return state, step_key, fold_in_seed(probe_key, seed)


def _step(plugins: Plugins, key: Key[Array, ""], number: Int32[Array, ""], state: State) -> State:
    organism, _, method = plugins
    return method.step(jax.random.fold_in(key, number), state, organism)


def _look(plugins: Plugins, key: Key[Array, ""], state: State) -> Evidence:
    organism = plugins[0]
    evidence = _scalars(organism, organism.probe(key, state.params))
    # A rate may look sound where parameters are not: the argmax of NaN is an answer.
    sound = jnp.array([jnp.isfinite(leaf).all() for leaf in _floats(state.params)]).all()
    return {name: jnp.where(sound, e, jnp.nan) for name, e in evidence.items()}


def _spans(stops: Int32[Array, " stop"]) -> tuple[Array, Array]:
    """Return the first step from each stop to the next, and the one behind the last."""
    return jnp.concatenate([jnp.zeros(1, jnp.int32), stops[:-1]]), stops


def _block(
    plugins: Plugins,
    root: UInt32[Array, "2"],
    stops: Int32[Array, " stop"],
    seeds: UInt32[Array, "lane 2"],
    vary: str,
) -> dict[str, Float[Array, "lane stop"]]:
    """Train a seed a lane, as `_trial` under `vmap` does, with steps compiled by `simd`."""
    begin = functools.partial(_begin, plugins, root, vary=vary)
    state, step_keys, probe_keys = jax.vmap(begin)(seeds)
    leaves, structure = jax.tree.flatten(state)
    numbers = jax.tree.leaves(plugins)
    lanes = [jnp.broadcast_to(jnp.asarray(n, float), len(seeds)) for n in numbers]
    fixed = [jax.random.key_data(step_keys), *lanes]
    one = [jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype) for leaf in (*fixed, *leaves)]
    steps = _compiled(plugins, one[: len(fixed)], one[len(fixed) :], structure)

    def until(leaves, span):
        first = jnp.broadcast_to(span[0], len(seeds))
        leaves = steps(first, span[1] - span[0], fixed, leaves)
        look = functools.partial(_look, plugins)
        return leaves, jax.vmap(look)(probe_keys, jax.tree.unflatten(structure, leaves))

    evidence = jax.lax.scan(until, leaves, _spans(stops))[1]
    return {name: values.T for name, values in evidence.items()}


def _compiled(plugins: Plugins, fixed: list[Any], state: list[Any], structure: Any) -> Any:
    """Return `simd`'s program of a step, given the shapes of one seed's arrays."""
    plugin_structure = jax.tree.structure(plugins)

    def step(number, fixed, leaves):
        words, *numbers = fixed
        traced = jax.tree.unflatten(plugin_structure, numbers)
        key = jax.random.wrap_key_data(words, impl=PRNG)
        return jax.tree.leaves(_step(traced, key, number, jax.tree.unflatten(structure, leaves)))

    return compile_steps(step, fixed, state)


def _scalars(organism: Organism, evidence: Mapping[str, Any]) -> Evidence:
    for name, value in evidence.items():
        if jnp.shape(value) != ():
            raise ValueError(
                f"{type(organism).__name__}.probe gives {name!r} of shape "
                f"{jnp.shape(value)}; allowed: scalars"
            )
    return {name: jnp.asarray(value, float) for name, value in evidence.items()}


_jitted_trial = jax.jit(_trial, static_argnames="vary")


def _floats(params: Params) -> list[Array]:
    return [leaf for leaf in jax.tree.leaves(params) if jnp.issubdtype(leaf.dtype, jnp.floating)]


def _cast(leaf: Array) -> Array:
    return leaf.astype(float) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf


@contextlib.contextmanager
def _numerics(precision: Precision) -> Iterator[None]:
    with (
        jax.enable_x64(precision == "float64"),
        jax.default_matmul_precision(_MATMUL[precision]),
        jax.threefry_partitionable(True),
    ):
        yield


@functools.cache
def _program(lanes: int, devices: Devices, vary: str, program: Program):
    """Return the jitted function of all kernels of these lanes; JAX caches it by plug-in."""

    def shard(plugins, root, stops, counts, seeds):
        # One device's share: seeds[1, CAPACITY, lanes, 2], of which counts[0] blocks run.
        def block(words):
            if program == "simd":
                return _block(plugins, root, stops, words, vary)
            trial_of = functools.partial(_trial, plugins, root, stops, vary=vary)
            return jax.vmap(trial_of)(words)

        def body(b, out):
            return jax.tree.map(lambda o, e: o.at[0, b].set(e), out, block(seeds[0, b]))

        shapes = jax.eval_shape(block, seeds[0, 0])
        empty = jax.tree.map(lambda s: jnp.zeros((1, CAPACITY, *s.shape), s.dtype), shapes)
        return jax.lax.fori_loop(0, counts[0], body, empty)

    sharded = jax.shard_map(
        shard,
        mesh=Mesh(np.array(devices), ("device",)),
        in_specs=(P(), P(), P(), P("device"), P("device")),
        out_specs=P("device"),
        check_vma=False,
    )
    return jax.jit(sharded, compiler_options=CPU if devices[0].platform == "cpu" else None)


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """Train any number of seeds of one sweep with one compiled program."""

    sweep: Sweep
    lanes: int
    devices: Devices
    program: Program

    def compile(self) -> float:
        """Compile by a call with no block in it; return the seconds it took."""
        began = time.perf_counter()
        jax.block_until_ready(self._dispatch(np.zeros(0, np.uint64)))
        return time.perf_counter() - began

    def __call__(self, seeds: ndarray) -> dict[str, ndarray]:
        """Return evidence [seed, stop] of any number of seeds."""
        parts = [evidence for _, evidence in self.stream(seeds, blocks=CAPACITY)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def stream(
        self, seeds: ndarray, *, blocks: int
    ) -> Iterator[tuple[ndarray, dict[str, ndarray]]]:
        """Yield seeds and their evidence, a call at a time of up to `blocks` a device.

        One call is always under way while another's evidence is being used.
        """
        share = blocks * self.lanes * len(self.devices)
        running = None
        for i in range(0, len(seeds), share):
            part = seeds[i : i + share]
            following = part, self._dispatch(part)
            if running:
                yield self._fetch(*running)
            running = following
        if running:
            yield self._fetch(*running)

    def _dispatch(self, seeds: ndarray, stops: tuple[int, ...] | None = None):
        width = len(self.devices)
        blocks = -(-len(seeds) // self.lanes)
        # Block j runs on device j mod width; what is left of the last block is padded.
        padded = np.zeros(CAPACITY * width * self.lanes, np.uint64)
        padded[: len(seeds)] = seeds
        grouped = padded.reshape(CAPACITY, width, self.lanes).swapaxes(0, 1)
        counts = np.array([len(range(d, blocks, width)) for d in range(width)], np.int32)
        sweep = self.sweep
        with _numerics(sweep.precision):
            return _program(self.lanes, self.devices, sweep.vary, self.program)(
                (sweep.organism, sweep.start, sweep.method),
                seed_words(sweep.root),
                np.asarray(stops or sweep.stops, np.int32),
                counts,
                seed_words(grouped),
            )

    def _fetch(self, seeds: ndarray, evidence: Any) -> tuple[ndarray, dict[str, ndarray]]:
        while not all(values.is_ready() for values in evidence.values()):
            time.sleep(0.005)  # in Python, so that signals are heard

        def flat(values):
            values = np.asarray(values).swapaxes(0, 1)
            return values.reshape(-1, values.shape[-1])[: len(seeds)]

        return seeds, {name: flat(values) for name, values in evidence.items()}

    def speed(self, *, seconds: float) -> float:
        """Measure training steps of one seed per second, over all devices."""
        seeds = np.arange(self.lanes * len(self.devices), dtype=np.uint64)
        steps = min(self.sweep.num_steps, 8) or 1
        self.compile()
        while True:
            took = self._time(seeds, steps)
            if took >= seconds / 4 or steps >= self.sweep.num_steps:
                break
            steps = min(self.sweep.num_steps, int(steps * max(2, min(16, seconds / 2 / took))))
        best = min(took, self._time(seeds, steps), self._time(seeds, steps))
        return len(seeds) * steps / best

    def _time(self, seeds: ndarray, steps: int) -> float:
        stops = tuple(min(stop, steps) for stop in self.sweep.stops)
        began = time.perf_counter()
        jax.block_until_ready(self._dispatch(seeds, stops))
        return time.perf_counter() - began


def build_kernel(
    sweep: Sweep,
    *,
    lanes: int,
    devices: Devices | None = None,
    program: Program | None = None,
) -> Kernel:
    """Return the compiled program of a sweep, for some or for all local devices.

    Args:
        sweep: what to train.
        lanes: seeds trained side by side.
        devices: where; all local devices if None.
        program: "simd" or "xla"; "simd" if None and there is one.

    Raises:
        ValueError: where the plug-ins do not fit together, the lanes are not positive, or
            there is no such program, with the reason.
    """
    if lanes < 1:
        raise ValueError(f"lanes = {lanes}; allowed: at least 1")
    evidence_names(sweep)
    why = refusal(sweep) if program != "xla" else None
    if program == "simd" and why:
        raise ValueError(f'program = "simd"; allowed: "xla", since simd has none for {why}')
    return Kernel(
        sweep=sweep,
        lanes=lanes,
        devices=devices or tuple(jax.local_devices()),
        program=program or ("xla" if why else "simd"),
    )


def refusal(sweep: Sweep) -> str | None:
    """Return why a sweep has no program of `simd`, or None where it has one."""
    if jax.local_devices()[0].platform != "cpu":
        return "devices other than CPUs"
    plugins = (sweep.organism, sweep.start, sweep.method)
    words = jax.ShapeDtypeStruct((1, 2), np.uint32)
    stops = jax.ShapeDtypeStruct((len(sweep.stops),), np.int32)
    with _numerics(sweep.precision):
        try:
            block = functools.partial(_block, vary=sweep.vary)
            jax.eval_shape(block, plugins, jax.ShapeDtypeStruct((2,), np.uint32), stops, words)
        except Unsupported as why:
            return str(why)
    return None


def evidence_names(sweep: Sweep) -> tuple[str, ...]:
    """Return the names of a sweep's evidence, by tracing a trial without running it."""
    with _numerics(sweep.precision):
        return tuple(sorted(jax.eval_shape(*_abstract_trial(sweep))))


def traced(sweep: Sweep) -> Jaxpr:
    """Return a trial's operations, in which the sweep's floats, root and steps are inputs."""
    with _numerics(sweep.precision):
        function, *arguments = _abstract_trial(sweep)
        return jax.make_jaxpr(function)(*arguments).jaxpr


def _abstract_trial(sweep: Sweep) -> tuple[Any, ...]:
    plugins = (sweep.organism, sweep.start, sweep.method)
    words = jax.ShapeDtypeStruct((2,), np.uint32)
    stops = jax.ShapeDtypeStruct((len(sweep.stops),), np.int32)
    return functools.partial(_trial, vary=sweep.vary), plugins, words, stops, words
