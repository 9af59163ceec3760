"""Lower a traced step to a graph of arrays, one equation after the other."""

import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import source_info_util
from jax.extend.core import Jaxpr, JaxprEqn, Literal

from basin_jax.compiler import (
    ir,
    lowering_convolutions,  # noqa: F401  (they register their rules)
    lowering_indices,  # noqa: F401
    lowering_slices,  # noqa: F401
    lowering_sorts,  # noqa: F401
)
from basin_jax.compiler.lowering_loops import (
    LOOPS,
    is_of_turns,
    jaxprs_in,
    of_each_turn,
    replacing,
)
from basin_jax.compiler.lowering_matrices import SYSTEMS, traced_system
from basin_jax.compiler.lowering_random import MOVES_KEYS, Keys
from basin_jax.compiler.lowering_rules import RULES, TEMPLATES, chosen_of, concretely


class Refused(NamedTuple):
    """A value that cannot be compiled; it matters only if a result needs it."""

    why: ir.Unsupported


Value = Any  # Node, Keys or Refused
# What is written out where it is called, and the parameter that holds its operations.
INLINED = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "remat": "jaxpr",
    "remat2": "jaxpr",
}
INLINED |= {"custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr"}
# What keys are made of is not folded: they are no arrays of numbers. The others have rules, since
# they compute nothing from their arguments.
NOT_FOLDED = {"random_seed", "random_wrap", "platform_index", "empty2"}
LARGEST_TABLE = 2**16  # elements


def graph_of(
    step: Callable, fixed: Sequence[Any], state: Sequence[Any], emit: Callable[..., Any]
) -> tuple[list[ir.Input], list[ir.Input], Any]:
    """Trace a step, and emit its program.

    Args:
        step, fixed, state: as `cpu.compile_steps` takes them.
        emit: returns the program of (inputs, states, results).

    Returns:
        The inputs (the number of the step, the fixed arrays, the state), those of them that
        are the state, and the program.

    Raises:
        Unsupported: where there is no program for the step, with the reason.
    """
    if not state:
        raise ir.Unsupported("a state without arrays")
    for aval in (*fixed, *state):
        if jnp.issubdtype(aval.dtype, jax.dtypes.prng_key):
            raise ir.Unsupported("a random key where numbers are kept")
    if any(0 in aval.shape for aval in state):
        raise ir.Unsupported("an array without elements")
    number = jax.ShapeDtypeStruct((), np.int32)
    jaxpr = jax.make_jaxpr(step)(number, list(fixed), list(state))
    _expect_no_callbacks(jaxpr)
    inputs = [ir.Input((), (), np.dtype(np.int32), varies=True)]
    inputs += [ir.Input((), aval.shape, aval.dtype) for aval in fixed]
    states = [ir.Input((), aval.shape, aval.dtype, varies=True) for aval in state]
    try:
        results = list(map(replacing, states, lower(jaxpr, [*inputs, *states])))
        return [*inputs, *states], states, emit([*inputs, *states], states, results)
    except ir.Unsupported:
        raise
    except Exception as error:
        raise ir.Unsupported(f"a fault of the compiler: {type(error).__name__}: {error}") from error


def _expect_no_callbacks(jaxpr: Any) -> None:
    """Refuse what a program of its own would not do, and no result shows.

    A callback without results, as `jax.debug.print` is, has no node, so that its loss would be
    compiled without it.
    """
    for eqn in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        if not eqn.effects:
            continue
        try:
            for inner in jaxprs_in(eqn):
                _expect_no_callbacks(inner)
            if "callback" in eqn.primitive.name or eqn.primitive.name == "debug_print":
                raise ir.Unsupported("a callback to Python")
        except ir.Unsupported as why:
            why.where = why.where or _line(eqn)
            raise


def lower(jaxpr: Any, inputs: Sequence[ir.Node]) -> list[ir.Node]:
    """Return the graph of a traced function of some arrays.

    Raises:
        Unsupported: where a primitive that the outputs need has no rule.
    """
    return _nodes(_closed(jaxpr, inputs))


def _closed(jaxpr: Any, arguments: Sequence[Value]) -> list[Value]:
    consts = [ir.constant(np.asarray(const)) for const in getattr(jaxpr, "consts", ())]
    inner: Jaxpr = getattr(jaxpr, "jaxpr", jaxpr)
    values: dict[Any, Value] = dict(zip(inner.constvars, consts, strict=True))
    values |= dict(zip(inner.invars, arguments, strict=True))

    def read(atom: Any) -> Value:
        if isinstance(atom, Literal):
            return ir.constant(np.asarray(atom.val, atom.aval.dtype))  # pyright: ignore[reportAttributeAccessIssue]
        return values[atom]

    for eqn in inner.eqns:
        try:
            outputs = _apply(eqn, [read(atom) for atom in eqn.invars])
        except ir.Unsupported as why:
            outputs = [Refused(why)] * len(eqn.outvars)
        for output in outputs:
            if isinstance(output, Refused) and not output.why.where:
                output.why.where = _line(eqn)
        values |= dict(zip(eqn.outvars, outputs, strict=True))
    return [read(atom) for atom in inner.outvars]


def _line(eqn: JaxprEqn) -> str:
    """Return the user's line, as file:line:column (function); of JAX's own lines there is none."""
    return source_info_util.summarize(eqn.source_info).rpartition(os.sep)[2]


