"""Lower a traced step to a graph of arrays, one equation after the other."""

import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import source_info_util
from jax.extend.core import Jaxpr, JaxprEqn, Literal

from basin_jax.compiler import ir, lowering_indices  # noqa: F401  (it registers its rules)
from basin_jax.compiler.lowering_random import MOVES_KEYS, Keys
from basin_jax.compiler.lowering_rules import RULES, TEMPLATES, concretely, replacing


class Refused(NamedTuple):
    """A value that cannot be compiled; it matters only if a result needs it."""

    why: ir.Unsupported


Value = Any  # Node, Keys or Refused
# What is written out where it is called, and the parameter that holds its operations.
INLINED = {"jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "remat": "jaxpr"}
INLINED |= {"custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr"}
# What keys are made of is not folded: they are no arrays of numbers.
NOT_FOLDED = {"random_seed", "random_wrap"}
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
            if not why.where:  # the user's line, as file:line:column (function)
                why.where = source_info_util.summarize(eqn.source_info).rpartition(os.sep)[2]
            outputs = [Refused(why)] * len(eqn.outvars)
        values |= dict(zip(eqn.outvars, outputs, strict=True))
    return [read(atom) for atom in inner.outvars]


def _nodes(values: Sequence[Value]) -> list[ir.Node]:
    for value in values:
        if isinstance(value, Refused):
            raise value.why
        if isinstance(value, Keys):
            raise ir.Unsupported("a random key where numbers are kept")
    return list(values)


def _apply(eqn: JaxprEqn, args: list[Value]) -> list[Value]:
    name = eqn.primitive.name
    if name in INLINED:
        return _closed(eqn.params[INLINED[name]], args)
    for arg in args:
        if isinstance(arg, Refused):
            raise arg.why
    if name == "optimization_barrier":
        return _optimization_barrier(args)
    if name == "cond":
        return _cond(eqn, args)
    if name in ("while", "scan"):
        return (_while if name == "while" else _scan)(eqn, args)
    rule = RULES.get(name)
    if rule is None:
        raise ir.Unsupported(f"the primitive {name}")
    if any(np.prod(shape) == 0 for shape in _shapes([*eqn.invars, *eqn.outvars])):
        raise ir.Unsupported("an array without elements")
    of_keys = any(isinstance(arg, Keys) for arg in args)
    if of_keys and not name.startswith("random_") and name not in MOVES_KEYS:
        raise ir.Unsupported(f"the primitive {name} of random keys")
    small = all(np.prod(shape) <= LARGEST_TABLE for shape in _shapes(eqn.outvars))
    if small and name not in NOT_FOLDED and all(isinstance(arg, ir.Constant) for arg in args):
        return _fold(eqn, args)
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


def _cond(eqn: JaxprEqn, args: list[Value]) -> list[Value]:
    """Compute both branches, since seeds differ in which they take."""
    which, *operands = args
    branches = [_nodes(_closed(branch, operands)) for branch in eqn.params["branches"]]
    if len(branches) != 2:
        raise ir.Unsupported("a choice among more than two branches")
    taken = ir.elementwise("{0} > 0", _nodes([which]), (), np.dtype(bool))
    return [
        ir.elementwise("select({0}, {1}, {2})", [taken, on, off], on.shape, on.dtype)
        for off, on in zip(*branches, strict=True)
    ]


def _while(eqn: JaxprEqn, args: list[Value]) -> list[Value]:
    """Loop while any seed has to; a seed that is done stays as it is."""
    first, second = eqn.params["cond_nconsts"], eqn.params["body_nconsts"]
    cond_consts, body_consts = args[:first], args[first : first + second]
    start = _nodes(args[first + second :])
    carry = [ir.Input((), node.shape, node.dtype, varies=True) for node in start]
    (goes_on,) = _nodes(_closed(eqn.params["cond_jaxpr"], [*cond_consts, *carry]))
    results = _nodes(_closed(eqn.params["body_jaxpr"], [*body_consts, *carry]))
    return _results(start, carry, goes_on, results)


def _scan(eqn: JaxprEqn, args: list[Value]) -> list[Value]:
    """Loop over rows, with no result for each row."""
    # Told by shapes, since the parameters that count them change with JAX's versions.
    inner = eqn.params["jaxpr"].jaxpr
    if _shapes(eqn.outvars) != _shapes(inner.outvars):
        raise ir.Unsupported("a scan that keeps something of each turn")
    outside, within = _shapes(eqn.invars), _shapes(inner.invars)
    scanned = sum(a != b for a, b in zip(outside, within, strict=True))
    carried = len(eqn.outvars)
    consts = len(args) - carried - scanned
    length = eqn.params["length"]
    start = _nodes(args[consts : consts + carried])
    carry = [ir.Input((), node.shape, node.dtype, varies=True) for node in start]
    turn = ir.Input((), (), np.dtype(np.int32), varies=True)
    step = "{0} - 1" if eqn.params["reverse"] else "{0} + 1"
    first = ir.constant(np.asarray(length - 1 if eqn.params["reverse"] else 0, np.int32))
    rows = [
        ir.TakeRows((ir.contiguous(xs), turn), xs.shape[1:], xs.dtype)
        for xs in _nodes(args[consts + carried :])
    ]
    results = _nodes(_closed(eqn.params["jaxpr"], [*args[:consts], *carry, *rows]))
    inside = f"({{0}} >= 0) & ({{0}} < {length})"
    goes_on = ir.elementwise(inside, [turn], (), np.dtype(bool))
    following = ir.elementwise(step, [turn], (), np.dtype(np.int32))
    return _results([*start, first], [*carry, turn], goes_on, [*results, following])[:-1]


def _shapes(atoms: Any) -> list[tuple[int, ...]]:
    return [atom.aval.shape for atom in atoms]


def _results(
    start: list[ir.Node], carry: Sequence[ir.Input], goes_on: ir.Node, results: Sequence[ir.Node]
) -> list[Value]:
    results = tuple(map(replacing, carry, results))
    loop = ir.While.of(start, carry=tuple(carry), goes_on=goes_on, results=results)
    return [ir.LoopResult((loop,), n.shape, n.dtype, which=i) for i, n in enumerate(start)]
