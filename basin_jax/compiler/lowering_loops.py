"""Loops inside a step: `while`, and `scan` with what it reads and keeps at each turn."""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np
from jax.extend.core import JaxprEqn
from numpy import ndarray

from basin_jax.compiler import inner_loops, ir
from basin_jax.compiler.lowering_random import Keys


# Loops around what is being lowered: the turns of loops inside each other have different names.
_around: ContextVar[int] = ContextVar("_around", default=0)
MOST_TURNS, LARGEST_TABLE = 2**12, 2**16  # of what is computed beforehand, in elements
Value = Any  # Node or Keys
Inline = Callable[[Any, Sequence[Value]], list[Value]]  # a traced function on some arrays


def _while(eqn: JaxprEqn, args: list[Value], inline: Inline) -> list[Value]:
    """Loop while any seed has to; a seed that is done stays as it is."""
    first, second = eqn.params["cond_nconsts"], eqn.params["body_nconsts"]
    cond_consts, body_consts = args[:first], args[first : first + second]
    begin = args[first + second :]
    start = _flat(begin)
    carry = [ir.Input((), node.shape, node.dtype, varies=True) for node in start]
    given = _alike(begin, carry)
    (goes_on,) = _flat(inline(eqn.params["cond_jaxpr"], [*cond_consts, *given]))
    results = _flat(inline(eqn.params["body_jaxpr"], [*body_consts, *given]))
    results = tuple(map(replacing, carry, results))
    loop = inner_loops.While.of(start, carry=tuple(carry), goes_on=goes_on, results=results)
    return _alike(begin, _ends(loop, start))


def _scan(eqn: JaxprEqn, args: list[Value], inline: Inline) -> list[Value]:
    """Loop over the rows of arrays, and keep rows of others."""
    # Told by shapes, since the parameters that count them change with JAX's versions.
    body, length = eqn.params["jaxpr"], eqn.params["length"]
    outside, within = _shapes(eqn.invars), _shapes(body.jaxpr.invars)
    scanned = sum(a != b for a, b in zip(outside, within, strict=True))
    outs = zip(_shapes(eqn.outvars), _shapes(body.jaxpr.outvars), strict=True)
    carried = sum(a == b for a, b in outs)
    consts = len(args) - carried - scanned
    begin, arrays = args[consts : consts + carried], args[consts + carried :]
    start = _flat(begin)
    around = _around.get()
    at = inner_loops.Turn(f"turn{around}", length, eqn.params["reverse"])
    carry = [ir.Input((), node.shape, node.dtype, varies=True) for node in start]
    rows = [_row_of(at, xs) for xs in _flat(arrays)]

    def turn(given: Sequence[ir.Node]) -> tuple[list[Value], list[ir.Node]]:
        inside = _around.set(around + 1)
        try:
            found = inline(body, [*args[:consts], *_alike(begin, given), *_alike(arrays, rows)])
        finally:
            _around.reset(inside)
        return found, list(map(replacing, carry, _flat(found[:carried])))

    found, results = turn(carry)
    counts = [_counted(at, *each) for each in zip(start, carry, results, strict=True)]
    if any(counts):
        # Once more with what is known of each turn.
        pairs = zip(counts, carry, strict=True)
        found, results = turn([count.row if count else node for count, node in pairs])
    turning = [i for i, count in enumerate(counts) if count is None]
    loop = inner_loops.Scan.of(
        [start[i] for i in turning],
        carry=[carry[i] for i in turning],
        results=[results[i] for i in turning],
        kept=_flat(found[carried:]),
        at=at,
    )
    ends = iter(_ends(loop, [*loop.begin, *loop.kept.values()]))
    last = [count.end if count else next(ends) for count in counts]
    return [*_alike(begin, last), *_alike(found[carried:], list(ends))]


def replacing(state: ir.Node, result: ir.Node) -> ir.Node:
    """Return the value that may replace a state: the result, or a copy made beforehand."""
    moving = ir.Input | ir.Moved | ir.Reshape | inner_loops.LoopResult
    moved = result is not state and isinstance(result, moving)
    if isinstance(result, inner_loops.LoopResult) and isinstance(
        loop := result.args[0], inner_loops.Repeat
    ):
        moved = loop.begin[result.which] is not state  # else it may have been in its place
    return ir.elementwise("{0}", [result], result.shape, result.dtype) if moved else result


