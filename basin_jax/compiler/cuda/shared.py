"""Loops over arrays in shared memory, whose elements the threads of a block share."""

import functools
import math
from collections.abc import Sequence

from basin_jax.compiler import ir
from basin_jax.compiler.cpp import SCALARS
from basin_jax.compiler.loops import Loop, start_of
from basin_jax.compiler.matmul import Matrices, factor_of, matrices
from basin_jax.compiler.memory import Arrays


WARP = 32
# Elements left out behind a row: rows that are read side by side then lie in other banks.
GAP = 4


class ThreadLoop(Loop):
    """A loop over elements, one after the other, which threads or lanes share."""

    def over(self, shape: Sequence[int], stride: int = 1) -> ir.Index:
        assert stride == 1, "a thread takes an element at a time"
        return self.shared(shape, "THREAD", "THREADS")

    def shared(self, shape: Sequence[int], first: str, step: str) -> ir.Index:
        """Open a loop over all elements, from one on and in steps, and return the index."""
        flat, size = self.storage.symbols.name("e"), math.prod(shape)
        self.lines.append(f"for (int {flat} = {first}; {flat} < {size}; {flat} += {step}) {{")
        self.depth += 1
        return self.split(shape, flat)

    def split(self, shape: Sequence[int], flat: str) -> ir.Index:
        """Return the index of an element from its number."""
        index, behind = [], math.prod(shape)
        for n in shape:
            before, behind = behind, behind // n
            if n == 1:
                index.append(ir.Linear())
                continue
            name = self.storage.symbols.name("n")
            inner = f"{flat} % {before}" if before != math.prod(shape) else flat
            self.lines.append(f"const int {name} = ({inner}) / {behind};")
            index.append(ir.Linear(0, ((name, 1),)))
        return tuple(index)

    def picked(self, node: ir.TakeRows, name: str, chosen: str, rest: str) -> list[str]:
        rows, flat = node.args[0], f"{chosen} * {rest}"
        if isinstance(rows, ir.Constant):
            table = self.storage.symbols.table(rows.value, SCALARS[rows.type])
            return [f"const {node.type} {name} = K_{node.type}({table}[{flat}]);"]
        return [f"const {node.type} {name} = {self.storage.array(rows)}[{flat}];"]


