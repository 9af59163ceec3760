"""Try the first step of a user's own plug-ins before training."""

import functools
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Var
from jaxtyping import Array, Bool

from basin_jax.core.contracts import Organism
from basin_jax.core.seeds import PRNG
from basin_jax.core.sources import sources
from basin_jax.core.sweep import Child, Sweep
from basin_jax.core.traces import reached, stable, trace_hash
from basin_jax.core.trainable import leaf_name
from basin_jax.core.trial import (
    Signature,
    TrialInputs,
    all_finite,
    init_trial,
    inputs_of,
    numerics,
    plugins_of,
    probe_trial,
    signature_of,
    step,
)
from basin_jax.engine.faults import FAULTS, forget_callbacks, reason_of
from basin_jax.engine.waiting import Patience


# One seed may be unlucky; a fault of all the first seeds is one of the plug-in.
TRIED = 4


def examine(sweep: Sweep, patience: Patience = Patience()) -> None:  # noqa: B008 (frozen)
    """Try the first step of a few seeds, where some plug-in is the user's own.

    Args:
        sweep: the sweep.
        patience: how long to wait for the step.

    Raises:
        GaveUp: if the step has not ended then.
        ValueError: where the loss is no scalar, a function of the organism depends on more
            than its arguments, or no seed gives finite numbers.
    """
    if not any(text.startswith("source ") for text in sweep.sources().values()):
        return
    if isinstance(sweep.start, Child):
        # Its own first step is from a parent's end, which would have to be trained.
        return examine(sweep.start.of, patience)
    with numerics(sweep.precision):
        expect_pure(sweep.organism)
        _expect_finite(sweep, patience)


def unmoved(sweep: Sweep) -> tuple[str, ...]:
    """List the parameters of a user's own organism on which its loss does not depend.

    Their gradient is zero wherever they are, so that no method that follows it moves them.
    """
    if not sources(sweep.organism)[type(sweep.organism).__name__].startswith("source "):
        return ()
    organism = sweep.organism
    with numerics(sweep.precision):
        key = jax.random.key(0, impl=PRNG)
        params, batch = (jax.eval_shape(f, key) for f in (organism.init, organism.sample))
        if not all(jnp.issubdtype(leaf.dtype, jnp.inexact) for leaf in jax.tree.leaves(params)):
            return ()
        slope = jax.grad(organism.loss)
        program = jax.make_jaxpr(slope)(params, batch).jaxpr
        depend = reached(program, program.invars)
        constant = [not (isinstance(out, Var) and out in depend) for out in program.outvars]
        if not any(constant):
            return ()
        at = jax.jit(organism.init)(key), jax.jit(organism.sample)(key)
        gradient = jax.device_get(jax.jit(slope)(*at))
    leaves = jax.tree_util.tree_leaves_with_path(gradient)
    return tuple(
        leaf_name(path)
        for (path, leaf), same in zip(leaves, constant, strict=True)
        if same and not np.any(leaf)
    )


def expect_pure(organism: Organism) -> None:
    """Raise `ValueError` where the loss is no scalar, or a function depends on global state."""
    name, key = type(organism).__name__, jax.random.key(0, impl=PRNG)
    params, batch = (jax.eval_shape(f, key) for f in (organism.init, organism.sample))
    loss = jax.eval_shape(organism.loss, params, batch)
    shape = getattr(loss, "shape", None)
    if shape != ():
        given = f"an array of shape {shape}" if shape else "no array"
        raise ValueError(f"{name}.loss gives {given}; allowed: a scalar")
    functions = {
        "init": (organism.init, key),
        "sample": (organism.sample, key),
        "loss": (organism.loss, params, batch),
        "probe": (organism.probe, key, params),
    }
    for called, (function, *args) in functions.items():
        if stable(functools.partial(_trace, function, *args)) is None:
            raise ValueError(
                f"{name}.{called} is another function each time that it is traced: it hangs on "
                "something global, such as a counter, the time or NumPy's random numbers; "
                "allowed: its arguments, and the organism's fields"
            )


def _trace(function: Callable[..., Any], *args: Any) -> str:
    # Not the function itself, whose trace JAX would remember.
    return trace_hash(jax.make_jaxpr(lambda *args: function(*args))(*args))


def _expect_finite(sweep: Sweep, patience: Patience) -> None:
    rows = inputs_of(sweep, np.arange(TRIED, dtype=np.uint64))
    begun, seen, after = _of_each(_first_step, sweep, rows, patience)
    organism, which = type(sweep.organism).__name__, f"for each of the seeds 0 to {TRIED - 1}"
    if not begun.any():
        start = type(sweep.start).__name__
        raise ValueError(f"{start} gives {organism} parameters that are not finite, {which}")
    if bad := [name for name, finite in seen.items() if not finite[begun].any()]:
        raise ValueError(
            f"{organism}.probe gives {', '.join(bad)} that is not finite at the start, {which}; "
            "allowed: finite numbers, since others count as DIVERGED"
        )
    if sweep.num_steps and not after.any():
        why = f"{organism}.loss has a gradient that is not finite at the start"
        if _of_each(_slope, sweep, rows, patience).any():
            why = f"{organism}.loss has a finite gradient, so {type(sweep.method).__name__} fails"
        raise ValueError(f"the first step ends at parameters that are not finite, {which}: {why}")


def _of_each(
    function: Callable[..., Any], sweep: Sweep, rows: TrialInputs, patience: Patience
) -> Any:
    """Apply a function to each seed; leave out those that fail.

    Raises:
        ValueError: if all of them fail.
    """
    compiled = jax.jit(jax.vmap(functools.partial(function, signature_of(sweep))))
    with suppress(*FAULTS):
        return _result(compiled(rows), patience)
    found, faults = [], []
    for i in range(TRIED):
        forget_callbacks()
        try:
            of_one = compiled(TrialInputs(*(np.stack([x[i]] * TRIED) for x in rows)))
            found.append(jax.tree.map(lambda x: x[:1], _result(of_one, patience)))
        except FAULTS as fault:
            faults.append(fault)
    forget_callbacks()
    if not found:
        raise ValueError(
            f"the first step fails for each of the seeds 0 to {TRIED - 1}: {reason_of(faults[0])}"
        ) from faults[0]
    return jax.tree.map(lambda *parts: np.concatenate(parts), *found)


def _result(values: Any, patience: Patience) -> Any:
    for value in jax.tree.leaves(values):
        patience.wait_for(value)
    return jax.tree.map(np.asarray, values)


def _first_step(signature: Signature, inputs: TrialInputs) -> tuple[Array, dict[str, Array], Array]:
    """Check that the start, its evidence, and the parameters after a step are finite."""
    state, keys = init_trial(signature, inputs)
    plugins = plugins_of(signature, inputs.hyperparameters)
    seen = {n: jnp.isfinite(v) for n, v in probe_trial(signature, inputs, keys, state).items()}
    after = step(plugins, keys, jnp.int32(0), state)
    return all_finite(state.params), seen, all_finite(after.params)


def _slope(signature: Signature, inputs: TrialInputs) -> Bool[Array, ""]:
    """Return True if the gradient is finite at the start."""
    (state, keys), organism = (
        init_trial(signature, inputs),
        plugins_of(signature, inputs.hyperparameters)[0],
    )
    batch = organism.sample(jax.random.wrap_key_data(keys.step, impl=PRNG))
    return all_finite(jax.grad(organism.loss)(state.params, batch))
