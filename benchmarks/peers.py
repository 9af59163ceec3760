"""The same work by this package, by textbook JAX, and by the machine's matrix product."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from cases import CLASSES, INPUTS, NUM_STEPS, Case
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from basin_jax.kernel import CAPACITY, build_kernel
from basin_jax.organisms.audit import Audit
from basin_jax.tune import Tuning


# Seeds that a call of a vmapped peer may train, of which the fastest number is taken.
SEED_COUNTS = (16, 64, 256, 1024)
# Seed-steps of a call of a vmapped peer: enough for dispatch to cost nothing.
CALL_WORK = 8192
# Seconds that each number of seeds is tried for.
TRIAL_SECONDS = 0.1
SIDE = 2048  # of the ceiling's square matrices


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Work that is compiled, warm, and ready to be timed."""

    work: float  # of a call: steps of one seed, or floating-point operations
    call: Callable[[], Any]  # returns when the work is done
    compile_seconds: float | None = None
    note: str = ""


def measure(prepared: Prepared, seconds: float) -> float:
    """Return work a second, over whole calls that take at least so many seconds."""
    calls, began = 0, time.perf_counter()
    while True:
        prepared.call()
        calls += 1
        took = time.perf_counter() - began
        if took >= seconds:
            return calls * prepared.work / took


def fastest(candidates: list[Prepared], seconds: float) -> Prepared:
    """Return the candidate that does most work a second, at the better of two tries each."""
    tries = [[measure(candidate, seconds) for candidate in candidates] for _ in range(2)]
    best = [max(speeds) for speeds in zip(*tries, strict=True)]
    return candidates[best.index(max(best))]


def ours(case: Case, tuning: Tuning, seconds: float) -> Prepared:
    """Prepare this package's kernel, on full blocks of trials: start, steps and probe."""
    kernel = build_kernel(case.sweep, lanes=tuning.lanes, program=tuning.program)
    compile_seconds = kernel.compile()
    block = tuning.lanes * len(kernel.devices)
    blocks = round(tuning.speed * seconds / (block * NUM_STEPS))
    seeds = np.arange(block * min(max(blocks, 1), CAPACITY), dtype=np.uint64)
    return Prepared(
        work=len(seeds) * NUM_STEPS,
        call=lambda: kernel(seeds),
        compile_seconds=compile_seconds,
        note=f"{tuning.program}, {tuning.lanes} lanes",
    )


def plain_vmap(case: Case, counts: tuple[int, ...] = SEED_COUNTS) -> list[Prepared]:
    """Prepare `jit(vmap(scan))` as a textbook has it: weights as arrays, an Optax optimizer."""
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

    return _best_vmap(init, step, counts)


def plain_vmap_of_organism(case: Case) -> list[Prepared]:
    """Prepare `jit(vmap(scan))` of the package's own organism and method.

    What lies between this and `ours` is the kernel: blocks of lanes, a device a core.
    """
    organism, method = case.sweep.organism, case.sweep.method

    def init(key):
        return method.init(key, organism.init(key), organism)

    def step(state, key):
        return method.step(key, state, organism), None

    return _best_vmap(init, step, SEED_COUNTS)


def _best_vmap(init: Callable, step: Callable, counts: tuple[int, ...]) -> list[Prepared]:
    candidates = [_vmap(init, step, seeds) for seeds in counts]
    return [fastest(candidates, TRIAL_SECONDS)]


def _vmap(init: Callable, step: Callable, seeds: int) -> Prepared:
    steps = CALL_WORK // seeds

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
        note=f"{seeds} seeds",
    )


def jax_ceiling() -> Prepared:
    """Prepare one large matrix product on each device at once."""
    devices = np.array(jax.local_devices())
    product = jax.jit(
        jax.shard_map(
            lambda a: a @ a,
            mesh=Mesh(devices, ("device",)),
            in_specs=P("device"),
            out_specs=P("device"),
        )
    )
    factors = jnp.ones((len(devices), SIDE, SIDE))
    jax.block_until_ready(product(factors))
    return Prepared(
        work=2 * SIDE**3 * len(devices),
        call=lambda: jax.block_until_ready(product(factors)),
        note=f"{len(devices)} devices",
    )


def numpy_ceiling() -> Prepared:
    """Prepare one large matrix product by NumPy's BLAS on all cores."""
    factor = np.ones((SIDE, SIDE), np.float32)
    return Prepared(work=2 * SIDE**3, call=lambda: factor @ factor)
