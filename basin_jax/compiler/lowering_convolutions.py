"""Convolutions and pooling: sums of products over windows, and reductions of windows."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import JaxprEqn

from basin_jax.compiler import ir
from basin_jax.compiler.lowering_indices import place_of_extreme
from basin_jax.compiler.lowering_rules import converted, end_of, lowers, out_of, reduction


LARGEST_WINDOWS = 2**22  # elements of all windows, which are read once each
# A dimension's axis, and the step of its index along an axis of the argument.
Pairs = tuple[tuple[int, int], ...]


@lowers("conv_general_dilated")
def _convolution(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    """Multiply windows by kernels: [group, batch, place..., feature], in the order asked for."""
    params, (shape, dtype) = eqn.params, out_of(eqn)
    image, kernel = (converted(arg, dtype) for arg in args)
    layout = params["dimension_numbers"]
    image_batch, image_feature, *image_space = layout.lhs_spec
    kernel_out, kernel_in, *kernel_space = layout.rhs_spec
    out_batch, out_feature, *out_space = layout.out_spec
    by_batch = params["batch_group_count"] > 1
    groups = max(params["batch_group_count"], params["feature_group_count"])
    places = [shape[d] for d in out_space]
    window = [kernel.shape[d] for d in kernel_space]
    batch, features = shape[out_batch], shape[out_feature] // groups
    inputs, several = kernel.shape[kernel_in], len(places)
    pads = dict(zip(image_space, params["padding"], strict=True))
    dilated = dict(zip(image_space, params["lhs_dilation"], strict=True))
    around = [pads.get(d, (0, 0)) for d in range(several + 2)]
    source = ir.readable(padded(image, around, [dilated.get(d, 1) for d in range(several + 2)], 0))
    # The axes of a window: groups, batch, places, inputs, and what the kernel spans.
    in_place, in_window = 2, 3 + several
    axes: dict[int, Pairs] = {
        image_batch: ((0, batch), (1, 1)) if by_batch else ((1, 1),),
        image_feature: ((2 + several, 1),) if by_batch else ((0, inputs), (2 + several, 1)),
    }
    steps = zip(image_space, params["window_strides"], params["rhs_dilation"], strict=True)
    for i, (d, stride, spread) in enumerate(steps):
        axes[d] = ((in_place + i, stride), (in_window + i, spread))
    windows = _windows(source, [groups, batch, *places, inputs, *window], axes)
    of_kernel: dict[int, Pairs] = {kernel_out: ((0, features), (1, 1)), kernel_in: ((2, 1),)}
    of_kernel |= {d: ((3 + i, 1),) for i, d in enumerate(kernel_space)}
    kernels = _windows(ir.readable(kernel), [groups, features, inputs, *window], of_kernel)
    contract = tuple(range(2 + several, len(windows.shape))), tuple(range(2, len(kernels.shape)))
    found = ir.Contraction(
        (windows, kernels),
        (groups, batch, *places, features),
        dtype,
        contract=contract,
        batch=((0,), (0,)),
    )
    if groups > 1:
        order = [*range(1, 2 + several), 0, 2 + several]
        turned = ir.view(
            found,
            [found.shape[d] for d in order],
            [(order.index(d), 0, 1) for d in range(len(order))],
        )
        merged = ir.reshape(turned, (batch, *places, shape[out_feature]))
    else:
        merged = ir.view(
            found, found.shape[1:], [(None, 0, 1), *((d, 0, 1) for d in range(2 + several))]
        )
    order = [out_batch, *out_space, out_feature]
    return [ir.view(merged, shape, [(d, 0, 1) for d in order])]


@lowers("reduce_window_sum", "reduce_window_max", "reduce_window_min")
def _reduce_window(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    (arg,), params, (shape, dtype) = args, eqn.params, out_of(eqn)
    name = eqn.primitive.name.replace("_window", "")
    source = padded(arg, params["padding"], params["base_dilation"], end_of(name, dtype))
    windows = _windows_of(source, shape, params)
    axes = tuple(range(len(shape), len(windows.shape)))
    return [reduction(name, windows, shape, axes)]


@lowers("select_and_scatter_add")
def _scatter_to_extremes(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    """Add each element to the place of the extreme in its window."""
    (source, operand), params, (shape, dtype) = args, eqn.params, out_of(eqn)
    place, _ = _extremes(eqn, operand, source.shape)
    size, strides = params["window_dimensions"], params["window_strides"]
    counts, number = ir.row_major(size), place.dtype
    apart = all(
        stride == n and begin == 0 and whole == n * out
        for stride, n, (begin, _), whole, out in zip(
            strides, size, params["padding"], shape, source.shape, strict=True
        )
    )
    if apart:
        wide = tuple(n for pair in zip(source.shape, size, strict=True) for n in pair)
        axes = [(2 * d, 0, 1) for d in range(len(shape))]
        steps = tuple(n for count in counts for n in (0, count))
        here = ir.Iota((), wide, number, steps=steps)
        values = [ir.view(place, wide, axes), here, ir.view(source, wide, axes)]
        return [ir.reshape(_where_equal(values, wide, dtype), shape)]
    begins = [n - 1 - begin for n, (begin, _) in zip(size, params["padding"], strict=True)]
    around = tuple(n + w - 1 for n, w in zip(shape, size, strict=True))
    expect_few(shape, int(np.prod(size)))
    wide = (*shape, *size)
    axes = {d: ((d, 1), (len(shape) + d, 1)) for d in range(len(shape))}
    spread = [
        _windows(_padded(arg, around, begins, strides, fill), wide, axes)
        for arg, fill in ((place, -1), (source, 0))
    ]
    here = ir.Iota((), wide, number, steps=(*([0] * len(shape)), *counts))
    last = ir.constant(np.broadcast_to(np.asarray(np.prod(size) - 1, number), wide))
    turned = ir.elementwise("{0} - {1}", [last, here], wide, number)
    chosen = _where_equal([spread[0], turned, spread[1]], wide, dtype)
    return [reduction("reduce_sum", chosen, shape, tuple(range(len(shape), len(wide))))]


@lowers("select_and_gather_add")
def _gather_from_extremes(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    """Return the first argument's element at the place of the extreme of each window."""
    (tangents, operand), params, (shape, dtype) = args, eqn.params, out_of(eqn)
    place, here = _extremes(eqn, operand, shape)
    ones = (1,) * len(operand.shape)
    windows = _windows_of(
        padded(tangents, params["padding"], params.get("base_dilation", ones), 0), shape, params
    )
    wide = windows.shape
    spread = ir.view(place, wide, [(d, 0, 1) for d in range(len(shape))])
    chosen = _where_equal([spread, here, windows], wide, dtype)
    return [reduction("reduce_sum", chosen, shape, tuple(range(len(shape), len(wide))))]


