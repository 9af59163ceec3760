"""Sorting by ranks: how many elements come before each, which is fit for short arrays."""

from collections.abc import Sequence

import numpy as np
from jax.extend.core import JaxprEqn

from basin_jax.compiler import ir
from basin_jax.compiler.lowering_indices import TRUTH, expect_small
from basin_jax.compiler.lowering_rules import BOOLEAN, lowers, out_of, reduction


@lowers("sort")
def _sort(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    axis, keys = eqn.params["dimension"], args[: eqn.params["num_keys"]]
    length = args[0].shape[axis]
    rank = _rank(keys, axis, falling=False)
    return [_at_ranks(arg, rank, axis, length) for arg in args]


@lowers("top_k")
def _top_k(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    (arg,), count = args, eqn.params["k"]
    axis = eqn.params.get("axis", -1) % len(arg.shape)
    kind = np.dtype(eqn.outvars[1].aval.dtype)  # pyright: ignore[reportAttributeAccessIssue]
    rank = _rank(args, axis, falling=True)
    steps = tuple(int(d == axis) for d in range(len(arg.shape)))
    places = ir.Iota((), arg.shape, kind, steps=steps)
    return [_at_ranks(each, rank, axis, count) for each in (arg, places)]


def _rank(keys: Sequence[ir.Node], axis: int, *, falling: bool) -> ir.Node:
    """Return how many elements come before each along an axis; of equals, the first does.

    What is not a number comes last, and first where values fall, as XLA has it. -0 becomes 0.
    """
    shape = keys[0].shape
    last = len(shape)
    wide = expect_small((*shape, shape[axis]))
    own = [(d, 0, 1) for d in range(last)]
    other = [(last if d == axis else d, 0, 1) for d in range(last)]
    steps = [tuple(int(d == along) for d in range(last + 1)) for along in (axis, last)]
    here, there = (ir.Iota((), wide, np.dtype(np.int32), steps=each) for each in steps)
    before = ir.elementwise("{1} < {0}", [here, there], wide, TRUTH)
    for key in reversed(keys):
        pair = [ir.view(key, wide, axes) for axes in (own, other)]
        less, equal = _compared(pair[::-1] if falling else pair, wide)
        before = ir.elementwise("{0} | ({1} & {2})", [less, equal, before], wide, TRUTH)
    counted = ir.elementwise("from_truth<i32>({0})", [before], wide, np.dtype(np.int32))
    return reduction("reduce_sum", counted, shape, (last,))


def _compared(pair: Sequence[ir.Node], shape: tuple[int, ...]) -> tuple[ir.Node, ir.Node]:
    """Return where the second is less than the first, and where they are equal."""
    kind = np.dtype(pair[0].dtype)
    less, equal = "{1} < {0}", "{1} == {0}"
    if kind.kind == "b":
        less, equal = "{0} & ~{1}", "~({0} ^ {1})"
    elif kind.kind == "f":
        less, equal = f"({less}) | (({{0}} != {{0}}) & ({{1}} == {{1}}))", _either(equal)
    if kind.itemsize == 8:
        less, equal = (f"cast<b32>({text})" for text in (less, equal))
    return ir.elementwise(less, pair, shape, TRUTH), ir.elementwise(equal, pair, shape, TRUTH)


def _either(equal: str) -> str:
    return f"({equal}) | (({{0}} != {{0}}) & ({{1}} != {{1}}))"


def _at_ranks(arg: ir.Node, rank: ir.Node, axis: int, count: int) -> ir.Node:
    """Return the elements of the first ranks along an axis, in their order."""
    last = len(arg.shape)
    shape = tuple(count if d == axis else n for d, n in enumerate(arg.shape))
    wide = expect_small((*shape, arg.shape[axis]))
    other = [(last if d == axis else d, 0, 1) for d in range(last)]
    ranks, values = (ir.view(each, wide, other) for each in (rank, arg))
    here = ir.Iota((), wide, rank.dtype, steps=tuple(int(d == axis) for d in range(last + 1)))
    kind = np.dtype(arg.dtype)
    other_value = ir.constant(np.broadcast_to(np.zeros((), kind), wide))
    chosen = ir.elementwise(
        "select({0} == {1}, {2}, {3})", [ranks, here, values, other_value], wide, kind
    )
    return reduction("reduce_or" if kind.kind == "b" else "reduce_sum", chosen, shape, (last,))


@lowers("lt_to", "le_to")
def _less_in_order(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    """Compare in the order of all numbers: -0 is less than 0, and what is no number is the last."""
    kind, first, second = np.dtype(args[0].dtype), *args
    turned = eqn.primitive.name == "le_to"
    text = BOOLEAN["lt"] if kind.kind == "b" else "{0} < {1}"
    if kind.kind == "f":
        zeros = "(({0} == {1}) & (1 / {0} < 1 / {1}))"
        text = f"({text}) | (({{0}} == {{0}}) & ({{1}} != {{1}})) | {zeros}"
    text = f"cast<b32>({text})" if kind.itemsize == 8 else text
    pair = [second, first] if turned else [first, second]
    less = ir.elementwise(text, pair, *out_of(eqn))
    # Of a truth value, since a GPU's comparison gives a C++ bool, whose ~ is always true.
    return [ir.elementwise("~{0}", [less], *out_of(eqn)) if turned else less]
