"""Indices that a seed decides: look-ups, sums at places, extremes' places, and running sums.

What an index chooses is a sum over all that it may choose, of which one is not nothing. That is fit
for the small arrays of small networks, and refused for larger ones.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import JaxprEqn

from basin_jax.compiler import ir
from basin_jax.compiler.lowering_rules import lowers, move, out_of


LARGEST_SUM = 2**18  # elements
KEPT_INSIDE = {jax.lax.GatherScatterMode.PROMISE_IN_BOUNDS, jax.lax.GatherScatterMode.CLIP}
# The operation of a running reduction, and what changes nothing in it.
RUNNING = {"cumsum": ("{0} + {1}", "0"), "cumprod": ("{0} * {1}", "1")}
TRUTH = np.dtype(bool)


@lowers("split")
def _split(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    (arg,), axis, parts, first = args, eqn.params["axis"], [], 0
    for size in eqn.params["sizes"]:
        shape = [size if d == axis else n for d, n in enumerate(arg.shape)]
        axes = [(d, first if d == axis else 0, 1) for d in range(len(shape))]
        parts.append(ir.view(arg, shape, axes))
        first += size
    return parts


@lowers("argmax", "argmin")
def _extreme(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    """Return the first place of the extreme, or of what is not a number."""
    (arg,), shape_type = args, out_of(eqn)
    (axis,) = eqn.params["axes"]
    if arg.type == "b32":
        raise ir.Unsupported("the place of a truth value")
    shape, kind = arg.shape, shape_type[1]
    least = eqn.primitive.name == "argmin"
    template, start = ("minimum({0}, {1})", "high") if least else ("maximum({0}, {1})", "low")
    extreme = ir.Reduce(
        (arg,), shape_type[0], arg.dtype, template=template, start=start, axes=(axis,)
    )
    spread = ir.view(extreme, shape, [(d, 0, 1) for d in range(len(shape)) if d != axis])
    number = ir.Iota((), shape, kind, steps=tuple(int(d == axis) for d in range(len(shape))))
    found = ir.elementwise("({0} == {1}) | ({0} != {0})", [arg, spread], shape, TRUTH)
    beyond = ir.constant(np.broadcast_to(np.asarray(shape[axis], kind), shape))
    place = ir.elementwise("select({0}, {1}, {2})", [found, number, beyond], shape, kind)
    return [
        ir.Reduce((place,), *shape_type, template="minimum({0}, {1})", start="high", axes=(axis,))
    ]


@lowers(*RUNNING)
def _running(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    (arg,), (shape, dtype) = args, out_of(eqn)
    template, start = RUNNING[eqn.primitive.name]
    axis, last = eqn.params["axis"], len(shape)
    length = shape[axis]
    wide = _expect_small((*shape, length))
    counted = np.tri(length, dtype=bool)
    kept = counted.T if eqn.params["reverse"] else counted
    mask = ir.view(ir.constant(kept), wide, [(axis, 0, 1), (last, 0, 1)])
    axes = [(last if d == axis else d, 0, 1) for d in range(last)]
    neutral = ir.constant(np.broadcast_to(np.asarray(int(start), dtype), wide))
    values = [mask, ir.view(arg, wide, axes), neutral]
    masked = ir.elementwise("select({0}, {1}, {2})", values, wide, dtype)
    return [ir.Reduce((masked,), shape, dtype, template=template, start=start, axes=(last,))]


@lowers("gather")
def _gather(eqn: JaxprEqn, args: list[Any]) -> Sequence[ir.Node]:
    rows, indices = args
    if isinstance(indices, ir.Constant):
        return move(eqn, args)
    numbers = eqn.params["dimension_numbers"]
    whole = (1, *rows.shape[1:])
    shape, _ = out_of(eqn)
    beside = len(shape) - len(rows.shape) + 1
    takes_rows = (
        numbers.collapsed_slice_dims == (0,)
        and numbers.start_index_map == (0,)
        and not numbers.operand_batching_dims
        and tuple(eqn.params["slice_sizes"]) == whole
        and numbers.offset_dims == tuple(range(beside, len(shape)))
        and eqn.params["mode"] in KEPT_INSIDE
    )
    if not takes_rows:
        return _look_up(eqn, args)
    which = ir.reshape(indices, tuple(shape[:beside]))
    return [ir.TakeRows((ir.contiguous(rows), which), shape, rows.dtype)]


def _look_up(eqn: JaxprEqn, args: list[Any]) -> list[ir.Node]:
    """Look single elements up along the axes that indices are of."""
    (operand, indices), (shape, dtype) = args, out_of(eqn)
    numbers = eqn.params["dimension_numbers"]
    indexed, batched = numbers.start_index_map, numbers.operand_batching_dims
    sizes = eqn.params["slice_sizes"]
    whole = all(n == 1 or sizes[d] == n for d, n in enumerate(operand.shape) if d not in indexed)
    alone = {*numbers.collapsed_slice_dims} == {*indexed} and all(sizes[d] == 1 for d in indexed)
    if not (alone and (whole or batched)):
        raise ir.Unsupported("a look-up of more than single elements")
    last = len(shape)
    wide = _expect_small((*shape, *(operand.shape[d] for d in indexed)))
    beside = [d for d in range(last) if d not in numbers.offset_dims]  # of the indices
    offset = iter(numbers.offset_dims)
    axes = []
    for d in range(len(operand.shape)):
        if d in indexed:
            axes.append((last + indexed.index(d), 0, 1))
        elif d in batched:
            place = numbers.start_indices_batching_dims[batched.index(d)]
            axes.append((beside[place], 0, 1))
        else:
            axes.append((next(offset), 0, 1))
    values = ir.view(operand, wide, axes)
    asked = [_index(indices, i, wide, beside) for i in range(len(indexed))]
    if eqn.params["mode"] == jax.lax.GatherScatterMode.CLIP:
        asked = [_clipped(a, operand.shape[d]) for a, d in zip(asked, indexed, strict=True)]
    found = _all_equal(asked, [last + i for i in range(len(indexed))], wide)
    nothing = ir.constant(np.broadcast_to(np.zeros((), dtype), wide))
    chosen = ir.elementwise("select({0}, {1}, {2})", [found, values, nothing], wide, dtype)
    summed = tuple(range(last, len(wide)))
    result = ir.Reduce((chosen,), shape, dtype, template="{0} + {1}", start="0", axes=summed)
    if eqn.params["mode"] in KEPT_INSIDE:
        return [result]
    if np.dtype(dtype).kind != "f":
        raise ir.Unsupported("a look-up of whole numbers that fills what is not there")
    some = ir.Reduce((found,), shape, TRUTH, template="{0} | {1}", start="false", axes=summed)
    fill = ir.constant(np.broadcast_to(np.asarray(np.nan, dtype), shape))
    return [ir.elementwise("select({0}, {1}, {2})", [some, result, fill], shape, dtype)]


@lowers("scatter-add")
def _add_at(eqn: JaxprEqn, args: list[Any]) -> list[ir.Node]:
    """Add elements, or rows, at the places that indices say; beyond the ends, nowhere."""
    (operand, indices, updates), (shape, dtype) = args, out_of(eqn)
    numbers = eqn.params["dimension_numbers"]
    indexed, batched = numbers.scatter_dims_to_operand_dims, numbers.operand_batching_dims
    windows = [d for d in range(len(shape)) if d not in (*numbers.inserted_window_dims, *batched)]
    full = all(
        updates.shape[u] == shape[d]
        for u, d in zip(numbers.update_window_dims, windows, strict=True)
    )
    if {*indexed} != {*numbers.inserted_window_dims} or not full:
        raise ir.Unsupported("sums at places of more than single elements or rows")
    if eqn.params["mode"] == jax.lax.GatherScatterMode.CLIP:
        raise ir.Unsupported("sums at places that are moved inside")
    last, beside = len(shape), len(indices.shape) - 1
    of_batch = dict(zip(numbers.scatter_indices_batching_dims, batched, strict=True))
    # Where each axis of the indices is: that of the operand, or one that is summed over.
    summed = [d for d in range(beside) if d not in of_batch]
    axis_of = {
        d: of_batch.get(d, last + summed.index(d) if d in summed else -1) for d in range(beside)
    }
    wide = _expect_small((*shape, *(indices.shape[d] for d in summed)))
    others = iter(range(beside))
    axes = [
        (windows[numbers.update_window_dims.index(u)], 0, 1)
        if u in numbers.update_window_dims
        else (axis_of[next(others)], 0, 1)
        for u in range(len(updates.shape))
    ]
    added = ir.view(updates, wide, axes)
    asked = [
        _index(indices, i, wide, [axis_of[d] for d in range(beside)]) for i in range(len(indexed))
    ]
    found = _all_equal(asked, indexed, wide)
    nothing = ir.constant(np.broadcast_to(np.zeros((), dtype), wide))
    chosen = ir.elementwise("select({0}, {1}, {2})", [found, added, nothing], wide, dtype)
    if summed:
        along = tuple(range(last, len(wide)))
        chosen = ir.Reduce((chosen,), shape, dtype, template="{0} + {1}", start="0", axes=along)
    return [ir.elementwise("{0} + {1}", [operand, chosen], shape, dtype)]


def _index(indices: ir.Node, which: int, wide: Sequence[int], beside: Sequence[int]) -> ir.Node:
    """Return one of the numbers of each index, along the axes that the indices have."""
    axes = [*((d, 0, 1) for d in beside), (None, which, 1)]
    return ir.view(indices, wide, axes)


def _clipped(index: ir.Node, length: int) -> ir.Node:
    ends = [
        ir.constant(np.broadcast_to(np.asarray(n, index.dtype), index.shape))
        for n in (0, length - 1)
    ]
    return ir.elementwise(
        "minimum(maximum({0}, {1}), {2})", [index, *ends], index.shape, index.dtype
    )


def _all_equal(asked: Sequence[ir.Node], axes: Sequence[int], wide: Sequence[int]) -> ir.Node:
    """Return where indices name an element's own place along some axes."""
    shape = tuple(wide)
    terms, args = [], []
    for index, axis in zip(asked, axes, strict=True):
        steps = tuple(int(d == axis) for d in range(len(shape)))
        args += [index, ir.Iota((), shape, index.dtype, steps=steps)]
        terms.append(f"({{{len(args) - 2}}} == {{{len(args) - 1}}})")
    return ir.elementwise(" & ".join(terms), args, shape, TRUTH)


def _expect_small(shape: Sequence[int]) -> tuple[int, ...]:
    if np.prod(shape) > LARGEST_SUM:
        raise ir.Unsupported(f"a look-up by a seed's own indices among {np.prod(shape):,} elements")
    return tuple(map(int, shape))
