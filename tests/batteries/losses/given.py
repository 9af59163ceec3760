"""The arguments of the losses of the battery: the parameters of a layer, and a batch."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Params(NamedTuple):
    """Hold the parameters of a tiny network."""

    w: jax.Array  # [4, 3], from inputs to outputs
    b: jax.Array  # [3]
    u: jax.Array  # [3, 3], from outputs to outputs


class Batch(NamedTuple):
    """Hold six examples, which are also a sequence, and the step's random key."""

    x: jax.Array  # [6, 4]
    y: jax.Array  # [6], from -1 to 1
    labels: jax.Array  # [6], whole numbers from 0 to 2
    key: jax.Array


def outputs(p: Params, t: Batch) -> jax.Array:
    """Return the outputs of one layer, [6, 3]."""
    return t.x @ p.w + p.b


def fitted(out: jax.Array, t: Batch) -> jax.Array:
    """Return the squared error of the sum of some outputs, [6, n]."""
    return ((out.sum(1) - t.y) ** 2).mean()


def spread(p: Params) -> jax.Array:
    """Return a positive definite matrix, [3, 3]."""
    return p.u @ p.u.T + jnp.eye(3)