def _extremes(eqn: JaxprEqn, operand: ir.Node, shape: Sequence[int]) -> tuple[ir.Node, ir.Node]:
    """Return the place of the extreme of each window, and the numbers of the places."""
    least = eqn.params["select_prim"] is jax.lax.le_p
    name, ones = "reduce_min" if least else "reduce_max", (1,) * len(operand.shape)
    dilation = eqn.params.get("base_dilation", ones)
    source = padded(operand, eqn.params["padding"], dilation, end_of(name, operand.dtype))
    windows = _windows_of(source, shape, eqn.params)
    axes = tuple(range(len(shape), len(windows.shape)))
    counts = ir.row_major(eqn.params["window_dimensions"])
    here = ir.Iota(
        (), windows.shape, np.dtype(np.int32), steps=(*([0] * len(shape)), *map(int, counts))
    )
    return place_of_extreme(windows, here, tuple(shape), axes, least=least), here


def _where_equal(values: Sequence[ir.Node], shape: Sequence[int], dtype: Any) -> ir.Node:
    nothing = ir.constant(np.broadcast_to(np.zeros((), dtype), tuple(shape)))
    template = "select({0} == {1}, {2}, {3})"
    return ir.elementwise(template, [*values, nothing], tuple(shape), dtype)


def padded(
    arg: ir.Node, around: Sequence[tuple[int, int]], steps: Sequence[int], fill: Any
) -> ir.Node:
    """Return an array with one value around, and between, its elements.

    Args:
        arg: the array.
        around: how many before and behind along each axis; fewer than none are taken away.
        steps: how far apart two elements are along each axis.
        fill: the value.
    """
    if not any(map(any, around)) and all(step == 1 for step in steps):
        return arg
    shape = [
        low + (n - 1) * step + 1 + high
        for n, step, (low, high) in zip(arg.shape, steps, around, strict=True)
    ]
    return _padded(arg, shape, [low for low, _ in around], steps, fill)


def _padded(
    arg: ir.Node, shape: Sequence[int], begins: Sequence[int], steps: Sequence[int], fill: Any
) -> ir.Node:
    return ir.Padded(
        (ir.readable(arg),),
        tuple(map(int, shape)),
        arg.dtype,
        begins=tuple(map(int, begins)),
        steps=tuple(map(int, steps)),
        fill=fill,
        cost=1,
    )


def _windows_of(source: ir.Node, shape: Sequence[int], params: Any) -> ir.Node:
    """Return the windows of a reduction: their places, then their elements."""
    size, count = params["window_dimensions"], len(shape)
    spread = params.get("window_dilation", (1,) * count)
    expect_few(shape, int(np.prod(size)))
    steps = zip(params["window_strides"], spread, strict=True)
    axes = {d: ((d, stride), (count + d, apart)) for d, (stride, apart) in enumerate(steps)}
    return _windows(source, [*shape, *size], axes)


def _windows(arg: ir.Node, shape: Sequence[int], axes: dict[int, Pairs]) -> ir.Windows:
    pairs = tuple(
        tuple((int(axis), int(step)) for axis, step in axes[d]) for d in range(len(arg.shape))
    )
    return ir.Windows((arg,), tuple(map(int, shape)), arg.dtype, axes=pairs, cost=arg.cost)


def expect_few(shape: Sequence[int], each: int) -> None:
    """Refuse windows of too many elements."""
    number = int(np.prod(shape)) * each
    if number > LARGEST_WINDOWS:
        raise ir.Unsupported(f"windows of {number:,} elements; at most {LARGEST_WINDOWS:,}")
