"""Blocks of lanes: many seeds trained side by side, each from its first step to its last.

A queue of seeds waits for the lanes of a block. Where a seed has taken its last step, or has
stopped early, its lane is refilled with the next seed of the queue. A stopped state never changes,
so that the evidence is what it would be after all steps.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32

from basin_jax.core.contracts import State
from basin_jax.core.trial import (
    Keys,
    Signature,
    TrialInputs,
    abstract_inputs,
    init_trial,
    numerics,
    probe_trial,
)
from basin_jax.engine.backends import Backend, lane_shapes


# The share of lanes that have to be free before they are refilled: probing and initializing take
# time in which no lane is trained.
REFILL_SHARE = 1 / 8

Stops: TypeAlias = Int32[Array, " stop"]


class Lanes(NamedTuple):
    """The lanes of a block, and the evidence of the queue that they train."""

    state: State
    keys: Keys
    inputs: TrialInputs
    steps: Int32[Array, " lane"]  # that the seed has taken
    place: Int32[Array, " lane"]  # of the seed in the queue; the queue's length if the lane is free
    started: Int32[Array, ""]  # seeds of the queue that have been given a lane
    evidence: dict[str, Float[Array, "queue stop *shape"]]
    done: Bool[Array, " queue"]


@functools.cache
def shapes_of_lanes(signature: Signature, lanes: int, length: int, stops: int) -> Any:
    """Return the shapes of `Lanes` for a queue of a given length."""
    with numerics(signature.precision):
        inputs, state, keys = lane_shapes(signature, lanes)
        probe = jax.vmap(functools.partial(probe_trial, signature))
        probed = jax.eval_shape(probe, inputs, keys, state)
    per_lane: Any = jax.ShapeDtypeStruct((lanes,), jnp.int32)
    evidence: Any = {
        name: jax.ShapeDtypeStruct((length, stops, *values.shape[1:]), values.dtype)
        for name, values in probed.items()
    }
    return Lanes(
        state=state,
        keys=keys,
        inputs=inputs,
        steps=per_lane,
        place=per_lane,
        started=jax.ShapeDtypeStruct((), jnp.int32),  # pyright: ignore[reportArgumentType]
        evidence=evidence,
        done=jax.ShapeDtypeStruct((length,), bool),  # pyright: ignore[reportArgumentType]
    )


@functools.cache
def may_stop(signature: Signature) -> bool:
    """Return True if a method's state has a field `stopped`: its seeds may stop early.

    Raises:
        ValueError: where that field is no truth value.
    """
    found = []

    def ask(inputs):
        found.append(getattr(init_trial(signature, inputs)[0], "stopped", None))

    with numerics(signature.precision):
        jax.eval_shape(ask, abstract_inputs(signature)[1])
    (stopped,) = found
    if stopped is None:
        return False
    if jnp.shape(stopped) or not jnp.issubdtype(stopped, bool):
        raise ValueError(
            f"the method's state.stopped is {stopped}; allowed: one truth value, or another name"
        )
    return True


def advance_queue(
    signature: Signature,
    backend: Backend,
    stops: Stops,
    queue: TrialInputs,
    count: Int32[Array, ""],
    *,
    stride: Int32[Array, ""],
    budget: Int32[Array, ""],
    refill: Bool[Array, ""],
    lanes: Lanes,
) -> tuple[Lanes, Int32[Array, ""]]:
    """Train the seeds of a queue for a number of steps, refilling lanes as seeds end.

    Args:
        stops: the steps after which a network is probed.
        queue: the inputs of the seeds.
        count: the number of seeds in the queue; the rest is padding.
        stride: the most steps of a round. Lanes are probed and refilled between rounds.
        budget: the most steps that a lane takes in this call.
        refill: whether a lane is refilled as soon as its seed has stopped.
        lanes: the result of the last call.

    Returns:
        The lanes, and what is left of the budget: nothing, unless the queue is at its end.
    """
    size = len(queue.seed_bits)

    def goes_on(carry: tuple[Lanes, Array]) -> Array:
        lanes, left = carry
        return (left > 0) & ((lanes.started < count) | (lanes.place < size).any())

    def take_a_round(carry: tuple[Lanes, Array]) -> tuple[Lanes, Array]:
        lanes, left = carry
        busy = lanes.place < size
        free = ~busy | (_stopped(lanes) & refill)
        # A lane has to be probed at a stop; one whose seed has stopped can wait for others.
        at_stop = (busy & (lanes.steps[:, None] == stops[None]).any(1)).any()
        enough = free.sum() >= REFILL_SHARE * len(free)
        due = at_stop | free.all() | (enough & (lanes.started < count))
        started = lanes.started
        exchange = functools.partial(_probe_and_refill, signature, stops, queue, count, refill)
        lanes = jax.lax.cond(due, exchange, lambda same: same, lanes)
        # No further than the next stop of any lane, so that none has to wait in its place.
        ahead = stops[None] - lanes.steps[:, None]
        ahead = jnp.where(ahead > 0, ahead, stride).min(1)
        ahead = jnp.where(lanes.steps < stops[-1], ahead, 0)
        busy = lanes.place < size
        steps = jnp.where(busy.any(), jnp.where(busy, ahead, stride).min(), 0)
        # Seeds that have just been initialized are probed in the next round, where 0 is a stop.
        steps = jnp.where((lanes.started > started) & (stops == 0).any(), 0, steps)
        steps = jnp.minimum(steps, jnp.minimum(stride, left))
        taken = lanes.inputs, lanes.keys, lanes.state, lanes.steps
        state = backend.advance(signature, *taken, steps)
        after = lanes._replace(state=state, steps=lanes.steps + steps)
        return after, left - jnp.maximum(steps, 1)

    return jax.lax.while_loop(goes_on, take_a_round, (lanes, budget))


def _stopped(lanes: Lanes) -> Bool[Array, " lane"]:
    return getattr(lanes.state, "stopped", jnp.zeros(len(lanes.place), bool))


def _probe_and_refill(
    signature: Signature,
    stops: Stops,
    queue: TrialInputs,
    count: Array,
    refill: Array,
    lanes: Lanes,
) -> Lanes:
    """Probe the lanes that are at a stop or at their end, and refill those that are free."""
    size = len(queue.seed_bits)
    busy = lanes.place < size
    ended = (_stopped(lanes) & refill) | (lanes.steps >= stops[-1])
    # What has stopped has the same evidence at all later stops.
    ahead = stops[None] - lanes.steps[:, None]
    due = (ahead == 0) | (ended[:, None] & (ahead >= 0))
    evidence = _record_evidence(signature, lanes, busy[:, None] & due)
    done = lanes.done.at[jnp.where(busy & ended, lanes.place, size)].set(True, mode="drop")
    free = ~busy | ended
    following = lanes.started + jnp.cumsum(free, dtype=jnp.int32) - 1
    takes = free & (following < count)
    inputs = jax.tree.map(lambda x: x[jnp.minimum(following, size - 1)], queue)
    inputs = jax.tree.map(functools.partial(_where, takes), inputs, lanes.inputs)
    init = functools.partial(init_trial, signature)
    state, keys = _map_where(takes, init, (lanes.state, lanes.keys), inputs)
    return Lanes(
        state=state,
        keys=keys,
        inputs=inputs,
        steps=jnp.where(takes, 0, lanes.steps),
        place=jnp.where(takes, following, jnp.where(free, size, lanes.place)),
        started=lanes.started + takes.sum(dtype=jnp.int32),
        evidence=evidence,
        done=done,
    )


def _record_evidence(
    signature: Signature, lanes: Lanes, where: Bool[Array, "lane stop"]
) -> dict[str, Float[Array, "queue stop *shape"]]:
    """Write the evidence of some lanes at some stops into the queue's evidence."""
    size = len(lanes.place)
    zeros = {n: jnp.zeros((size, *c.shape[2:]), c.dtype) for n, c in lanes.evidence.items()}
    probe = functools.partial(probe_trial, signature)
    probed = _map_where(where.any(1), probe, zeros, lanes.inputs, lanes.keys, lanes.state)

    def write(column, values):
        rows = column[jnp.minimum(lanes.place, len(column) - 1)]
        rows = _where(where, values[:, None], rows)
        return column.at[lanes.place].set(rows, mode="drop")

    return {name: write(lanes.evidence[name], values) for name, values in probed.items()}


def _map_where(which: Bool[Array, " lane"], function: Callable, others: Any, *lanes: Any) -> Any:
    """Apply a function to some of the lanes; the others have the values of `others`."""

    def one(wanted, other, *lane):
        return jax.lax.cond(wanted, lambda: function(*lane), lambda: other)

    return map_lanes(one, which, others, *lanes)


def map_lanes(function: Callable, *lanes: Any) -> Any:
    """Apply a function to each lane, so that its bits do not depend on the lane's place."""

    def in_turn(*lanes):
        return jax.lax.map(lambda lane: function(*lane), lanes)

    # In vectors on CPUs, XLA rounds by the place of a lane; in turn, only where wanted, is as fast.
    return jax.lax.platform_dependent(
        *lanes, cpu=in_turn, default=lambda *lanes: jax.vmap(function)(*lanes)
    )


def _where(which: Bool[Array, "..."], new: Array, old: Array) -> Array:
    return jnp.where(which.reshape(*which.shape, *[1] * (old.ndim - which.ndim)), new, old)
