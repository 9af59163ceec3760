"""Emit a graph of arrays as C++: one loop after the other, for each array that is stored."""

import abc
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from basin_jax.compiler import inner_loops, ir
from basin_jax.compiler.loops import Loop, gather
from basin_jax.compiler.memory import Storage


@dataclass(frozen=True, kw_only=True)
class Code:
    """The parts of a program, as C++."""

    tables: list[str]
    before: list[str]  # once, before the first step
    step: list[str]
    places: Mapping[ir.Input, int]  # where each input is put, in bytes
    memory: int  # bytes

    def array(self, node: ir.Input) -> str:
        """Return the C++ of a pointer to an input."""
        return f"({node.type}*)(memory + {self.places[node]})"

    def texts(self) -> dict[str, str]:
        """Return the parts as the fields of a template."""
        return {name: "\n".join(getattr(self, name)) for name in ("tables", "before", "step")}


class Emitter(abc.ABC):
    """Emit the code that computes all stored arrays.

    A target defines its loops over an array, its product of matrices, and the barriers between two
    loops.
    """

    def __init__(self, storage: Storage):
        self.storage = storage

    @abc.abstractmethod
    def loop(self) -> Loop:
        """Return a loop that is not open yet."""

    @abc.abstractmethod
    def array(self, node: ir.Node) -> list[str]:
        """Return the loop that stores an array, element by element."""

    @abc.abstractmethod
    def product(self, node: ir.Product) -> list[str]:
        """Return the loop that stores a product of matrices."""

    @abc.abstractmethod
    def contraction(self, node: ir.Contraction) -> list[str]:
        """Return the loop that stores sums of products along several axes."""

    @abc.abstractmethod
    def inside(self, node: inner_loops.Repeat) -> "Emitter":
        """Return the emitter of a loop's body."""

    def between(self, reads: Collection[ir.Node], writes: ir.Node | None) -> list[str]:
        """Return the code needed before arrays are read and one is written."""
        del reads, writes
        return []

    def barrier(self) -> list[str]:
        """Return the code needed before any array may be read or written."""
        return []

    def code(self, ask: Collection[ir.Node] = ()) -> tuple[list[str], list[str]]:
        """Return the code before the steps, and that of each step; `ask` is read in between."""
        order, first = self.storage.order, self.storage.first
        before = [line for node in order if node in first for line in self._lines(node)]
        before += self.between(ask, None)
        then = [line for node in order if node not in first for line in self._lines(node)]
        return before, then + self._replace()

    def masked(self, node: ir.Node, loop: Loop, index, value: str) -> str:
        """Keep the old value of an overwritten element if a seed's loop has ended."""
        state = self.storage.in_place.get(node)
        if self.storage.goes_on is None or state is None:
            return value
        return f"select(goes_on, {value}, {loop.at(state, index)})"

    def _lines(self, node: ir.Node) -> list[str]:
        if isinstance(node, inner_loops.Repeat):
            return self._repeat(node)
        lines = self.between(self.storage.reads[node], node)
        if isinstance(node, ir.Contraction):
            is_product = isinstance(node, ir.Product)
            return lines + (self.product(node) if is_product else self.contraction(node))
        if isinstance(node, ir.Gather):
            return lines + gather(self.storage, self.loop, node)
        return lines + self.array(node)

    def _replace(self) -> list[str]:
        """Copy results that could not overwrite their state, once all is computed."""
        lines: list[str] = []
        for state, result in zip(self.storage.states, self.storage.results, strict=True):
            held = self.storage.holds(result)
            if held and self.storage.find(result) == self.storage.find(state):
                continue
            loop = self.loop()
            index = loop.over(state.shape)
            value = loop.at(result, index)
            if self.storage.goes_on is not None:
                value = f"select(goes_on, {value}, {loop.at(state, index)})"
            loop.store(state, index, value)
            lines += self.between({result}, state) + loop.close()
        return lines

    def _repeat(self, node: inner_loops.Repeat) -> list[str]:
        storage, turn, lines = self.storage, self.inside(node), self.barrier()
        for carry, begin in zip(node.carry, node.begin, strict=True):
            if isinstance(begin, ir.Input) and storage.find(begin) == turn.storage.place[carry]:
                continue
            loop = turn.loop()
            index = loop.over(carry.shape)
            loop.store(carry, index, loop.at(begin, index))
            lines += turn.between({begin}, carry) + loop.close()
        if isinstance(node, inner_loops.Scan):
            name, (first, step) = node.turn.name, turn.code()
            head = f"for (long {name} = 0; {name} < {node.turn.length}; {name}++) {{"
            return [*lines, head, *turn.barrier(), *first, *step, "}", *self.barrier()]
        assert isinstance(node, inner_loops.While)
        lines += ["for (;;) {", *turn.barrier()]
        ask, step = turn.code(ask={node.goes_on})
        test = turn.loop()
        goes_on = test.at(node.goes_on, ())
        lines += [*ask, *test.head, *test.lines, f"const b32 goes_on = {goes_on};"]
        return [*lines, "if (!any(goes_on)) break;", *step, "}", *self.barrier()]
