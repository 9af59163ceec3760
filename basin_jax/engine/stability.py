"""Measure what training does at given parameters: the loss, the step, and what grows there."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int
from numpy import ndarray

from basin_jax.core.contracts import Evidence, Params
from basin_jax.core.sweep import Sweep
from basin_jax.core.trial import numerics


BATCH = 64  # columns of a Jacobian that are computed at once
ROUNDING = 1e-6  # asymmetry of a Jacobian that rounding explains


class Stability(NamedTuple):
    """The evidence, the loss and one training step at given parameters, in double precision."""

    evidence: dict[str, Float[ndarray, " seed"]]
    loss: Float[ndarray, " seed"]  # that training lowers: with the penalty of a decay
    step: Float[ndarray, " seed"]  # the length of a step
    multipliers: Float[ndarray, "seed param"]  # by which deviations grow in a step, rising

    def unstable(self, steps: int) -> Int[ndarray, " seed"]:
        """Count the directions in which a deviation grows by more than a factor e in so many steps.

        Descent by the rate η has the multipliers 1 - ηλ, for eigenvalues λ of the Hessian.
        """
        growth = steps * np.log(np.maximum(np.abs(self.multipliers), np.finfo(float).tiny))
        return (growth > 1).sum(axis=-1)


def stability(sweep: Sweep, params: Float[ndarray, "seed param"]) -> Stability:
    """Probe, and compute the loss, a step and its whole Jacobian, at the parameters of each seed.

    A Jacobian takes as many gradients as there are parameters, and the memory of their square.
    Nothing is drawn at random: the keys of the batch and of the step are fixed. What an optimizer
    remembers begins anew, and is no part of it.

    Raises:
        ValueError: for a method whose steps follow no gradient: its Jacobian is not symmetric.
    """
    with numerics("float64"):
        measured = jax.jit(_measured(sweep))
        found = [_decomposed(*measured(one)) for one in params.astype(np.float64)]
    return jax.tree.map(lambda *of_seeds: np.stack(of_seeds), *found)


def losses(sweep: Sweep, params: Float[ndarray, "seed param"]) -> Float[ndarray, " seed"]:
    """Compute the loss that training lowers at the parameters of each seed."""
    with numerics("float64"):
        return np.asarray(jax.lax.map(_loss(sweep), jnp.asarray(params, float)))


def _loss(sweep: Sweep) -> Callable[[Array], Array]:
    organism, key = sweep.organism, jax.random.key(0)
    decay = getattr(sweep.method, "l2", None) or 0.0
    unravel, batch = _unravel(sweep), organism.sample(key)

    def loss(flat: Float[Array, " param"]) -> Float[Array, ""]:
        penalty = decay / 2 * optax.tree.norm(flat, squared=True)
        return organism.loss(unravel(flat), batch) + penalty

    return loss


def _unravel(sweep: Sweep) -> Callable[[Array], Params]:
    params = sweep.organism.init(jax.random.key(0))
    return ravel_pytree(jax.tree.map(lambda leaf: leaf.astype(float), params))[1]


def _measured(sweep: Sweep) -> Callable[[Array], tuple[Evidence, Array, Array, Array]]:
    organism, method, key = sweep.organism, sweep.method, jax.random.key(0)
    unravel, loss = _unravel(sweep), _loss(sweep)

    def stepped(flat: Float[Array, " param"]) -> Float[Array, " param"]:
        state = method.init(key, unravel(flat), organism)
        after = method.step(key, jnp.zeros((), jnp.int32), state, organism)
        return ravel_pytree(after.params)[0]

    def measured(flat: Float[Array, " param"]) -> tuple[Evidence, Array, Array, Array]:
        def column(direction: Float[Array, " param"]) -> Float[Array, " param"]:
            return jax.jvp(stepped, (flat,), (direction,))[1]

        jacobian = jax.lax.map(column, jnp.eye(len(flat)), batch_size=BATCH)
        length = jnp.linalg.norm(stepped(flat) - flat)
        return organism.probe(key, unravel(flat)), loss(flat), length, jacobian

    return measured


def _decomposed(evidence: Evidence, loss: Array, step: Array, jacobian: Array) -> Stability:
    matrix = np.asarray(jacobian)
    asymmetry = np.abs(matrix - matrix.T).max(initial=0)
    if asymmetry > ROUNDING:
        raise ValueError(
            f"method has a Jacobian that differs from its transpose by {asymmetry:.2g}; allowed: "
            "one whose steps follow a gradient, such as Gradient's with sgd"
        )
    # NumPy's, since XLA's is slow on CPUs.
    values = np.linalg.eigvalsh(matrix)
    return Stability(jax.tree.map(np.asarray, evidence), np.asarray(loss), np.asarray(step), values)