class _Count(NamedTuple):
    """A number that a loop counts."""

    row: ir.Row  # at each turn
    end: ir.Constant


def _counted(
    at: inner_loops.Turn, start: ir.Node, carry: ir.Node, result: ir.Node
) -> _Count | None:
    """Return what a loop counts, if it is a number that grows by a constant."""
    if not (isinstance(start, ir.Constant) and isinstance(result, ir.Elementwise)):
        return None
    if start.shape or start.dtype.kind not in "iu" or result.template != "{0} + {1}":
        return None
    steps = [arg for arg in result.args if isinstance(arg, ir.Constant)]
    if carry not in result.args or len(steps) != 1:
        return None
    *values, end = (start.scalar + steps[0].scalar * np.arange(at.length + 1)).astype(start.dtype)
    turns = values[:: -1 if at.backward else 1]
    return _Count(_row_of(at, ir.constant(np.asarray(turns))), ir.constant(np.asarray(end)))


def _row_of(at: inner_loops.Turn, arrays: ir.Node) -> ir.Row:
    shape, dtype = arrays.shape[1:], arrays.dtype
    return ir.Row((arrays,), shape, dtype, row=at.row, varies=True, cost=arrays.cost)


def is_of_turns(args: Sequence[Any]) -> bool:
    """Return True if values are constants, or constants of each turn of one loop."""
    rows = {arg.row for arg in args if isinstance(arg, ir.Row)}
    known = all(isinstance(arg, ir.Constant) or _is_table(arg) for arg in args)
    return known and len(rows) == 1 and _few_turns(args)


def _few_turns(args: Sequence[Any]) -> bool:
    sizes = [arg.args[0].size for arg in args if isinstance(arg, ir.Row)]
    turns = max(arg.args[0].shape[0] for arg in args if isinstance(arg, ir.Row))
    return turns <= MOST_TURNS and max(sizes) <= LARGEST_TABLE


def _is_table(arg: Any) -> bool:
    return isinstance(arg, ir.Row) and isinstance(arg.args[0], ir.Constant)


def of_each_turn(args: Sequence[Any], compute: Callable[..., list[ndarray]]) -> list[ir.Node]:
    """Compute what depends on constants of each turn."""
    tables = [
        arg.args[0].value
        if isinstance(arg, ir.Row) and isinstance(arg.args[0], ir.Constant)
        else None
        for arg in args
    ]
    row, length = next((a.row, a.args[0].shape[0]) for a in args if isinstance(a, ir.Row))
    turns = [
        compute(
            [
                arg.value if table is None else table[i]
                for arg, table in zip(args, tables, strict=True)
            ]
        )
        for i in range(length)
    ]
    stacked = [ir.constant(np.stack(values)) for values in zip(*turns, strict=True)]
    return [ir.Row((each,), each.shape[1:], each.dtype, row=row, varies=True) for each in stacked]


LOOPS = {"while": _while, "scan": _scan}


def _ends(loop: inner_loops.Repeat, arrays: Sequence[ir.Node]) -> list[ir.Node]:
    return [
        inner_loops.LoopResult((loop,), n.shape, n.dtype, which=i) for i, n in enumerate(arrays)
    ]


def _flat(values: Sequence[Value]) -> list[ir.Node]:
    """Return arrays of numbers, and the two words of arrays of keys."""
    return [node for value in values for node in (value if isinstance(value, Keys) else (value,))]


def _alike(values: Sequence[Value], nodes: Sequence[ir.Node]) -> list[Value]:
    """Return nodes as arrays of numbers and of keys, as some values are."""
    given = iter(nodes)
    return [
        Keys(next(given), next(given)) if isinstance(value, Keys) else next(given)
        for value in values
    ]


def jaxprs_in(eqn: JaxprEqn) -> list[Any]:
    """Return the traced functions among the parameters of an equation."""
    return [
        getattr(found, "jaxpr", found)
        for value in eqn.params.values()
        for found in (value if isinstance(value, tuple | list) else (value,))
        if hasattr(getattr(found, "jaxpr", found), "eqns")
    ]


def _shapes(atoms: Any) -> list[tuple[int, ...]]:
    return [atom.aval.shape for atom in atoms]
