"""Slices that begin where a seed, or the turn of a loop, decides."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.extend.core import JaxprEqn

from basin_jax.compiler import ir
from basin_jax.compiler.lowering_indices import TRUTH, expect_small
from basin_jax.compiler.lowering_rules import lowers, move, out_of, reduction


@lowers("dynamic_slice")
def _dynamic_slice(eqn: JaxprEqn, args: list[Any]) -> Sequence[ir.Node]:
    arg, *starts = args
    if all(isinstance(start, ir.Constant) for start in starts):
        return move(eqn, args)
    shape, whole = out_of(eqn)[0], arg.shape
    begins = [
        _begin(*each)
        for each in zip(starts, [n - k for n, k in zip(whole, shape, strict=True)], strict=True)
    ]
    if all(begin is not None for begin in begins):
        known = tuple(begin for begin in begins if begin is not None)
        return [ir.Shifted((arg,), shape, arg.dtype, begins=known, varies=True, cost=arg.cost)]
    parts = [d for d, n in enumerate(whole) if shape[d] != n]
    if parts == [0] and shape[0] == 1:
        which = ir.view(starts[0], (1,), [])
        return [ir.TakeRows((ir.contiguous(arg), which), shape, arg.dtype)]
    last = len(shape)
    wide = expect_small((*shape, *(whole[d] for d in parts)))
    axes = [(last + parts.index(d) if d in parts else d, 0, 1) for d in range(last)]
    found = _all(
        [_offset(starts[d], whole[d] - shape[d], wide, last + i, d) for i, d in enumerate(parts)]
    )
    nothing = ir.constant(np.broadcast_to(np.zeros((), arg.dtype), wide))
    values = [found, ir.view(arg, wide, axes), nothing]
    chosen = ir.elementwise("select({0}, {1}, {2})", values, wide, arg.dtype)
    name = "reduce_or" if arg.type == "b32" else "reduce_sum"
    return [reduction(name, chosen, shape, tuple(range(last, len(wide))))]


@lowers("dynamic_update_slice")
def _dynamic_update_slice(eqn: JaxprEqn, args: list[Any]) -> list[ir.Node]:
    arg, update, *starts = args
    shape, size, dtype, last = arg.shape, update.shape, arg.dtype, len(arg.shape)
    parts = [d for d, n in enumerate(shape) if size[d] != n]
    if not parts:
        return [update]
    wide = expect_small((*shape, *(size[d] for d in parts)))
    axes = [(last + parts.index(d) if d in parts else d, 0, 1) for d in range(last)]
    found = _all(
        [_offset(starts[d], shape[d] - size[d], wide, d, last + i) for i, d in enumerate(parts)]
    )
    along = tuple(range(last, len(wide)))
    there = reduction("reduce_or", found, shape, along)
    nothing = ir.constant(np.broadcast_to(np.zeros((), dtype), wide))
    values = [found, ir.view(update, wide, axes), nothing]
    chosen = ir.elementwise("select({0}, {1}, {2})", values, wide, dtype)
    name = "reduce_or" if arg.type == "b32" else "reduce_sum"
    new = reduction(name, chosen, shape, along)
    return [ir.elementwise("select({0}, {1}, {2})", [there, new, arg], shape, dtype)]


def _begin(start: Any, most: int) -> ir.Linear | None:
    """Return where a slice begins, if that is known of each turn of a loop."""
    if most == 0:
        return ir.Linear()
    if isinstance(start, ir.Constant):
        return ir.Linear(int(np.clip(start.scalar, 0, most)))
    if not isinstance(start, ir.Row) or not isinstance(start.args[0], ir.Constant):
        return None
    places = np.clip(start.args[0].value.astype(np.int64), 0, most)
    first, step = int(places[0]), int(places[1] - places[0]) if len(places) > 1 else 0
    if not np.array_equal(places, first + step * np.arange(len(places))):
        return None
    return start.row * step + ir.Linear(first)


def _offset(start: ir.Node, most: int, wide: tuple[int, ...], place: int, within: int) -> ir.Node:
    """Return where places along one axis are those along another, from a start on."""
    kind = start.dtype
    ends = [ir.constant(np.asarray(n, kind)) for n in (0, most)]
    begin = ir.elementwise("minimum(maximum({0}, {1}), {2})", [start, *ends], (), kind)
    steps = [tuple(int(d == axis) for d in range(len(wide))) for axis in (place, within)]
    numbers = [ir.Iota((), wide, kind, steps=each) for each in steps]
    return ir.elementwise("{0} == {1} + {2}", [numbers[0], begin, numbers[1]], wide, TRUTH)


def _all(truths: Sequence[ir.Node]) -> ir.Node:
    first, *others = truths
    for other in others:
        first = ir.elementwise("{0} & {1}", [first, other], first.shape, TRUTH)
    return first


@lowers("tile")
def _tile(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    (arg,), reps = args, eqn.params["reps"]
    wide = tuple(n for pair in zip(reps, arg.shape, strict=True) for n in pair)
    axes = [(2 * d + 1, 0, 1) for d in range(len(arg.shape))]
    return [ir.reshape(ir.view(arg, wide, axes), out_of(eqn)[0])]
