"""Emit C++ of vectors: an element of an array is a vector with a seed in each lane."""

import functools
import math
from collections.abc import Sequence

from basin_jax.compiler import inner_loops, ir
from basin_jax.compiler.cpp import Symbols
from basin_jax.compiler.emitter import Code, Emitter
from basin_jax.compiler.loops import Loop
from basin_jax.compiler.matmul import Axis, matrices, sums
from basin_jax.compiler.memory import Storage


DRAWN = 8  # random words that are computed at once, at most
LANES = 16  # the most that the runtime has: what memory is made for
SUMMED = 3  # axes that a sum of products goes along, at most
REGISTERS = 24  # sums of a tile


def emit(
    inputs: Sequence[ir.Input], states: Sequence[ir.Input], results: Sequence[ir.Node]
) -> Code:
    """Emit the program of a step.

    Args:
        inputs: all inputs of the step.
        states: the inputs that the step replaces.
        results: the value that replaces each state.
    """
    symbols = Symbols()
    storage = Storage(symbols, inputs, states, results, ir.below(results), lanes=LANES)
    before, step = _Vectors(storage).code()
    places = {node: storage.place[node] for node in inputs}
    return Code(
        tables=symbols.tables(), before=before, step=step, places=places, memory=storage.memory
    )


class _Vectors(Emitter):
    def inside(self, node: inner_loops.Repeat) -> Emitter:
        return _Vectors(self.storage.turns[node])

    def loop(self) -> Loop:
        return Loop(self.storage)

    def array(self, node: ir.Node) -> list[str]:
        loop = self.loop()
        draws = [arg for arg in (node, *node.args) if isinstance(arg, ir.Random)]
        several = math.gcd(DRAWN, *node.shape[-1:]) if draws and node.shape else 1
        index = loop.over(node.shape, several)
        places = [
            (*index[:-1], *(last + ir.Linear(n) for last in index[-1:])) for n in range(several)
        ]
        for draw in draws:
            loop.draw(draw, places)
        for where in places:
            loop.store(node, where, self.masked(node, loop, where, loop.compute(node, where)))
        return loop.close()

    def product(self, node: ir.Product) -> list[str]:
        found, loop = matrices(self.storage, node), self.loop()
        left, right, out = found.starts(loop.over([axis.length for axis in found.others]))
        m, n, k = found.m, found.n, found.k
        rows, columns = _tile(m.length, n.length)
        loop.lines.append(
            f"product<{m.length}, {n.length}, {k.length}, {rows}, {columns}>("
            f"{out}, {m.out}, {n.out}, {left}, {m.left}, {k.left}, {right}, {n.right}, {k.right});"
        )
        return loop.close()

    def contraction(self, node: ir.Contraction) -> list[str]:
        found, loop = sums(self.storage, node), self.loop()
        made = found.matrices
        m, n, summed = made.m, made.n, [*found.outer, made.k]
        if len(summed) > SUMMED:
            raise ir.Unsupported(f"sums of products along {len(summed)} axes")
        left, right, out = made.starts(loop.over([axis.length for axis in made.others]))
        summed = [*([Axis()] * (SUMMED - len(summed))), *summed]
        lengths = ", ".join(str(axis.length) for axis in summed)
        steps = ", ".join(f"{axis.left}, {axis.right}" for axis in summed)
        rows, columns = _tile(m.length, n.length)
        loop.lines.append(
            f"contraction<{m.length}, {n.length}, {rows}, {columns}, {lengths}>("
            f"{out}, {m.out}, {n.out}, {left}, {m.left}, {right}, {n.right}, {steps});"
        )
        return loop.close()


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
