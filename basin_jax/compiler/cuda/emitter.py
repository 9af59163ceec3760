"""Emit CUDA C++: the threads of a block share an array's elements."""

import math
from collections.abc import Collection, Sequence

from basin_jax.compiler import inner_loops, ir
from basin_jax.compiler.cpp import SCALARS, Symbols
from basin_jax.compiler.cuda.program import Program, fits
from basin_jax.compiler.cuda.shared import GAP, WARP, SharedLoops, ThreadLoop
from basin_jax.compiler.emitter import Emitter
from basin_jax.compiler.memory import Storage


MOST_THREADS = 256  # that leave each other registers enough
BARRIER = "__syncthreads();"
# Elements of a product that a thread computes: what it reads of each factor is used so often.
TILE = 4


def emit(
    inputs: Sequence[ir.Input],
    states: Sequence[ir.Input],
    results: Sequence[ir.Node],
    *,
    most: int,
) -> Program:
    """Emit the program of a step, as `cpu.emitter.emit` does.

    Args:
        most: bytes of shared memory that a block may have.

    Raises:
        Unsupported: where a seed does not fit into a block's memory.
    """
    symbols, nodes = Symbols(), ir.below(results)
    storage = Storage(symbols, inputs, states, results, nodes, lanes=1, gap=GAP)
    threads = _threads(nodes)
    fits(storage.memory, most)
    before, step = Threads(storage, threads).code()
    number = f"({inputs[0].type}*)(memory + {storage.place[inputs[0]]})"
    body = [
        *(_moved("load", storage, node, f"inputs[{i}]") for i, node in enumerate(inputs)),
        BARRIER,
        *before,
        "for (int i = *arrays.count; i > 0; i--) {",
        *(BARRIER, *step, BARRIER),
        f"if (THREAD == 0) *{number} += 1;",
        "}",
        BARRIER,
        *(_moved("store", storage, node, f"outputs[{i}]") for i, node in enumerate(states)),
    ]
    return Program(
        tables=symbols.tables(),
        body=body,
        memory=storage.memory,
        threads=threads,
        barriers=sum(BARRIER in line for line in step) + 2,
        kernel="loops",
    )


def _moved(move: str, storage: Storage, node: ir.Input, array: str) -> str:
    """Return the C++ that moves an input from, or a state to, a seed's row of an array outside."""
    width, pitch = node.shape[-1] if node.shape else 1, (1, 1, *storage.strides(node))[-2]
    own, outside = f"({node.type}*)(memory + {storage.place[node]})", f"arrays.{array}"
    ends = f"{own}, {outside}" if move == "load" else f"{outside}, {own}"
    return f"{move}<{SCALARS[node.type]}>({ends}, {node.size}, {width}, {pitch}, seed);"


def _threads(nodes: Sequence[ir.Node]) -> int:
    """Return the number of threads: as many as the largest array has work for."""
    loops = inner_loops.loops_in(nodes)
    inside = [*nodes, *(node for loop in loops for node in loop.inside)]
    work = max(n.size / (TILE * TILE if isinstance(n, ir.Product) else TILE) for n in inside)
    return min(MOST_THREADS, max(WARP, 2 ** math.ceil(math.log2(max(work, 1)))))


class Threads(Emitter):
    """Emit all arrays of a step in shared memory, with barriers between those that meet."""

    def __init__(self, storage: Storage, threads: int):
        super().__init__(storage)
        self.threads, self.shared = threads, SharedLoops(storage, threads)
        # What has been read and written since the last barrier, in bytes.
        self.read: list[tuple[int, int]] = []
        self.written: list[tuple[int, int]] = []

    def inside(self, node: inner_loops.Repeat) -> Emitter:
        return Threads(self.storage.turns[node], self.threads)

    def loop(self) -> ThreadLoop:
        return self.shared.loop()

    def array(self, node: ir.Node) -> list[str]:
        if isinstance(node, ir.Reduce):
            return self.shared.reduce(node)
        loop = self.loop()
        index = loop.over(node.shape)
        loop.store(node, index, self.masked(node, loop, index, loop.compute(node, index)))
        return loop.close()

    def product(self, node: ir.Product) -> list[str]:
        return self.shared.product(node)

    def contraction(self, node: ir.Contraction) -> list[str]:
        return self.shared.contraction(node)

    def between(self, reads: Collection[ir.Node], writes: ir.Node | None) -> list[str]:
        read = [span for node in reads for span in self._spans(node)]
        written = [] if writes is None else self._spans(writes)
        waits = _meet(read, self.written) or _meet(written, self.read + self.written)
        lines = self.barrier() if waits else []
        self.read += read
        self.written += written
        return lines

    def barrier(self) -> list[str]:
        self.read, self.written = [], []
        return [BARRIER]

    def _spans(self, node: ir.Node) -> list[tuple[int, int]]:
        """Return the byte ranges that a value is computed from."""
        if isinstance(node, inner_loops.Repeat):
            turn = self.storage.turns.get(node)
            return [] if turn is None else [turn.span(array) for array in turn.inputs]
        if self.storage.holds(node):
            return [self.storage.span(node)]
        return [span for arg in node.args for span in self._spans(arg)]


def _meet(some: Sequence[tuple[int, int]], others: Sequence[tuple[int, int]]) -> bool:
    return any(a < d and c < b for a, b in some for c, d in others)
