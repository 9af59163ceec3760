"""Products of arrays as products of matrices, inside loops over all other axes."""

from collections.abc import Sequence
from dataclasses import dataclass

from basin_jax.compiler import ir
from basin_jax.compiler.cpp import SCALARS
from basin_jax.compiler.memory import Arrays


@dataclass(frozen=True)
class Axis:
    """An axis: its length, and its strides in the left, the right, and the output."""

    length: int = 1
    left: int = 0
    right: int = 0
    out: int = 0


@dataclass(frozen=True, kw_only=True)
class Matrices:
    """A product of matrices [m, k] and [k, n] for each index of the other axes."""

    others: tuple[Axis, ...]
    m: Axis
    n: Axis
    k: Axis
    left: str  # the C++ of a pointer
    right: str
    out: str
    left_start: ir.Linear  # elements behind it, at which the first matrix begins
    right_start: ir.Linear

    def starts(self, index: Sequence[ir.Linear]) -> tuple[str, str, str]:
        """Return pointers to the matrices of an index of the other axes: left, right, out."""
        steps = ([getattr(axis, side) for axis in self.others] for side in ("left", "right", "out"))
        texts = (self.left, self.right, self.out)
        starts = (self.left_start, self.right_start, ir.Linear())
        left, right, out = (
            f"{text} + {ir.place(index, step) + start}"
            for text, step, start in zip(texts, steps, starts, strict=True)
        )
        return left, right, out


def matrices(storage: Arrays, node: ir.Product) -> Matrices:
    """Lay a product out as products of matrices."""
    (left, first, lefts), (right, second, rights) = (factor_of(storage, arg) for arg in node.args)
    rows, columns = node.free(0), node.free(1)
    outs, lengths = iter(storage.strides(node)), iter(node.shape)
    batch = [
        Axis(next(lengths), lefts[a], rights[b], next(outs))
        for a, b in zip(*node.batch, strict=True)
    ]
    free = [Axis(next(lengths), lefts[a], 0, next(outs)) for a in rows]
    across = [Axis(next(lengths), 0, rights[b], next(outs)) for b in columns]
    (summed,), (other,) = node.contract
    return Matrices(
        others=(*batch, *free[:-1], *across[:-1]),
        m=free[-1] if free else Axis(),
        n=across[-1] if across else Axis(),
        k=Axis(node.args[0].shape[summed], lefts[summed], rights[other]),
        left=left,
        right=right,
        out=storage.array(node),
        left_start=first,
        right_start=second,
    )


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Sums of products over several axes: a matrix [m, n] for each index of the other axes."""

    matrices: Matrices  # whose k is the last of the contracted axes
    outer: tuple[Axis, ...]  # the contracted axes before it


def sums(storage: Arrays, node: ir.Contraction) -> Sums:
    """Lay sums of products out as matrices."""
    (left, first, lefts), (right, second, rights) = (factor_of(storage, arg) for arg in node.args)
    lengths, outs = node.args[0].shape, iter(storage.strides(node))
    batch = [
        Axis(lengths[a], lefts[a], rights[b], next(outs)) for a, b in zip(*node.batch, strict=True)
    ]
    rows = [Axis(lengths[a], lefts[a], 0, next(outs)) for a in node.free(0)]
    columns = [Axis(node.args[1].shape[b], 0, rights[b], next(outs)) for b in node.free(1)]
    summed: list[Axis] = []
    for a, b in zip(*node.contract, strict=True):
        axis = Axis(lengths[a], lefts[a], rights[b])
        last = summed[-1] if summed else Axis()
        if last.length == 1:
            summed = [*summed[:-1], axis]
        elif (last.left, last.right) == (axis.left * axis.length, axis.right * axis.length):
            summed[-1] = Axis(last.length * axis.length, axis.left, axis.right)
        elif axis.length > 1:
            summed.append(axis)
    m, n = (max(reversed(axes), key=lambda axis: axis.length) for axes in (rows, columns))
    others = [axis for axis in (*batch, *rows, *columns) if axis is not m and axis is not n]
    found = Matrices(
        others=tuple(others),
        m=m,
        n=n,
        k=summed[-1],
        left=left,
        right=right,
        out=storage.array(node),
        left_start=first,
        right_start=second,
    )
    return Sums(matrices=found, outer=tuple(summed[:-1]))


def factor_of(storage: Arrays, node: ir.Node) -> tuple[str, ir.Linear, tuple[int, ...]]:
    """Return the array that holds a factor, its start, and its strides."""
    index = tuple(ir.Linear(0, ((str(d), 1),)) for d in range(len(node.shape)))
    axes = range(len(node.shape))
    while isinstance(node, ir.Moved):
        index, node = node.at(index), node.args[0]
    where = ir.place(index, storage.strides(node))
    steps = dict(where.terms)
    if isinstance(node, ir.Constant):
        text = storage.symbols.table(node.value, SCALARS[node.type])
    else:
        text = storage.array(node)
    own = {str(d) for d in axes}
    start = ir.Linear(where.constant, tuple(term for term in where.terms if term[0] not in own))
    return text, start, tuple(steps.get(str(d), 0) for d in axes)
