"""Loops inside a step, as nodes of the graph."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from basin_jax.compiler import ir


WRITTEN = (ir.Elementwise, ir.Contraction, ir.Reduce, ir.Gather)  # what can be stored anywhere


@dataclass(frozen=True)
class Turn:
    """The turns of a loop of a fixed number: the C++ name of their count, and which row is read and
    kept at each."""

    name: str
    length: int
    backward: bool

    def moves(self, node: ir.Node) -> bool:
        """Return True if a node is at other places of its argument at each turn."""
        starts = node.begins_at if isinstance(node, ir.Moved) else ()
        return any(name == self.name for start in starts for name, _ in start.terms)

    @property
    def row(self) -> ir.Linear:
        """The row of a turn."""
        if self.backward:
            return ir.Linear(self.length - 1, ((self.name, -1),))
        return ir.Linear(0, ((self.name, 1),))


@dataclass(eq=False, repr=False, kw_only=True)
class Repeat(ir.Node):
    """A loop; the arguments are its initial values, and the outer values that it reads."""

    begin: tuple[ir.Node, ...]
    carry: tuple[ir.Input, ...]
    results: tuple[ir.Node, ...]
    inside: tuple[ir.Node, ...]  # nodes that are computed at each turn
    reads: tuple[ir.Node, ...]  # from outside


@dataclass(eq=False, repr=False, kw_only=True)
class While(Repeat):
    """A loop that turns while any seed has to."""

    goes_on: ir.Node

    @classmethod
    def of(cls, begin: Sequence[ir.Node], *, carry, goes_on: ir.Node, results) -> "While":
        """Make a loop; its arguments are found in its body."""
        args, inside, reads = body_of(begin, carry, [goes_on, *results])
        return cls(
            args,
            (),
            np.dtype(bool),
            begin=tuple(begin),
            carry=tuple(carry),
            goes_on=goes_on,
            results=tuple(results),
            inside=inside,
            reads=reads,
        )


@dataclass(eq=False, repr=False, kw_only=True)
class Scan(Repeat):
    """A loop of a fixed number of turns, which may read and keep a row of arrays at each."""

    turn: "Turn"
    kept: dict[ir.Node, ir.Input]  # the value of each row that is kept, and the array of its rows

    @classmethod
    def of(cls, begin: Sequence[ir.Node], *, carry, results, kept, at: "Turn") -> "Scan":
        """Make a loop; its arguments are found in its body.

        Args:
            begin: the initial value of each carried array.
            carry: the carried arrays.
            results: what replaces each carried array.
            kept: the value of each row that is kept.
            at: which turns there are.
        """
        turning = [*carry, *(n for n in ir.below([*results, *kept]) if at.moves(n))]
        _, changing, _ = body_of(begin, turning, [*results, *kept])
        made: list[ir.Node] = []
        for value in kept:
            own = isinstance(value, WRITTEN) and value in changing and value not in made
            copy = ir.elementwise("{0}", [value], value.shape, value.dtype)
            made.append(value if own else copy)
        args, inside, reads = body_of(begin, [*turning, *made], [*results, *made])
        stacks = [ir.Input((), (at.length, *n.shape), n.dtype, varies=True) for n in made]
        return cls(
            args,
            (),
            np.dtype(bool),
            begin=tuple(begin),
            carry=tuple(carry),
            results=tuple(results),
            inside=inside,
            reads=reads,
            turn=at,
            kept=dict(zip(made, stacks, strict=True)),
        )


def body_of(
    begin: Sequence[ir.Node], turning: Sequence[ir.Node], ends: Sequence[ir.Node]
) -> tuple[tuple[ir.Node, ...], tuple[ir.Node, ...], tuple[ir.Node, ...]]:
    """Return the arguments of a loop, what it computes at each turn, and what it reads.

    Args:
        begin: its initial values.
        turning: what is another value at each turn.
        ends: what the turns are for.
    """
    nodes, changing = ir.below(ends), set(turning)
    for node in nodes:
        if any(arg in changing for arg in (*node.args, *node.ties)):
            changing.add(node)
    inside = tuple(node for node in nodes if node in changing)
    outer = {arg: None for node in inside for arg in node.args if arg not in changing}
    outer |= {node: None for node in ends if node not in changing}
    return tuple(dict.fromkeys([*begin, *outer])), inside, tuple(outer)


@dataclass(eq=False, repr=False, kw_only=True)
class LoopResult(ir.Node):
    """One of the arrays that a loop ends with."""

    which: int


def loops_in(nodes: Sequence[ir.Node]) -> list[Repeat]:
    """Return the loops among some nodes, and those inside them."""
    loops = [node for node in nodes if isinstance(node, Repeat)]
    return loops + [inner for loop in loops for inner in loops_in(loop.inside)]
