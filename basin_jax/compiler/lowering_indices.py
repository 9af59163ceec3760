"""Indices that a seed decides: look-ups, sums at places, extremes' places, and running sums.

What an index chooses is a sum over all that it may choose, of which one is not nothing. That is fit
for the small arrays of small networks, and refused for larger ones.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import JaxprEqn

from basin_jax.compiler import ir
from basin_jax.compiler.lowering_rules import (
    REDUCTIONS,
    converted,
    end_of,
    lowers,
    move,
    out_of,
    reduction,
)


LARGEST_SUM = 2**18  # elements
KEPT_INSIDE = {jax.lax.GatherScatterMode.PROMISE_IN_BOUNDS, jax.lax.GatherScatterMode.CLIP}
# The operation of a running reduction, and what changes nothing in it.
RUNNING = {"cumsum": "reduce_sum", "cumprod": "reduce_prod"}
RUNNING |= {"cummax": "reduce_max", "cummin": "reduce_min"}
# What several elements at one place come to.
SCATTERED = {"scatter-add": "reduce_sum", "scatter-mul": "reduce_prod", "scatter": ""}
SCATTERED |= {"scatter-min": "reduce_min", "scatter-max": "reduce_max"}
TRUTH = np.dtype(bool)
_EXTREME = {"i": "min", "u": "max"}  # with which JAX fills whole numbers


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
        arg = converted(arg, np.int32)
    shape, kind = shape_type
    steps = tuple(int(d == axis) for d in range(len(arg.shape)))
    number = ir.Iota((), arg.shape, kind, steps=steps)
    least = eqn.primitive.name == "argmin"
    return [place_of_extreme(arg, number, shape, (axis,), least=least)]


def place_of_extreme(
    arg: ir.Node, number: ir.Node, shape: tuple[int, ...], axes: tuple[int, ...], *, least: bool
) -> ir.Node:
    """Return the least number of an extreme, or of what is not a number, along axes."""
    kind = number.dtype
    extreme = reduction("reduce_min" if least else "reduce_max", arg, shape, axes)
    kept = [(d, 0, 1) for d in range(len(arg.shape)) if d not in axes]
    spread = ir.view(extreme, arg.shape, kept)
    found = ir.elementwise("({0} == {1}) | ({0} != {0})", [arg, spread], arg.shape, TRUTH)
    length = math.prod(arg.shape[d] for d in axes)
    beyond = ir.constant(np.broadcast_to(np.asarray(length, kind), arg.shape))
    place = ir.elementwise("select({0}, {1}, {2})", [found, number, beyond], arg.shape, kind)
    return reduction("reduce_min", place, shape, axes)


@lowers(*RUNNING)
def _running(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    (arg,), name = args, RUNNING[eqn.primitive.name]
    mask, values = _counted(eqn, arg)
    neutral = np.asarray(end_of(name, arg.dtype), arg.dtype)
    kept = [mask, values, ir.constant(np.broadcast_to(neutral, values.shape))]
    masked = ir.elementwise("select({0}, {1}, {2})", kept, values.shape, arg.dtype)
    return [reduction(name, masked, arg.shape, (len(arg.shape),))]


@lowers("cumlogsumexp")
def _running_log_of_sum(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    (arg,), (shape, dtype) = args, out_of(eqn)
    last = len(shape)
    mask, values = _counted(eqn, arg)
    wide = values.shape
    least = ir.constant(np.broadcast_to(np.asarray(-np.inf, dtype), wide))
    masked = ir.elementwise("select({0}, {1}, {2})", [mask, values, least], wide, dtype)
    most = reduction("reduce_max", masked, shape, (last,))
    spread = ir.view(most, wide, [(d, 0, 1) for d in range(last)])
    # Two infinities have no difference.
    terms = ir.elementwise(
        "select({0} == {1}, {2}, exponential({0} - {1}))",
        [masked, spread, ir.constant(np.broadcast_to(np.ones((), dtype), wide))],
        wide,
        dtype,
    )
    summed = reduction("reduce_sum", terms, shape, (last,))
    return [ir.elementwise("{0} + logarithm({1})", [most, summed], shape, dtype)]


def _counted(eqn: JaxprEqn, arg: ir.Node) -> tuple[ir.Node, ir.Node]:
    """Return what each element's running result counts, and all elements, along a last axis."""
    axis, last = eqn.params["axis"], len(arg.shape)
    length = arg.shape[axis]
    wide = expect_small((*arg.shape, length))
    counted = np.tri(length, dtype=bool)
    kept = counted.T if eqn.params["reverse"] else counted
    mask = ir.view(ir.constant(kept), wide, [(axis, 0, 1), (last, 0, 1)])
    axes = [(last if d == axis else d, 0, 1) for d in range(last)]
    return mask, ir.view(arg, wide, axes)


