"""Blocks of lanes: many seeds side by side, each from its first step to its last.

A backend takes the steps of a block. The lane of a seed that ends, or stops early, is handed to
the next seed of a queue; a stopped state never changes, so the evidence is that of all steps.
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


# The share of lanes that wait before they are handed on: looking and beginning have a price.
WAITING = 1 / 8

Stops: TypeAlias = Int32[Array, " stop"]


def _in_some(which: Bool[Array, " lane"], function: Callable, others: Any, *lanes: Any) -> Any:
    """Return what a function gives of some lanes, and what the others are to have."""

    def one(wanted, other, *lane):
        return jax.lax.cond(wanted, lambda: function(*lane), lambda: other)

    def in_turn(*lanes):
        return jax.lax.map(lambda lane: one(*lane), lanes)

    # In vectors on CPUs, XLA rounds by the place of a lane; in turn, only where wanted, is as fast.
    return jax.lax.platform_dependent(
        which, others, *lanes, cpu=in_turn, default=lambda *lanes: jax.vmap(one)(*lanes)
    )


@functools.cache
def may_stop(signature: Signature) -> bool:
    """Return whether a method says of a state whether it has stopped.

    Raises:
        ValueError: where what it says is no truth value.
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


class Lanes(NamedTuple):
    """Lanes at work on a queue of seeds: which, how far each is, and what has been seen."""

    state: State
    keys: Keys
    rows: TrialInputs
    number: Int32[Array, " lane"]  # steps taken
    slot: Int32[Array, " lane"]  # the place in the queue; behind its end, if idle
    taken: Int32[Array, ""]  # seeds of the queue that have been begun
    evidence: dict[str, Float[Array, "queue stop *shape"]]
    done: Bool[Array, " queue"]


@functools.cache
def idle(signature: Signature, lanes: int, length: int, stops: int) -> Any:
    """Return the shapes of `Lanes` at work on a queue of some length."""
    with numerics(signature.precision):
        rows, state, keys = lane_shapes(signature, lanes)
        look_at = jax.vmap(functools.partial(probe_trial, signature))
        seen = jax.eval_shape(look_at, rows, keys, state)
    each: Any = jax.ShapeDtypeStruct((lanes,), jnp.int32)
    one: Any = jax.ShapeDtypeStruct((), jnp.int32)
    evidence: Any = {
        name: jax.ShapeDtypeStruct((length, stops, *values.shape[1:]), values.dtype)
        for name, values in seen.items()
    }
    done: Any = jax.ShapeDtypeStruct((length,), bool)
    return Lanes(state, keys, rows, each, each, one, evidence, done)


def advance_queue(
    signature: Signature,
    backend: Backend,
    stops: Stops,
    queue: TrialInputs,
    count: Int32[Array, ""],
    *,
    stride: Int32[Array, ""],
    budget: Int32[Array, ""],
    early: Bool[Array, ""],
    lanes: Lanes,
) -> tuple[Lanes, Int32[Array, ""]]:
    """Train seeds of a queue for some steps, handing lanes on as seeds end.

    Args:
        shape: of the sweep.
        backend: takes the steps.
        stops: the steps at which the network is looked at.
        queue: the seeds.
        count: how many of them there are; the rest is padding.
        stride: the most steps of a round. Between rounds lanes are handed on.
        budget: after how many steps of a lane to return at the latest.
        early: whether a lane is handed on when its seed has stopped, or at the last stop only.
        lanes: at work, as the last call returned them.

    Returns:
        The lanes, and what is left of the budget: nothing, unless the queue is at its end.
    """
    size = len(queue.seed_bits)

    def goes_on(carry: tuple[Lanes, Array]) -> Array:
        at_work, left = carry
        return (left > 0) & ((at_work.taken < count) | (at_work.slot < size).any())

    def turn(carry: tuple[Lanes, Array]) -> tuple[Lanes, Array]:
        at_work, left = carry
        busy = at_work.slot < size
        free = ~busy | (_stopped(at_work) & early)
        # At a stop a lane has to be looked at; one that has stopped can wait for others.
        seen = (busy & (at_work.number[:, None] == stops[None]).any(1)).any()
        enough = free.sum() >= WAITING * len(free)
        due = seen | free.all() | (enough & (at_work.taken < count))
        exchange = functools.partial(_exchange, signature, stops, queue, count, early)
        taken = at_work.taken
        at_work = jax.lax.cond(due, exchange, lambda same: same, at_work)
        # No further than the next stop of any lane, so that none has to wait in its place.
        ahead = stops[None] - at_work.number[:, None]
        ahead = jnp.where(ahead > 0, ahead, stride).min(1)
        ahead = jnp.where(at_work.number < stops[-1], ahead, 0)
        busy = at_work.slot < size
        steps = jnp.where(busy.any(), jnp.where(busy, ahead, stride).min(), 0)
        # The next round looks at those that have begun, if that is asked for.
        steps = jnp.where((at_work.taken > taken) & (stops == 0).any(), 0, steps)
        steps = jnp.minimum(steps, jnp.minimum(stride, left))
        state = backend.advance(
            signature, at_work.rows, at_work.keys, at_work.state, at_work.number, steps
        )
        at_work = at_work._replace(state=state, number=at_work.number + steps)
        return at_work, left - jnp.maximum(steps, 1)

    return jax.lax.while_loop(goes_on, turn, (lanes, budget))


