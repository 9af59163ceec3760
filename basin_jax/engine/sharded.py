"""The compiled call of a kernel: each device advances its queue under `shard_map`.

Never XLA's own partitioning, whose local shapes change with the number of devices.
"""

import functools
import threading
from collections.abc import Callable, Collection
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import eval_jaxpr
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from basin_jax.core.trial import Signature, TrialInputs, abstract_inputs
from basin_jax.engine.backends import Backend
from basin_jax.engine.lanes import Lanes, advance_queue, shapes_of_lanes


Devices: TypeAlias = tuple[Any, ...]  # of jax.Device, which type checkers take for no type

# Options of XLA, by platform. With one device for each core an operation needs no threads, and
# their number would change low bits.
OPTIONS: dict[str, dict[str, Any]] = {
    "cpu": {
        "xla_cpu_multi_thread_eigen": False,
        "xla_disable_hlo_passes": "cpu-parallel-task-assigner",
    }
}

# Programs that are kept compiled. Each keeps 200 to 570 of the 65,530 memory maps that Linux allows
# a process.
KEPT = 48


def mesh_of(devices: Devices) -> Mesh:
    return Mesh(np.array(devices), ("device",))


def put[T](tree: T, devices: Devices) -> T:
    """Put arrays [device, ...] on the devices, each its part."""
    # Not left to each call: one with arguments of NumPy is compiled anew.
    return jax.device_put(tree, NamedSharding(mesh_of(devices), P("device")))


class Program:
    """The compiled `advance_queue` of some devices."""

    def __init__(self, signature: Signature, backend: Backend, devices: Devices):
        def shard(stops, stride, budget, refill, counts, queue, lanes):
            (size,), (length,) = lanes.place.shape[1:], lanes.done.shape[1:]
            queue = whole(abstract_inputs(signature, length)[1], queue)
            lanes = whole(shapes_of_lanes(signature, size, length, len(stops)), lanes)
            limits = {"stride": stride, "budget": budget, "refill": refill}
            call = functools.partial(advance_queue, signature, backend)
            after = with_constants_inside(call, stops, queue, counts[0], lanes=lanes, **limits)
            return jax.tree.map(lambda x: x[None], (filled(after[0]), after[1]))

        sharded = jax.shard_map(
            shard,
            mesh=mesh_of(devices),
            in_specs=(P(), P(), P(), P(), P("device"), P("device"), P("device")),
            out_specs=P("device"),
            check_vma=False,
        )
        self._compiled: Any = jax.jit(sharded, compiler_options=OPTIONS.get(devices[0].platform))

    def __call__(
        self,
        stops: Any,
        limits: tuple[Any, Any, Any],
        counts: Any,
        queue: TrialInputs,
        lanes: Lanes,
    ) -> tuple[Lanes, Any]:
        """Advance the queue of each device; see `advance_queue`.

        Args:
            stops: the steps after which a network is probed.
            limits: the stride, the budget, and whether to refill.
            counts: the number of seeds in each queue.
            queue: the inputs of the seeds, with a leading axis of devices.
            lanes: the result of the last call, with a leading axis of devices.

        Returns:
            The lanes, and what is left of each budget.
        """
        after, left = self._compiled(stops, *limits, counts, filled(queue), filled(lanes))
        return jax.tree.map(lambda old, new: old if new is None else new, lanes, after), left

    def release(self) -> None:
        """Release what was compiled; it is compiled again when it is called."""
        self._compiled.clear_cache()


Key: TypeAlias = tuple[Signature, Backend, Devices]
_programs: dict[Key, Program] = {}  # the last used last
_lock = threading.Lock()


def program_of(key: Key) -> Program:
    """Return a program; if there are many, release the one that was not used for longest."""
    with _lock:
        program = _programs.pop(key, None) or Program(*key)
        _programs[key] = program
        for oldest in list(_programs)[:-KEPT]:
            _programs.pop(oldest).release()
    return program


def keep_only(keys: Collection[Key], *, others: int = 1) -> None:
    """Release all programs but these, and those of the others that were used last."""
    with _lock:
        rest = [key for key in _programs if key not in keys]
        for key in rest[: max(len(rest) - others, 0)]:
            _programs.pop(key).release()


# XLA of JAX 0.11.2 crashes where an array without elements (the parent parameters of a sweep
# without parents) enters or leaves `shard_map` on several devices; inside, it does not.


def filled(tree: Any) -> Any:
    """Replace the arrays of a tree that have no elements by None."""
    return jax.tree.map(lambda x: x if x.size else None, tree)


def whole(shapes: Any, given: Any) -> Any:
    """Return this device's part of a tree, with empty arrays in the place of None."""

    def part(like: Any, x: Any) -> Any:
        return jnp.zeros(like.shape, like.dtype) if x is None else x[0]

    return jax.tree.map(part, shapes, given)


def with_constants_inside(function: Callable, *args: Any, **named: Any) -> Any:
    """Call a function, with the constants of plug-ins made inside it.

    JAX would pass those without elements in from outside. The others it folds into what they meet
    on one device, and not on several, where products then add up in another order: behind a barrier
    they are alike.
    """
    traced, shapes = jax.make_jaxpr(function, return_shape=True)(*args, **named)
    consts = [
        jax.lax.optimization_barrier(x) if np.size(x) else jnp.zeros(x.shape, x.dtype)
        for x in traced.consts
    ]
    found = eval_jaxpr(traced.jaxpr, consts, *jax.tree.leaves((args, named)))
    return jax.tree.unflatten(jax.tree.structure(shapes), found)
