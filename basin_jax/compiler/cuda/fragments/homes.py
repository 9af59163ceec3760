"""Where the arrays of a step live: as rows or as tiles in registers, or in shared memory.

Axes that must be as long as each other are one class. The class of the batch is what the gradient
of a weight matrix sums over; an array with an axis of that class is spread by rows over warps.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from basin_jax.compiler import ir


Axis = tuple[ir.Node, int]


@dataclass(frozen=True, kw_only=True)
class Rows:
    """An array whose rows, the examples of a batch, are spread over warps.

    Attributes:
        batch, columns: its axes; it may have no columns.
        count, width: their lengths; a width of 1 where it has no columns.
        axes: how many it has, those of one included.
    """

    batch: int
    columns: int | None
    count: int
    width: int
    axes: int


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """An array that is spread over warps as a gradient is, in tiles of 16 x 8.

    Attributes:
        gradient: the product that sums over a batch.
        down, across: the axes that the gradient's first and second axis are.
    """

    gradient: ir.Product
    down: int
    across: int


class Classes:
    """The classes of axes of a graph's arrays.

    Args:
        nodes: the results and their ancestors.
        states, results: what replaces what.
    """

    def __init__(
        self, nodes: Sequence[ir.Node], states: Sequence[ir.Node], results: Sequence[ir.Node]
    ):
        self._parent: dict[Axis, Axis] = {}
        for node in nodes:
            for some, other in _alike(node):
                self._join(some, other)
        for state, result in zip(states, results, strict=True):
            for d in range(len(state.shape)):
                self._join((state, d), (result, d))
        weights = {self.of(state, d) for state in states for d in _long(state)}
        self.batches = {
            batch
            for node in nodes
            if isinstance(node, ir.Product)
            and (batch := self._summed(node)) not in weights
            and all(self.of(node, d) in weights for d in _long(node))
        }

    def of(self, node: ir.Node, axis: int) -> Axis:
        """Return the representative of an axis's class."""
        found = (node, axis)
        while (above := self._parent.get(found, found)) != found:
            found = above
        return found

    def rows(self, node: ir.Node) -> Rows | None:
        """Return how an array is spread by rows; None if it has no batch, or too many axes."""
        long = _long(node)
        batch = [d for d in long if self.of(node, d) in self.batches]
        others = [d for d in long if d not in batch]
        if len(batch) != 1 or len(others) > 1:
            return None
        columns = others[0] if others else None
        return Rows(
            batch=batch[0],
            columns=columns,
            count=node.shape[batch[0]],
            width=1 if columns is None else node.shape[columns],
            axes=len(node.shape),
        )

    def is_gradient(self, node: ir.Product) -> bool:
        """Return True if a product sums over a batch, of two arrays that are spread by rows."""
        return (
            node.batch == ((), ())
            and self._summed(node) in self.batches
            and all(self.rows(arg) for arg in node.args)
            and len(_long(node)) == 2
        )

    def layer_side(self, node: ir.Product) -> int | None:
        """Return which factor's rows a product maps by the other, a matrix; None if it does not."""
        if node.batch != ((), ()) or self.rows(node) is None:
            return None
        for side in (0, 1):
            rows, matrix = node.args[side], node.args[1 - side]
            found = self.rows(rows)
            if (
                found is not None
                and found.columns == node.contract[side][0]
                and not any(self.of(matrix, d) in self.batches for d in _long(matrix))
                and len(_long(matrix)) == 2
            ):
                return side
        return None

    def _summed(self, node: ir.Product) -> Axis:
        return self.of(node.args[0], node.contract[0][0])

    def _join(self, some: Axis, other: Axis) -> None:
        some, other = self.of(*some), self.of(*other)
        self._parent[some] = other


def _long(node: ir.Node) -> list[int]:
    return [d for d, n in enumerate(node.shape) if n > 1]


def _alike(node: ir.Node) -> Iterator[tuple[Axis, Axis]]:
    """Yield the pairs of axes, of a node and its arguments, that are one."""
    if isinstance(node, ir.Elementwise | ir.Random):
        for arg in node.args:
            if not isinstance(arg, ir.Constant):  # many arrays may share one
                yield from (((node, d), (arg, d)) for d in _long(node))
    elif isinstance(node, ir.View):
        (arg,) = node.args
        for d, (axis, start, step) in enumerate(node.axes):
            if axis is not None and (start, step, arg.shape[d]) == (0, 1, node.shape[axis]):
                yield (node, axis), (arg, d)
    elif isinstance(node, ir.Reduce):
        (arg,) = node.args
        kept = [d for d in range(len(arg.shape)) if d not in node.axes]
        yield from (((node, d), (arg, axis)) for d, axis in enumerate(kept))
    elif isinstance(node, ir.TakeRows):
        rows, which = node.args
        beside = len(which.shape)
        yield from (((node, d), (which, d)) for d in range(beside))
        yield from (((node, beside + d), (rows, 1 + d)) for d in range(len(rows.shape) - 1))
    elif isinstance(node, ir.Product):
        left, right = node.args
        free = [*((left, d) for d in node.free(0)), *((right, d) for d in node.free(1))]
        batch = list(zip(*node.batch, strict=True))
        outs = [*(((left, a), (right, b)) for a, b in batch), *((axis,) for axis in free)]
        for d, same in enumerate(outs):
            yield from pairwise([(node, d), *same])
        for a, b in zip(*node.contract, strict=True):
            yield (left, a), (right, b)