def _nodes(values: Sequence[Value]) -> list[ir.Node]:
    for value in _known(values):
        if isinstance(value, Keys):
            raise ir.Unsupported("a random key where numbers are kept")
    return list(values)


def _known(values: Sequence[Value]) -> list[Value]:
    for value in values:
        if isinstance(value, Refused):
            raise value.why
    return list(values)


def _apply(eqn: JaxprEqn, args: list[Value]) -> list[Value]:
    name = eqn.primitive.name
    if name in INLINED:
        return _closed(eqn.params[INLINED[name]], args)
    _known(args)
    if name == "call_hi_primitive":  # what JAX writes in terms of other primitives when it compiles
        shapes = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in _avals(eqn.invars)]
        return _closed(jax.make_jaxpr(eqn.params["_prim"].expand)(*shapes), args)
    if name == "custom_linear_solve":
        return _solve(eqn, args)
    if name == "optimization_barrier":
        return _optimization_barrier(args)
    if name == "cond":
        return _cond(eqn, args)
    if name in LOOPS:
        return LOOPS[name](eqn, args, lambda jaxpr, given: _known(_closed(jaxpr, given)))
    constant = all(isinstance(arg, ir.Constant) for arg in args)
    small = all(np.prod(shape) <= LARGEST_TABLE for shape in _shapes(eqn.outvars))
    folded = small and name not in NOT_FOLDED
    rule = RULES.get(name)
    if rule is None:
        if args and constant and folded and "callback" not in name:
            return _fold(eqn, args)
        if name in SYSTEMS:
            return _closed(traced_system(eqn), args)
        raise ir.Unsupported(f"the primitive {name}")
    if all(0 in shape for shape in _shapes(eqn.outvars)):
        return [ir.constant(np.zeros(aval.shape, aval.dtype)) for aval in _avals(eqn.outvars)]
    if any(0 in shape for shape in _shapes(eqn.invars)) and name not in ("concatenate", "pad"):
        raise ir.Unsupported("an array without elements")
    of_keys = any(isinstance(arg, Keys) for arg in args)
    if of_keys and not name.startswith("random_") and name not in MOVES_KEYS:
        raise ir.Unsupported(f"the primitive {name} of random keys")
    if folded and constant:
        return _fold(eqn, args)
    if folded and is_of_turns(args):
        return of_each_turn(args, lambda values: concretely(eqn, values))
    if of_keys and name in MOVES_KEYS:
        words = [[arg[i] if isinstance(arg, Keys) else arg for arg in args] for i in (0, 1)]
        halves = [rule(eqn, each) for each in words]
        return [Keys(*pair) for pair in zip(*halves, strict=True)]
    return list(rule(eqn, args))


def _fold(eqn: JaxprEqn, args: list[ir.Constant]) -> list[Value]:
    """Compute a result that depends on constants only."""
    splat = all(arg.is_splat for arg in args) and eqn.primitive.name in TEMPLATES
    if args and eqn.primitive.name == "broadcast_in_dim" and args[0].is_splat:
        return list(RULES["broadcast_in_dim"](eqn, args))  # stays one number
    results = concretely(eqn, [np.asarray(arg.scalar) if splat else arg.value for arg in args])
    shapes = _shapes(eqn.outvars)
    return [ir.constant(np.broadcast_to(r, s)) for r, s in zip(results, shapes, strict=True)]


def _optimization_barrier(args: list[Value]) -> list[Value]:
    """Make each of several values wait for all of them, so that none leaves a loop alone."""
    flat = [node for arg in args for node in (arg if isinstance(arg, Keys) else (arg,))]

    def tie(node: ir.Node) -> ir.Node:
        tied = ir.elementwise("{0}", [node], node.shape, node.dtype, cost=0)
        tied.ties = tuple(flat)
        return tied

    return [Keys(*map(tie, arg)) if isinstance(arg, Keys) else tie(arg) for arg in args]


def _solve(eqn: JaxprEqn, args: list[Value]) -> list[Value]:
    """Solve by the user's own function, which has the constants behind those of the products."""
    lengths, solvers = eqn.params["const_lengths"], eqn.params["jaxprs"]
    first, count = lengths.matvec + lengths.vecmat, lengths.solve
    right = args[sum(lengths) :]
    return _closed(solvers.solve, [*args[first : first + count], *right])


def _cond(eqn: JaxprEqn, args: list[Value]) -> list[Value]:
    """Compute both branches, since seeds differ in which they take."""
    which, *operands = args
    if isinstance(which, ir.Constant):
        number = np.clip(which.scalar, 0, len(eqn.params["branches"]) - 1)
        return _closed(eqn.params["branches"][int(number)], operands)
    branches = [_nodes(_closed(branch, operands)) for branch in eqn.params["branches"]]
    if len(branches) != 2:
        (index,) = _nodes([which])
        return [chosen_of(index, cases, cases[0].shape) for cases in zip(*branches, strict=True)]
    taken = ir.elementwise("{0} > 0", _nodes([which]), (), np.dtype(bool))
    return [
        ir.elementwise("select({0}, {1}, {2})", [taken, on, off], on.shape, on.dtype)
        for off, on in zip(*branches, strict=True)
    ]


def _shapes(atoms: Any) -> list[tuple[int, ...]]:
    return [aval.shape for aval in _avals(atoms)]


def _avals(atoms: Any) -> list[Any]:
    return [atom.aval for atom in atoms]