class SharedLoops:
    """The loops of sums and products.

    Args:
        storage: where arrays lie.
        threads: of a block.
    """

    def __init__(self, storage: Arrays, threads: int):
        self.storage, self.threads = storage, threads

    def loop(self) -> ThreadLoop:
        """Return a loop that is not open yet."""
        return ThreadLoop(self.storage)

    def reduce(self, node: ir.Reduce) -> list[str]:
        """Let some lanes of a warp share each sum, if there are more threads than sums."""
        (arg,) = node.args
        summed = [arg.shape[d] for d in node.axes]
        length, group = math.prod(summed), 1
        while 2 * group <= min(WARP, length) and 2 * group * node.size <= self.threads:
            group *= 2
        storage, loop = self.storage, self.loop()
        first, element, part = (storage.symbols.name(kind) for kind in ("t", "e", "p"))
        whole = -(-node.size * group // self.threads) * self.threads
        # Every thread takes every turn, since lanes wait for each other at its end.
        loop.lines += [
            f"for (int {first} = THREAD; {first} < {whole}; {first} += THREADS) {{",
            f"const int {element} = {first} / {group}, {part} = {first} % {group};",
        ]
        loop.depth += 1
        index = loop.split(node.shape, element)
        total = storage.symbols.name()
        loop.lines.append(f"{node.type} {total} = {start_of(node)};")
        inner = self.loop()
        inner.head, inner.known = loop.lines, dict(loop.known)
        inside = f"{element} < {node.size}"
        inner.lines.append(f"if ({inside})")
        where = node.where(index, inner.shared(summed, part, str(group)))
        value = node.template.format(total, inner.at(arg, where))
        inner.lines.append(f"{total} = {value};")
        loop.lines += ["{", *inner.body()]
        share = group // 2
        while share:
            other = node.template.format(total, f"from_lane({total}, {share})")
            loop.lines.append(f"{total} = {other};")
            share //= 2
        loop.lines.append(f"if ({inside} && {part} == 0) {{")
        loop.depth += 1
        loop.store(node, index, total)
        return loop.close()

    def product(self, node: ir.Product) -> list[str]:
        """Let threads, or warps with tensor cores, share the tiles of a product."""
        found, loop = matrices(self.storage, node), Loop(self.storage)
        left, right, out = found.starts(loop.over([axis.length for axis in found.others]))
        m, n, k = found.m, found.n, found.k
        shape = (m.length, n.length, k.length)
        steps = (m.out, n.out, m.left, k.left, n.right, k.right)
        if node.rounded and _fits_mma(*shape):
            tile = _warp_tile(*shape[:2], self.threads // WARP)
            name, numbers = "product_rounded", (node.rounded, *shape, *tile, *steps)
        else:
            aligned = (str(_aligned(found, side)).lower() for side in ("left", "right", "out"))
            tile = _tile(*shape, self.threads)
            name, numbers = "product", (*shape, *tile, *steps, *aligned)
        loop.lines.append(f"{name}<{', '.join(map(str, numbers))}>({out}, {left}, {right});")
        return loop.close()

    def contraction(self, node: ir.Contraction) -> list[str]:
        """Let each thread sum the products of an element."""
        factors = [factor_of(self.storage, arg) for arg in node.args]
        loop, total = self.loop(), self.storage.symbols.name()
        index = loop.over(node.shape)
        loop.lines.append(f"{node.type} {total} = K_{node.type}(0);")
        inner = Loop(self.storage)
        summed = inner.over([node.args[0].shape[d] for d in node.contract[0]])
        count = len(node.batch[0])
        free = iter(index[count:])
        read = []
        for side, (text, start, steps) in enumerate(factors):
            where = dict(zip(node.batch[side], index[:count], strict=True))
            where |= dict(zip(node.contract[side], summed, strict=True))
            where |= {d: next(free) for d in node.free(side)}
            places = [where[d] for d in range(len(steps))]
            read.append(f"{text}[{ir.place(places, steps) + start}]")
        inner.lines.append(f"{total} += {read[0]} * {read[1]};")
        loop.lines += ["{", *inner.body()]
        loop.store(node, index, total)
        return loop.close()


def _aligned(found: Matrices, side: str) -> bool:
    """Return True if four adjacent elements can be read at once, wherever they begin."""
    steps = [getattr(axis, side) for axis in (*found.others, found.m, found.n, found.k)]
    apart = [step for step in steps if step > 1]
    starts = {"left": found.left_start, "right": found.right_start}
    start = starts.get(side, ir.Linear())
    apart += [start.constant, *(factor for _, factor in start.terms)]
    return all(step % 4 == 0 for step in apart)


@functools.cache
def _tile(m: int, n: int, k: int, threads: int) -> tuple[int, int, int]:
    """Choose the rows and columns of a thread's tile, and the lanes that share its sums."""

    def cycles(tile: tuple[int, int, int]) -> float:
        rows, columns, lanes = tile
        turns = math.ceil(math.ceil(m / rows) * math.ceil(n / columns) * lanes / threads)
        # Products, and reads that take turns with them; adding up over lanes is slow.
        step = rows * columns + (rows + columns) / 2 + 1
        return turns * (k / lanes * step + 10 * rows * columns * math.log2(lanes) + 20)

    sizes, lanes = (1, 2, 4, 8), (1, 2, 4, 8, 16, 32)
    tiles = [(a, b, c) for a in sizes for b in sizes for c in lanes if a * b <= 32 and c <= k]
    return min(tiles, key=cycles)


def _fits_mma(m: int, n: int, k: int) -> bool:
    return m % 16 == 0 and n % 8 == 0 and k % 16 == 0


@functools.cache
def _warp_tile(m: int, n: int, warps: int) -> tuple[int, int]:
    """Choose the number of tensor-core tiles of a warp, down and across."""

    def cost(tile: tuple[int, int]) -> float:
        down, across = tile
        turns = math.ceil(m // 16 // down * (n // 8 // across) / warps)
        return float(turns * (down * across + 2 * down + across))  # products, and reads for them

    sizes = (1, 2, 4)
    fitting = [(a, b) for a in sizes for b in sizes if m // 16 % a == 0 and n // 8 % b == 0]
    return min(fitting, key=cost)
