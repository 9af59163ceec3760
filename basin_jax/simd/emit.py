"""A graph of arrays as C++ of vectors: an element of an array is a seed in each lane."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from basin_jax.graph.arrays import (
    Constant,
    Input,
    Linear,
    Node,
    Product,
    Random,
    View,
    below,
    place,
)
from basin_jax.graph.emit import Emitter
from basin_jax.graph.loops import Loop
from basin_jax.graph.storage import Storage
from basin_jax.graph.text import SCALARS, Text


DRAWN = 8  # random words that are computed at once, at most
LANES = 16  # the most that the runtime has: what memory is made for
REGISTERS = 24  # sums of a tile


@dataclass(frozen=True, kw_only=True)
class Code:
    """The parts of a program, as C++."""

    tables: list[str]
    before: list[str]  # once, before the first step
    step: list[str]
    places: dict[Input, int]  # where each input is put, in bytes
    memory: int  # bytes


def emit(inputs: Sequence[Input], states: Sequence[Input], results: Sequence[Node]) -> Code:
    """Return the program that computes the state after a step from that before it.

    Args:
        inputs: all that comes from outside.
        states: those of them that a step replaces.
        results: what replaces each.
    """
    text = Text()
    storage = Storage(text, inputs, states, results, below(results), lanes=LANES)
    before, step = _Vectors(storage).code()
    places = {node: storage.place[node] for node in inputs}
    return Code(
        tables=text.tables(), before=before, step=step, places=places, memory=storage.memory
    )


class _Vectors(Emitter):
    def loop(self) -> Loop:
        return Loop(self.storage)

    def array(self, node: Node) -> list[str]:
        loop = self.loop()
        draws = [arg for arg in (node, *node.args) if isinstance(arg, Random)]
        several = math.gcd(DRAWN, *node.shape[-1:]) if draws and node.shape else 1
        index = loop.over(node.shape, several)
        places = [(*index[:-1], *(last + Linear(n) for last in index[-1:])) for n in range(several)]
        for draw in draws:
            loop.draw(draw, places)
        for where in places:
            loop.store(node, where, self.masked(node, loop, where, loop.compute(node, where)))
        return loop.close()

    def product(self, node: Product) -> list[str]:
        return _product(self.storage, node)


@dataclass(frozen=True)
class _Factor:
    """Where a factor of a product lies, and how far apart its elements are along each axis."""

    text: str
    strides: tuple[int, ...]


def _factor(storage: Storage, node: Node) -> _Factor:
    index = tuple(Linear(0, ((str(d), 1),)) for d in range(len(node.shape)))
    axes = range(len(node.shape))
    while isinstance(node, View):
        index, node = node.at(index), node.args[0]
    where = place(index, node.strides)
    steps = dict(where.terms)
    if isinstance(node, Constant):
        text = storage.text.table(node.value, SCALARS[node.type])
    else:
        text = storage.array(node)
    return _Factor(f"{text} + {where.constant}", tuple(steps.get(str(d), 0) for d in axes))


def _product(storage: Storage, node: Product) -> list[str]:
    """Return the C++ of a product: loops over all axes but the last free one of each factor."""
    left, right = (_factor(storage, arg) for arg in node.args)
    rows, columns = node.free(0), node.free(1)
    batch, base = len(node.batch[0]), len(node.batch[0]) + len(rows)
    # Of each axis of a loop: its length, and its steps in the left factor, the right, and out.
    axes = [
        (node.shape[i], left.strides[a], right.strides[b], node.strides[i])
        for i, (a, b) in enumerate(zip(*node.batch, strict=True))
    ]
    axes += [
        (node.shape[batch + i], left.strides[a], 0, node.strides[batch + i])
        for i, a in enumerate(rows[:-1])
    ]
    axes += [
        (node.shape[base + i], 0, right.strides[b], node.strides[base + i])
        for i, b in enumerate(columns[:-1])
    ]
    loop = Loop(storage)
    index = loop.over([n for n, *_ in axes])
    start = [place(index, [axis[k] for axis in axes]) for k in (1, 2, 3)]
    m, am, om = (1, 0, 0) if not rows else _axis(node, 0, rows[-1], left, base - 1)
    n, bn, on = (1, 0, 0) if not columns else _axis(node, 1, columns[-1], right, -1)
    (summed,), (across,) = node.contract
    k, ak, bk = node.args[0].shape[summed], left.strides[summed], right.strides[across]
    tm, tn = _tile(m, n)
    loop.lines.append(
        f"product<{m}, {n}, {k}, {tm}, {tn}>({storage.array(node)} + {start[2]}, {om}, {on}, "
        f"{left.text} + {start[0]}, {am}, {ak}, {right.text} + {start[1]}, {bn}, {bk});"
    )
    return loop.close()


def _axis(node: Product, side: int, axis: int, factor: _Factor, out: int) -> tuple[int, int, int]:
    """Return an axis's length, and its steps in a factor and in the product."""
    return node.args[side].shape[axis], factor.strides[axis], node.strides[out]


@functools.cache
def _tile(m: int, n: int) -> tuple[int, int]:
    """Choose a tile by the cycles of one step along the contracted axis, over all tiles."""

    def cycles(rows: int, columns: int) -> float:
        # A product or a load a cycle, and sums that wait four cycles for themselves.
        return max(rows * columns, rows + columns, 4) + (rows + columns) / 100

    def total(tile: tuple[int, int]) -> float:
        rows = [tile[0]] * (m // tile[0]) + [m % tile[0]] * (m % tile[0] > 0)
        columns = [tile[1]] * (n // tile[1]) + [n % tile[1]] * (n % tile[1] > 0)
        return sum(cycles(a, b) for a in rows for b in columns)

    sizes = range(1, REGISTERS + 1)
    tiles = [(a, b) for a in sizes for b in sizes if a <= m and b <= n and a * b <= REGISTERS]
    return min(tiles, key=total)
