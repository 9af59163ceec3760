"""The same work by this package and by textbook JAX, and the machine's ceilings."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from basin_jax.bench.cases import CLASSES, INPUTS, NUM_STEPS, Case
from basin_jax.bench.pendulum import SWEEP, TRIALS
from basin_jax.bench.timing import TRIAL_SECONDS, Prepared, fastest
from basin_jax.core.sweep import Sweep
from basin_jax.engine.autotune import Tuning
from basin_jax.engine.kernel import Kernel, build_kernel, capacity
from basin_jax.organisms.audit import Audit
from basin_jax.statistics.estimates import Estimate, estimate


# On CPUs and on other devices: seeds that a call of a vmapped peer may train, of which the fastest
# number is taken, and seed-steps of a call, enough for dispatch to cost nothing.
SEED_COUNTS, CALL_WORK = (16, 64, 256, 1024), 8192
MANY_SEEDS, MUCH_WORK = (1024, 4096, 16384), 2**21
# Of the ceiling's square matrices, likewise.
SIDE, LONG_SIDE = 2048, 8192
STREAM_BYTES = 2**28  # of the array that is read and written: more than any cache holds


def ours(case: Case, tuning: Tuning, seconds: float) -> Prepared:
    """Prepare this package's kernel, on full blocks of trials: start, steps and probe."""
    kernel, made = _compiled(case.sweep, tuning)
    block = tuning.lanes * len(kernel.devices)
    blocks = round(tuning.speed * seconds / (block * NUM_STEPS))
    seeds = np.arange(block * min(max(blocks, 1), capacity(tuning.lanes)), dtype=np.uint64)
    return Prepared(work=len(seeds) * NUM_STEPS, call=lambda: kernel(seeds), **made)


def our_pendulum(tuning: Tuning) -> Prepared:
    """Prepare this package's kernel on the pendulum, from the published number of points."""
    kernel, made = _compiled(SWEEP, tuning)
    seeds = np.arange(TRIALS, dtype=np.uint64)
    hits: list[int] = []

    def call() -> None:
        hits.append(int(kernel(seeds)["unwatched"].sum()))

    def basin() -> Estimate:
        return estimate(hits[-1], TRIALS)

    return Prepared(work=TRIALS, call=call, basin=basin, **made)


def _compiled(sweep: Sweep, tuning: Tuning) -> tuple[Kernel, dict[str, Any]]:
    """Compile a kernel; return it, and what `Prepared` says of it."""
    began = time.perf_counter()
    kernel = build_kernel(sweep, lanes=tuning.lanes, backend=tuning.backend)
    kernel.compile()
    note = f"{tuning.backend}, {tuning.lanes} lanes"
    return kernel, {"compile_seconds": time.perf_counter() - began, "note": note}


def plain_vmap(
    case: Case, counts: tuple[int, ...] | None = None, work: int | None = None
) -> list[Prepared]:
    """Prepare textbook `jit(vmap(scan))`: weights as arrays, an Optax optimizer.

    Args:
        case: the work.
        counts: the numbers of seeds that are tried; those of the platform if None.
        work: seed-steps of a call, at least one step of each seed; those of the platform if None.
    """
    optimizer = getattr(optax, case.optimizer)(case.learning_rate)

    def init(key):
        params = []
        for inputs, outputs in case.layers:
            key, draw = jax.random.split(key)
            weights = jax.random.normal(draw, (inputs, outputs)) * (2 / inputs) ** 0.5
            params.append((weights, jnp.zeros(outputs)))
        return params, optimizer.init(params)

    def forward(params, x):
        for weights, bias in params[:-1]:
            x = jax.nn.relu(x @ weights + bias)
        weights, bias = params[-1]
        return x @ weights + bias

    inputs, rewards = Audit().sample(jax.random.key(0))

    def audit_loss(params, key):
        return -(jax.nn.softmax(forward(params, inputs)) * rewards).sum(-1).mean()

    def quadrant_loss(params, key):
        x = jax.random.normal(key, (case.batch, INPUTS))
        labels = jax.nn.one_hot((x[:, 0] * x[:, 1] > 0).astype(int), CLASSES)
        return optax.softmax_cross_entropy(forward(params, x), labels).mean()

    loss = audit_loss if case.task == "audit" else quadrant_loss

    def step(state, key):
        params, memory = state
        updates, memory = optimizer.update(jax.grad(loss)(params, key), memory, params)
        return (optax.apply_updates(params, updates), memory), None

    return _best_vmap(init, step, counts, work)


