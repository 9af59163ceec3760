"""Rewrite a graph for tensor cores: fewer products of matrices, fewer quotients."""

from collections.abc import Sequence
from dataclasses import replace

from basin_jax.compiler import ir


LEAST = 1e-11  # beside which the root of the least normal number does not show


def simplified(results: Sequence[ir.Node]) -> list[ir.Node]:
    """Return a graph without products, and without sums, along an axis of one.

    A product that sums over one element has no sum, and a product whose result is a vector is a
    sum of products of elements: both then need no tensor core, and no fragment of one. What is
    divided by one number for all elements is multiplied by its reciprocal.
    """
    new: dict[ir.Node, ir.Node] = {}
    for node in ir.below(results):
        args = tuple(new[arg] for arg in node.args)
        if isinstance(node, ir.Reshape | ir.Gather):
            args = tuple(map(ir.contiguous, args))  # a sum that is a view now was stored
        ties = tuple(new.get(tie, tie) for tie in node.ties)
        if args != node.args or ties != node.ties:
            node, old = replace(node, args=args, ties=ties, number=ir.next_number()), node
        else:
            old = node
        new[old] = _simpler(node)
    return [new[result] for result in results]


def _simpler(node: ir.Node) -> ir.Node:
    if isinstance(node, ir.Reduce) and all(node.args[0].shape[d] == 1 for d in node.axes):
        kept = iter(range(len(node.shape)))
        summed = set(node.axes)
        axes = [(None if d in summed else next(kept), 0, 1) for d in range(len(node.args[0].shape))]
        return ir.view(node.args[0], node.shape, axes)
    if isinstance(node, ir.Elementwise) and node.template == "{0} / {1}" and node.type == "f32":
        return _by_root(node) or _by_reciprocal(node)
    if not isinstance(node, ir.Product) or node.batch != ((), ()):
        return node
    ((summed,), (other,)), (left, right) = node.contract, node.args
    lefts, rights = node.free(0), node.free(1)
    length = left.shape[summed]
    thin = any(
        all(arg.shape[d] == 1 for d in free) for arg, free in ((left, lefts), (right, rights))
    )
    if length > 1 and not thin:
        return node
    shape = (*node.shape, length)
    last = len(node.shape)
    factors = [
        ir.view(
            arg, shape, [(_axis(d, free, along, first, last), 0, 1) for d in range(len(arg.shape))]
        )
        for arg, free, along, first in (
            (left, lefts, summed, 0),
            (right, rights, other, len(lefts)),
        )
    ]
    products = ir.elementwise("{0} * {1}", factors, shape, node.dtype)
    if length == 1:
        return ir.view(products, node.shape, [*((d, 0, 1) for d in range(last)), (None, 0, 1)])
    return ir.Reduce(
        (products,), node.shape, node.dtype, template="{0} + {1}", start="0", axes=(last,)
    )


def _by_root(node: ir.Elementwise) -> ir.Node | None:
    """Return a quotient by a root plus a constant, as Adam's, without care for extremes.

    The divisor is neither tiny nor huge, and next to the constant no root of what is too small
    for a normal number counts.
    """
    number, divisor = node.args
    if not isinstance(divisor, ir.Elementwise) or divisor.template != "{0} + {1}":
        return None
    root, least = divisor.args
    if not isinstance(root, ir.Elementwise) or root.template != "square_root({0})":
        return None
    if not isinstance(least, ir.Constant) or not (least.is_splat and least.scalar >= LEAST):
        return None
    args = [number, root.args[0], least]
    return ir.elementwise("by_root({0}, {1}, {2})", args, node.shape, node.dtype, cost=8)


def _by_reciprocal(node: ir.Elementwise) -> ir.Node:
    number, divisor = node.args
    base = ir.base(divisor)
    if base.size > 1 or node.size == 1 or isinstance(base, ir.Constant):
        return node
    one = ir.view(base, (), [(None, 0, 1)] * len(base.shape)) if base.shape else base
    reciprocal = ir.elementwise("1 / {0}", [one], (), base.dtype)
    return ir.elementwise("{0} * {1}", [number, reciprocal], node.shape, node.dtype)


def _axis(d: int, free: Sequence[int], along: int, first: int, last: int) -> int:
    return last if d == along else first + free.index(d)
