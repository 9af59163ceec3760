"""One seed by itself: its trial, and what tracing one tells of a sweep."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Var
from jaxtyping import Array, Float

from basin_jax.base import State
from basin_jax.blocks import begin_one, look_at_one
from basin_jax.identity import short_hash
from basin_jax.lane import (
    Row,
    Shape,
    Sight,
    abstract,
    numerics,
    plugins_of,
    rows_of,
    shape_of,
    spans,
    step,
)
from basin_jax.plan import as_seeds
from basin_jax.spec import Child, Sweep
from basin_jax.traces import settled, trace_hash


def trial(sweep: Sweep, seed: int) -> dict[str, Float[Array, " stop"]]:
    """Train one seed and return its evidence at each of the sweep's stops.

    A pure function of a seed: the unit of meaning of the package. `run` computes it for
    many seeds at once, to within the rounding that programs and lanes bring.
    """
    return _seen(sweep, as_seeds([seed])[0], "evidence")


def _seen(sweep: Sweep, seed: int, sees: Sight) -> dict[str, Array]:
    row = rows_of(sweep, seed)
    if isinstance(sweep.start, Child):
        own = seed // sweep.start.children
        ends = _seen(with_beginning(sweep.start.of), own, "params")["params"]
        row = row._replace(inherited=np.asarray(ends, row.inherited.dtype)[[0, -1]])
    with numerics(sweep.precision):
        return _jitted_trial(shape_of(sweep, sees), jnp.asarray(sweep.stops), row)


def with_beginning(sweep: Sweep) -> Sweep:
    """Return a sweep that is looked at before its first step and after its last."""
    return sweep.replace(save_at=(0,) if sweep.num_steps else ())


def _trial(shape: Shape, stops, row: Row) -> dict[str, Array]:
    state, keys = begin_one(shape, row)

    def until(state, span):
        turn = functools.partial(step, plugins_of(shape, row.numbers), keys)
        state = jax.lax.fori_loop(span[0], span[1], turn, state)
        return state, look_at_one(shape, row, keys, state)

    return jax.lax.scan(until, state, spans(stops))[1]


_jitted_trial = jax.jit(_trial, static_argnums=0)


class Trace(NamedTuple):
    """The hash of a trial's traced program, and the names of its evidence."""

    hash: str
    names: tuple[str, ...]


def trace_of(sweep: Sweep) -> str:
    """Return what identifies the program that a sweep traces, its parents' programs included.

    The sweep's floats, root and steps are inputs of the program, and no part of it.

    Raises:
        ValueError: where the program differs each time that it is traced, or calls code that
            its trace does not show.
    """
    return _trace_of(sweep, "evidence")


def _trace_of(sweep: Sweep, sees: Sight) -> str:
    own = _traced(shape_of(sweep, sees)).hash
    if not isinstance(sweep.start, Child):
        return own
    return short_hash(own + _trace_of(with_beginning(sweep.start.of), "params"))


def evidence_names(sweep: Sweep) -> tuple[str, ...]:
    """Return the names of a sweep's evidence, by tracing a trial without running it.

    Raises:
        ValueError: where the plug-ins do not fit together, or all children of a parent are one.
    """
    start = sweep.start
    if isinstance(start, Child):
        evidence_names(start.of)
        if start.children > 1 and not draws(sweep):
            raise ValueError(
                f"{type(start).__name__}.children = {start.children}; allowed: 1, since training "
                "draws nothing at random, so that all children of a parent would be one"
            )
    return _traced(shape_of(sweep)).names


def draws(sweep: Sweep) -> bool:
    """Return whether training draws random numbers: whether a step depends on its key."""
    return _draws(shape_of(sweep))


@functools.cache
def _draws(shape: Shape) -> bool:
    def train(row: Row, words: Array) -> State:
        state, keys = begin_one(shape, row)
        return step(plugins_of(shape, row.numbers), keys._replace(step=words), jnp.int32(0), state)

    with numerics(shape.precision):
        row = abstract(shape)[1]
        jaxpr = jax.make_jaxpr(train)(row, jax.ShapeDtypeStruct((2,), np.uint32)).jaxpr
    drawn = {jaxpr.invars[-1]}
    for eqn in jaxpr.eqns:
        if not drawn.isdisjoint(atom for atom in eqn.invars if isinstance(atom, Var)):
            drawn.update(eqn.outvars)
    return not drawn.isdisjoint(atom for atom in jaxpr.outvars if isinstance(atom, Var))


@functools.cache
def _traced(shape: Shape) -> Trace:
    found = settled(functools.partial(_trace, shape))
    if found is None:
        raise ValueError(
            "the plug-ins make another program each time that they are traced: they depend on "
            "something global, such as a counter, the time or NumPy's random numbers; allowed: "
            "their arguments and fields"
        )
    return found


def _trace(shape: Shape) -> Trace:
    with numerics(shape.precision):
        # Not the function itself, whose trace JAX would remember.
        once = functools.partial(_trial, shape)
        program, seen = jax.make_jaxpr(once, return_shape=True)(*abstract(shape))
    names = tuple(sorted(seen))
    return Trace(short_hash(" ".join([trace_hash(program), *names])), names)
