"""The memory plan: which arrays of a step are stored, and where; the same for all targets.

Stored are products, reductions and results, the factors of products, and values that several
loops need; all others are computed where they are read. Values that do not vary with the step
are computed once, and memory is used again when its last reader has run.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from basin_jax.compiler import inner_loops, ir
from basin_jax.compiler.cpp import Symbols


ALIGNED = 16  # bytes that a GPU's thread reads at once
OF_STORED = (ir.Contraction, ir.Reshape, ir.Gather, ir.TakeRows, ir.Padded, inner_loops.Repeat)
STORED = (ir.Contraction, ir.Reduce, ir.Gather, inner_loops.Repeat)
NEVER = (ir.Input, ir.Constant, ir.Iota, ir.Moved, ir.Reshape, inner_loops.LoopResult)


class Arrays(Protocol):
    """Where stored arrays lie, for the loops that read and write them."""

    symbols: Symbols

    def holds(self, node: ir.Node) -> bool:
        """Return True if an array is stored."""
        ...

    def array(self, node: ir.Node) -> str:
        """Return the C++ of a pointer to a stored array."""
        ...

    def strides(self, node: ir.Node) -> tuple[int, ...]:
        """Return the strides of an array along each axis."""
        ...


class Storage:
    """The memory plan of a step, or of a turn of a loop inside it.

    Args:
        symbols: the symbols of the program.
        inputs, states, results: as `cpu.emitter.emit` takes them.
        nodes: the results and their ancestors.
        lanes: the number of seeds in an element.
        gap: elements left out behind each row of a matrix, so that rows begin in other banks
            of a GPU's memory.
        goes_on: the condition of a loop inside a step.
        outer: the plan around such a loop.
        kept: of the values whose rows such a loop keeps, the array and the row.
        place: known addresses of inputs, in bytes.
        start: the first free address.
    """

    def __init__(
        self,
        symbols: Symbols,
        inputs: Sequence[ir.Input],
        states: Sequence[ir.Input],
        results: Sequence[ir.Node],
        nodes: Sequence[ir.Node],
        *,
        lanes: int,
        gap: int = 0,
        goes_on: ir.Node | None = None,
        outer: "Storage | None" = None,
        kept: dict[ir.Node, tuple[ir.Input, ir.Linear]] | None = None,
        place: dict[ir.Node, int] | None = None,
        start: int = 0,
    ):
        self.symbols, self.outer, self.goes_on, self.lanes = symbols, outer, goes_on, lanes
        self.inputs, self.states, self.results = list(inputs), list(states), list(results)
        self.nodes, self.kept = list(nodes), kept or {}
        self.stored = self._choose()
        # First come values that do not vary with the step, or the condition of the loop.
        same = [node for node in self.nodes if not node.varies]
        self.first = self.stored & set(same if goes_on is None else ir.below([goes_on]))
        stored = [node for node in self.nodes if node in self.stored]
        self.order = sorted(stored, key=lambda node: node not in self.first)
        self.reads = {node: {leaf for leaf, _ in self._leaves(node)} for node in self.order}
        self.in_place = self._in_place()
        self.gap, self.padded = gap, self._padded() if gap else set()
        self.turns: dict[inner_loops.Repeat, Storage] = {}
        self.place: dict[ir.Node, int] = dict(place or {})
        self.memory = self._allocate(start)

    def holds(self, node: ir.Node) -> bool:
        """Return True if an array is stored."""
        inside = node in self.stored or isinstance(node, ir.Input | inner_loops.LoopResult)
        return inside or (self.outer is not None and self.outer.holds(node))

    def array(self, node: ir.Node) -> str:
        """Return the C++ of a pointer to a stored array."""
        pointer = f"({node.type}*)(memory + {self.find(node)})"
        kept = self._row(node)
        return f"({pointer})" if kept is None else f"({pointer} + {kept[1] * node.size})"

    def find(self, node: ir.Node) -> int:
        """Return the address of a stored array, in bytes."""
        if isinstance(node, inner_loops.LoopResult):
            (loop,) = node.args
            turn = self.turns.get(loop)  # pyright: ignore[reportArgumentType, reportCallIssue]
            if turn is not None:
                return turn.place[turn.inputs[node.which]]
        elif node in self.place:
            return self.place[node]
        assert self.outer is not None, node
        return self.outer.find(node)

    def strides(self, node: ir.Node) -> tuple[int, ...]:
        """Return the strides of an array along each axis."""
        if self.outer is not None:
            return self.outer.strides(node)
        if node not in self.padded:
            return node.strides
        *rows, width = node.shape
        return (*(stride * (width + self.gap) for stride in ir.row_major(rows)), 1)

    def span(self, node: ir.Node) -> tuple[int, int]:
        """Return the byte range of a stored array."""
        begin, kept = self.find(node), self._row(node)
        return begin, begin + self._bytes(node if kept is None else kept[0])

    def _row(self, node: ir.Node) -> tuple[ir.Input, ir.Linear] | None:
        """Return the array and the row in which a loop's value is kept."""
        outer = None if self.outer is None else self.outer._row(node)
        return self.kept.get(node, outer)

    def _choose(self) -> set[ir.Node]:
        own = set(self.nodes)
        stored: set[ir.Node] = {node for node in self.nodes if isinstance(node, STORED)}
        for node in self.nodes:
            if isinstance(node, OF_STORED):
                stored |= set(map(ir.base, node.args))
            # A processor sees further ahead in two loops than in one that is too long.
            if any(isinstance(arg, ir.Random) for arg in node.args):
                stored.add(node)
        stored |= {*self.results, *self.kept}
        if self.goes_on is not None:
            stored.add(self.goes_on)
        readers: dict[ir.Node, set[ir.Node]] = {node: set() for node in self.nodes}
        # Readers first: which loops does each value end up in?
        for node in reversed(self.nodes):
            loops = readers[node]
            if node.cost and len(loops) > 1:
                stored.add(node)
            for arg in node.args:
                if arg not in own:
                    continue
                readers[arg] |= {node} if node in stored else loops
                again = isinstance(node, ir.Moved) and node.repeats
                once = node.varies and not arg.varies
                if (again or once) and ir.base(arg).cost:
                    stored.add(ir.base(arg))
        return {node for node in stored & own if not isinstance(node, NEVER)}

    def _leaves(self, node: ir.Node) -> Iterator[tuple[ir.Node, bool]]:
        """Yield the arrays that a node's loop reads, and whether at the place it writes."""
        loose = not isinstance(node, ir.Elementwise | ir.Random)
        stack = [(arg, loose) for arg in node.args]
        while stack:
            arg, moved = stack.pop()
            moved |= isinstance(arg, ir.Moved | ir.Reshape | ir.TakeRows | ir.Padded)
            if isinstance(arg, inner_loops.LoopResult):
                yield arg.args[0], False
            elif isinstance(arg, ir.Input) or arg in self.stored:
                yield arg, not moved
            else:
                stack += [(a, moved) for a in arg.args]

    def _in_place(self) -> dict[ir.Node, ir.Input]:
        """Return the results that may overwrite the state that they replace."""
        found: dict[ir.Node, ir.Input] = {}
        for state, result in zip(self.states, self.results, strict=True):
            fits = isinstance(result, ir.Elementwise) and result in self.stored
            if not fits or result in found or result in self.kept:
                continue
            when = self.order.index(result)
            later = any(state in self.reads[node] for node in self.order[when + 1 :])
            moved = any(leaf is state and not same for leaf, same in self._leaves(result))
            kept = any(ir.base(other) is state for other in self.results)
            also = self.results.count(result) > 1
            if not (later or moved or kept or also):
                found[result] = state
        return found

    def _padded(self) -> set[ir.Node]:
        """Return the matrices whose rows may lie apart."""
        loops = inner_loops.loops_in(self.nodes)
        inside = [*self.nodes, *(node for loop in loops for node in loop.inside)]
        dense = {
            ir.base(a)
            for node in inside
            if isinstance(node, ir.Reshape | ir.Gather)
            for a in node.args
        }
        dense |= {a for loop in loops for a in loop.begin}
        padded = {
            node
            for node in (*self.inputs, *self.order)
            if len(node.shape) > 1
            and node.shape[-1] % 8 == 0
            and np.dtype(node.dtype).itemsize == 4
            and not isinstance(node, ir.Gather | inner_loops.Repeat)
            and node not in dense
        }
        # A result that overwrites a state has its layout.
        for result, state in self.in_place.items():
            if not {result, state} <= padded:
                padded -= {result, state}
        return padded

    def _allocate(self, start: int) -> int:
        """Give each stored array its address, and return the end of memory."""
        last = {node: i for i, node in enumerate(self.order)}
        for i, node in enumerate(self.order):
            last |= dict.fromkeys(self.reads[node], i)
        lasting = {*self.inputs, *self.results, *self.kept, self.goes_on}
        lasting |= {
            node
            for node in self.order
            if node in self.first or isinstance(node, inner_loops.Repeat)
        }
        end, free = start, dict[int, list[int]]()
        for i, node in enumerate([*self.inputs, *self.order]):
            size = self._bytes(node)
            if node in self.place:
                continue
            if node in self.kept:
                self.place[node] = self.place[self.kept[node][0]]
            elif node in self.in_place:
                self.place[node] = self.place[self.in_place[node]]
            elif isinstance(node, inner_loops.Repeat):
                end = self._nest(node, end)
            elif free.get(size):
                self.place[node] = free[size].pop()
            else:
                self.place[node], end = end, end + size
            for done, when in last.items():
                if when == i - len(self.inputs) and done in self.place and done not in lasting:
                    free.setdefault(self._bytes(done), []).append(self.place[done])
        return end

    def _nest(self, node: inner_loops.Repeat, start: int) -> int:
        """Plan the turns of a loop; their memory is their own."""
        scan = node if isinstance(node, inner_loops.Scan) else None
        kept = {} if scan is None else scan.kept
        self.turns[node] = Storage(
            self.symbols,
            [*node.carry, *kept.values()],
            node.carry,
            node.results,
            node.inside,
            lanes=self.lanes,
            goes_on=node.goes_on if isinstance(node, inner_loops.While) else None,
            outer=self,
            kept={} if scan is None else {n: (kept[n], scan.turn.row) for n in kept},
            place=self._shared(node),
            start=start,
        )
        return self.turns[node].memory

    def _shared(self, node: inner_loops.Repeat) -> dict[ir.Node, int]:
        """Return the addresses of carried values that may replace their state in place."""
        shared: dict[ir.Node, int] = {}
        after = self.order[self.order.index(node) + 1 :]
        for i, (carry, begin) in enumerate(zip(node.carry, node.begin, strict=True)):
            if not isinstance(begin, ir.Input) or begin not in self.states:
                continue
            result = self.results[self.states.index(begin)]
            replaces = (
                isinstance(result, inner_loops.LoopResult)
                and result.args[0] is node
                and result.which == i
            )
            later = any(begin in self.reads[n] for n in after) or begin in node.reads
            again = [*node.begin, *self.results].count(begin) > 1 or self.results.count(result) > 1
            if replaces and not later and not again:
                shared[carry] = self.place[begin]
        return shared

    def _bytes(self, node: ir.Node) -> int:
        apart = self.strides(node)[0] * node.shape[0] if node.shape else 1
        size = apart * self.lanes * max(np.dtype(node.dtype).itemsize, 4)
        return -(-size // ALIGNED) * ALIGNED