@lowers("gather")
def _gather(eqn: JaxprEqn, args: list[Any]) -> Sequence[ir.Node]:
    rows, indices = args
    if isinstance(indices, ir.Constant) and _are_inside(eqn, indices.value):
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


def _are_inside(eqn: JaxprEqn, indices: np.ndarray) -> bool:
    """Return True if no constant index asks for what is not there, and is to be filled."""
    if eqn.params["mode"] in KEPT_INSIDE:
        return True
    axes = eqn.params["dimension_numbers"].start_index_map
    last = [eqn.invars[0].aval.shape[d] - eqn.params["slice_sizes"][d] for d in axes]  # pyright: ignore[reportAttributeAccessIssue]
    return bool(((indices >= 0) & (indices <= np.array(last))).all())


def _look_up(eqn: JaxprEqn, args: list[Any]) -> list[ir.Node]:
    """Look elements, or slices, up along the axes that indices are of."""
    (operand, indices), (shape, dtype) = args, out_of(eqn)
    numbers = eqn.params["dimension_numbers"]
    indexed, batched = numbers.start_index_map, numbers.operand_batching_dims
    sizes = eqn.params["slice_sizes"]
    whole = all(n == 1 or sizes[d] == n for d, n in enumerate(operand.shape) if d not in indexed)
    single = all(sizes[d] == 1 for d in indexed)
    if not (whole or batched) or not (single or eqn.params["mode"] in KEPT_INSIDE):
        raise ir.Unsupported("a look-up of parts of rows")
    last = len(shape)
    wide = expect_small((*shape, *(operand.shape[d] for d in indexed)))
    beside = [d for d in range(last) if d not in numbers.offset_dims]  # of the indices
    offset = iter(numbers.offset_dims)
    axes, within = [], dict[int, int]()
    for d in range(len(operand.shape)):
        if d in indexed:
            axes.append((last + indexed.index(d), 0, 1))
            if d not in numbers.collapsed_slice_dims:
                within[d] = next(offset)
        elif d in batched:
            place = numbers.start_indices_batching_dims[batched.index(d)]
            axes.append((beside[place], 0, 1))
        else:
            axes.append((next(offset), 0, 1))
    values = ir.view(operand, wide, axes)
    asked = [_index(indices, i, wide, beside) for i in range(len(indexed))]
    if eqn.params["mode"] == jax.lax.GatherScatterMode.CLIP:
        begins = [operand.shape[d] - sizes[d] + 1 for d in indexed]
        asked = [_clipped(a, length) for a, length in zip(asked, begins, strict=True)]
    asked = [
        a if sizes[d] == 1 else _further(a, within[d]) for a, d in zip(asked, indexed, strict=True)
    ]
    found = _all_equal(asked, [last + i for i in range(len(indexed))], wide)
    nothing = ir.constant(np.broadcast_to(np.zeros((), dtype), wide))
    chosen = ir.elementwise("select({0}, {1}, {2})", [found, values, nothing], wide, dtype)
    summed = tuple(range(last, len(wide)))
    result = ir.Reduce((chosen,), shape, dtype, template="{0} + {1}", start="0", axes=summed)
    if eqn.params["mode"] in KEPT_INSIDE:
        return [result]
    some = ir.Reduce((found,), shape, TRUTH, template="{0} | {1}", start="false", axes=summed)
    fill = ir.constant(np.broadcast_to(_fill_of(eqn, dtype), shape))
    return [ir.elementwise("select({0}, {1}, {2})", [some, result, fill], shape, dtype)]


def _fill_of(eqn: JaxprEqn, dtype: Any) -> np.ndarray:
    """Return what a look-up gives where there is nothing."""
    given, kind = eqn.params["fill_value"], np.dtype(dtype)
    if given is None and kind.kind not in "fiu":
        raise ir.Unsupported("a look-up of truth values that fills what is not there")
    if given is None:
        given = np.nan if kind.kind == "f" else getattr(np.iinfo(kind), _EXTREME[kind.kind])
    return np.asarray(given, kind)