def _stopped(lanes: Lanes) -> Bool[Array, " lane"]:
    return getattr(lanes.state, "stopped", jnp.zeros(len(lanes.slot), bool))


def _exchange(
    signature: Signature, stops: Stops, queue: TrialInputs, count: Array, early: Array, lanes: Lanes
) -> Lanes:
    """Note what is seen of lanes that are due, and hand on those that have ended."""
    size = len(queue.seed_bits)
    busy = lanes.slot < size
    ended = (_stopped(lanes) & early) | (lanes.number >= stops[-1])
    # What has stopped looks the same at all later stops.
    ahead = stops[None] - lanes.number[:, None]
    due = (ahead == 0) | (ended[:, None] & (ahead >= 0))
    evidence = _note(signature, lanes, busy[:, None] & due)
    done = lanes.done.at[jnp.where(busy & ended, lanes.slot, size)].set(True, mode="drop")
    free = ~busy | ended
    following = lanes.taken + jnp.cumsum(free, dtype=jnp.int32) - 1
    takes = free & (following < count)
    rows = jax.tree.map(lambda x: x[jnp.minimum(following, size - 1)], queue)
    rows = jax.tree.map(functools.partial(_chosen, takes), rows, lanes.rows)
    begin_it = functools.partial(init_trial, signature)
    state, keys = _in_some(takes, begin_it, (lanes.state, lanes.keys), rows)
    return Lanes(
        state=state,
        keys=keys,
        rows=rows,
        number=jnp.where(takes, 0, lanes.number),
        slot=jnp.where(takes, following, jnp.where(free, size, lanes.slot)),
        taken=lanes.taken + takes.sum(dtype=jnp.int32),
        evidence=evidence,
        done=done,
    )


def _note(
    signature: Signature, lanes: Lanes, where: Bool[Array, "lane stop"]
) -> dict[str, Float[Array, "queue stop *shape"]]:
    """Write down what is seen now of some lanes at some stops."""
    size = len(lanes.slot)
    unseen = {n: jnp.zeros((size, *c.shape[2:]), c.dtype) for n, c in lanes.evidence.items()}
    look_at = functools.partial(probe_trial, signature)
    seen = _in_some(where.any(1), look_at, unseen, lanes.rows, lanes.keys, lanes.state)

    def note(column, values):
        rows = column[jnp.minimum(lanes.slot, len(column) - 1)]
        rows = _chosen(where, values[:, None], rows)
        return column.at[lanes.slot].set(rows, mode="drop")

    return {name: note(lanes.evidence[name], values) for name, values in seen.items()}


def _chosen(which: Bool[Array, "..."], new: Array, old: Array) -> Array:
    return jnp.where(which.reshape(*which.shape, *[1] * (old.ndim - which.ndim)), new, old)
