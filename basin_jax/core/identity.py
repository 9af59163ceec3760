"""A sweep's identity, its digest, and the names of its evidence: found by tracing a trial."""

import functools
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Var
from jaxtyping import Array

from basin_jax.core.arguments import checked
from basin_jax.core.contracts import State
from basin_jax.core.seeds import holds_keys
from basin_jax.core.sources import short_hash
from basin_jax.core.sweep import Child, Sweep
from basin_jax.core.traces import reached, stable, trace_hash
from basin_jax.core.trial import (
    Output,
    Signature,
    TrialInputs,
    abstract_inputs,
    init_trial,
    numerics,
    plugins_of,
    signature_of,
    step,
    trial_of_signature,
    with_beginning,
)


@checked
def digest_of(sweep: Sweep) -> str:
    """Compute a sweep's digest: the hash of its fields, its plug-ins' source and its program.

    The package's own code and the versions of its dependencies are not part of it: each folder
    records them, and a run compares them.

    Raises:
        ValueError: if the program differs each time that it is traced, or calls code that
            its trace does not show.
    """
    trace = trace_of(sweep)  # first: fields may hold functions that tracing changes
    return identity_hash(sweep.fields(), sweep.sources(), trace)


class Trace(NamedTuple):
    """Hold the hash of a trial's traced program, and the names of its evidence."""

    hash: str
    names: tuple[str, ...]


def trace_of(sweep: Sweep, output: Output = "evidence") -> str:
    """Hash the program that a sweep traces, and those of its parents.

    The sweep's hyperparameters, root and stops are inputs of the program, and no part of it.

    Raises:
        ValueError: if the program differs each time that it is traced, or calls code that
            its trace does not show.
    """
    own = _traced(signature_of(sweep, output)).hash
    if not isinstance(sweep.start, Child):
        return own
    return short_hash(own + trace_of(with_beginning(sweep.start.of), "params"))


def evidence_names(sweep: Sweep) -> tuple[str, ...]:
    """List the names of a sweep's evidence, by tracing a trial without running it.

    Raises:
        ValueError: if the plug-ins do not fit together, or all children of a parent are alike.
    """
    start = sweep.start
    if isinstance(start, Child):
        evidence_names(start.of)
        if start.children > 1 and not draws(sweep):
            raise ValueError(
                f"{type(start).__name__}.children = {start.children}; allowed: 1, since training "
                "draws nothing at random, so that all children of a parent would be one"
            )
    return _traced(signature_of(sweep)).names


def draws(sweep: Sweep) -> bool:
    """Return True if training draws random numbers: if a step depends on its key, or holds one."""
    return _draws(signature_of(sweep))


@functools.cache
def _draws(signature: Signature) -> bool:
    holds = []

    def train(inputs: TrialInputs, words: Array) -> State:
        state, keys = init_trial(signature, inputs)
        holds.append(holds_keys(state))
        return step(
            plugins_of(signature, inputs.hyperparameters),
            keys._replace(step=words),
            jnp.int32(0),
            state,
        )

    with numerics(signature.precision):
        inputs = abstract_inputs(signature)[1]
        jaxpr = jax.make_jaxpr(train)(inputs, jax.ShapeDtypeStruct((2,), np.uint32)).jaxpr
    if any(holds):
        return True
    drawn = reached(jaxpr, [jaxpr.invars[-1]])
    return not drawn.isdisjoint(atom for atom in jaxpr.outvars if isinstance(atom, Var))


@functools.cache
def _traced(signature: Signature) -> Trace:
    found = stable(functools.partial(_trace, signature))
    if found is None:
        raise ValueError(
            "the plug-ins make another program each time that they are traced: they depend on "
            "something global, such as a counter, the time or NumPy's random numbers; allowed: "
            "their arguments and fields"
        )
    return found


def _trace(signature: Signature) -> Trace:
    with numerics(signature.precision):
        # Not the function itself, whose trace JAX would remember.
        once = functools.partial(trial_of_signature, signature)
        program, seen = jax.make_jaxpr(once, return_shape=True)(*abstract_inputs(signature))
    names = tuple(sorted(seen))
    return Trace(short_hash(" ".join([trace_hash(program), *names])), names)


def identity_hash(fields: Mapping[str, Any], sources: Mapping[str, str], trace: str) -> str:
    """Hash a sweep's identity: its fields, its plug-ins' source, and the hash of its program."""
    identity = {"fields": fields, "sources": sources, "trace": trace}
    return short_hash(json.dumps(identity, sort_keys=True))