def plain_vmap_of_organism(
    case: Case, counts: tuple[int, ...] | None = None, work: int | None = None
) -> list[Prepared]:
    """Prepare `jit(vmap(scan))` of the package's own organism and method; see `plain_vmap`.

    What lies between this and `ours` is the kernel: blocks of lanes, a device a core, and
    its own backends. What lies between this and `plain_vmap` is how the network is written.
    """
    organism, method = case.sweep.organism, case.sweep.method

    def init(key):
        return method.init(key, organism.init(key), organism)

    def step(state, key):
        return method.step(key, jnp.int32(0), state, organism), None

    return _best_vmap(init, step, counts, work)


def _best_vmap(
    init: Callable, step: Callable, counts: tuple[int, ...] | None, work: int | None
) -> list[Prepared]:
    many, much = sizes()
    counts, work = counts or many, work or much
    candidates = [_vmap(init, step, seeds, max(1, work // seeds)) for seeds in counts]
    return [fastest(candidates, TRIAL_SECONDS)]


def _vmap(init: Callable, step: Callable, seeds: int, steps: int) -> Prepared:
    def train(state, key):
        return jax.lax.scan(step, state, jax.random.split(key, steps))[0]

    keys = jax.random.split(jax.random.key(0), seeds)
    state = jax.jit(jax.vmap(init))(keys)
    began = time.perf_counter()
    compiled = jax.jit(jax.vmap(train)).lower(state, keys).compile()
    compile_seconds = time.perf_counter() - began
    return Prepared(
        work=seeds * steps,
        call=lambda: jax.block_until_ready(compiled(state, keys)),
        compile_seconds=compile_seconds,
        note=f"{seeds:,} seeds",
    )


def sizes() -> tuple[tuple[int, ...], int]:
    """Return the numbers of seeds to try of a vmapped peer here, and the seed-steps of a call."""
    on_cpu = jax.local_devices()[0].platform == "cpu"
    return (SEED_COUNTS, CALL_WORK) if on_cpu else (MANY_SEEDS, MUCH_WORK)


def jax_ceiling() -> Prepared:
    """Prepare one large matrix product on each device at once."""
    devices = np.array(jax.local_devices())
    side = SIDE if devices[0].platform == "cpu" else LONG_SIDE
    product = jax.jit(
        jax.shard_map(
            lambda a: a @ a,
            mesh=Mesh(devices, ("device",)),
            in_specs=P("device"),
            out_specs=P("device"),
        )
    )
    factors = jnp.ones((len(devices), side, side))
    jax.block_until_ready(product(factors))
    return Prepared(
        work=2 * side**3 * len(devices),
        call=lambda: jax.block_until_ready(product(factors)),
        note=f"{len(devices)} devices",
    )


def numpy_ceiling() -> Prepared:
    """Prepare one large matrix product by NumPy's BLAS on all cores."""
    factor = np.ones((SIDE, SIDE), np.float32)
    return Prepared(work=2 * SIDE**3, call=lambda: factor @ factor)


def bandwidth() -> Prepared:
    """Prepare a pass through an array that no cache holds, read and written on all devices.

    In place, so that the bytes counted are those moved: a copy to another array reads that
    one, too, before it writes it.
    """
    devices = np.array(jax.local_devices())
    spread = NamedSharding(Mesh(devices, ("device",)), P("device"))
    negate = jax.jit(jnp.negative, donate_argnums=0)
    zeros = jnp.zeros((len(devices), STREAM_BYTES // 4 // len(devices)))
    array = [jax.device_put(zeros, spread)]

    def call() -> None:
        array[0] = jax.block_until_ready(negate(array[0]))

    call()
    return Prepared(work=2 * array[0].nbytes, call=call, note=f"{len(devices)} devices")
