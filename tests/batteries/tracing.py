"""Trace the first step of a sweep without training it, for all batteries."""

import jax
import jax.numpy as jnp

from basin_jax import Sweep
from basin_jax.core.trial import (
    TrialInputs,
    abstract_inputs,
    init_trial,
    numerics,
    plugins_of,
    signature_of,
    step,
)


def trace_first_step(sweep: Sweep) -> None:
    """Trace the start of a trial and its first step; what a sweep is refused for raises here."""
    signature = signature_of(sweep)

    def begin(inputs: TrialInputs):
        state, keys = init_trial(signature, inputs)
        return step(plugins_of(signature, inputs.hyperparameters), keys, jnp.int32(0), state)

    # As users have it: the tests refuse what broadcasts by itself, and Optax does.
    with numerics(sweep.precision), jax.numpy_rank_promotion("allow"):
        jax.eval_shape(begin, abstract_inputs(signature)[1])