@lowers(*SCATTERED)
def _scatter(eqn: JaxprEqn, args: list[Any]) -> Sequence[ir.Node]:
    """Put elements, or rows, to the places that indices say; beyond the ends, nowhere."""
    (operand, indices, updates), (shape, dtype) = args, out_of(eqn)
    name = eqn.primitive.name
    if name == "scatter" and eqn.params["update_jaxpr"] is not None:
        raise ir.Unsupported("a function applied at places")
    if name == "scatter" and isinstance(indices, ir.Constant):
        return move(eqn, args)
    numbers = eqn.params["dimension_numbers"]
    indexed, batched = numbers.scatter_dims_to_operand_dims, numbers.operand_batching_dims
    windows = [d for d in range(len(shape)) if d not in (*numbers.inserted_window_dims, *batched)]
    full = all(
        updates.shape[u] == shape[d]
        for u, d in zip(numbers.update_window_dims, windows, strict=True)
    )
    if {*indexed} != {*numbers.inserted_window_dims} or not full:
        raise ir.Unsupported(f"{name} at places of more than single elements or rows")
    last, beside = len(shape), len(indices.shape) - 1
    of_batch = dict(zip(numbers.scatter_indices_batching_dims, batched, strict=True))
    # Where each axis of the indices is: that of the operand, or one that is summed over.
    summed = [d for d in range(beside) if d not in of_batch]
    axis_of = {
        d: of_batch.get(d, last + summed.index(d) if d in summed else -1) for d in range(beside)
    }
    wide = expect_small((*shape, *(indices.shape[d] for d in summed)))
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
    if eqn.params["mode"] == jax.lax.GatherScatterMode.CLIP:
        asked = [_clipped(a, shape[d]) for a, d in zip(asked, indexed, strict=True)]
    found = _all_equal(asked, indexed, wide)
    along = tuple(range(last, len(wide)))
    if name == "scatter":
        return [_replaced(operand, found, added, along)]
    combine = SCATTERED[name]
    nothing = ir.constant(np.broadcast_to(np.asarray(end_of(combine, dtype), dtype), wide))
    chosen = ir.elementwise("select({0}, {1}, {2})", [found, added, nothing], wide, dtype)
    if summed:
        chosen = reduction(combine, chosen, shape, along)
    return [ir.elementwise(REDUCTIONS[combine][0], [operand, chosen], shape, dtype)]


def _replaced(operand: ir.Node, found: ir.Node, values: ir.Node, along: tuple[int, ...]) -> ir.Node:
    """Return an array with the last value that is found for each element, if there is one."""
    shape, dtype, wide = operand.shape, operand.dtype, found.shape
    chosen = values
    if along:
        number = np.dtype(np.int32)
        counts = ir.row_major(wide[len(shape) :])
        places = ir.Iota((), wide, number, steps=(*([0] * len(shape)), *counts))
        none = ir.constant(np.broadcast_to(np.asarray(-1, number), wide))
        named = ir.elementwise("select({0}, {1}, {2})", [found, places, none], wide, number)
        last = reduction("reduce_max", named, shape, along)
        spread = ir.view(last, wide, [(d, 0, 1) for d in range(len(shape))])
        nothing = ir.constant(np.broadcast_to(np.zeros((), dtype), wide))
        text = "select({0} == {1}, {2}, {3})"
        single = ir.elementwise(text, [spread, places, values, nothing], wide, dtype)
        chosen = reduction(
            "reduce_or" if single.type == "b32" else "reduce_sum", single, shape, along
        )
        zero = ir.constant(np.zeros((), number))
        found = ir.elementwise("{0} >= {1}", [last, zero], shape, TRUTH)
    return ir.elementwise("select({0}, {1}, {2})", [found, chosen, operand], shape, dtype)


def _index(indices: ir.Node, which: int, wide: Sequence[int], beside: Sequence[int]) -> ir.Node:
    """Return one of the numbers of each index, along the axes that the indices have."""
    axes = [*((d, 0, 1) for d in beside), (None, which, 1)]
    return ir.view(indices, wide, axes)


def _further(index: ir.Node, axis: int) -> ir.Node:
    """Return indices that grow along an axis."""
    steps = tuple(int(d == axis) for d in range(len(index.shape)))
    number = ir.Iota((), index.shape, index.dtype, steps=steps)
    return ir.elementwise("{0} + {1}", [index, number], index.shape, index.dtype)


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


def expect_small(shape: Sequence[int]) -> tuple[int, ...]:
    """Refuse to look among too many elements."""
    if np.prod(shape) > LARGEST_SUM:
        raise ir.Unsupported(f"a look-up by a seed's own indices among {np.prod(shape):,} elements")
    return tuple(map(int, shape))
