"""Evidence as scalars that a float of the sweep's precision holds."""

import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from basin_jax.core.contracts import Evidence, Organism


def scalars(organism: Organism, evidence: Mapping[str, Any]) -> Evidence:
    """Make floats of an organism's evidence.

    Raises:
        ValueError: where some of it is no scalar, or does not fit a float.
    """
    for name, value in evidence.items():
        given = f"{type(organism).__name__}.probe gives {name!r}"
        if np.shape(value) != ():
            raise ValueError(f"{given} of shape {np.shape(value)}; allowed: scalars")
        _expect_held(value, given)
    return {name: jnp.asarray(value, float) for name, value in evidence.items()}


def _expect_held(value: Any, given: str) -> None:
    """Raise `ValueError` if evidence does not fit a float of the sweep's precision."""
    real = jnp.finfo(jnp.result_type(float))
    digits = real.nmant + 1
    if isinstance(value, int | float | np.integer | np.floating):
        # A constant: its value decides, and not its type.
        largest = 2**digits if isinstance(value, int | np.integer) else float(real.max)
        if largest < abs(value) < math.inf:
            raise ValueError(
                f"{given} = {value!r}, which {real.dtype} cannot hold; allowed: up to {largest:g}"
            )
        return
    kind = jnp.result_type(value)
    if jnp.issubdtype(kind, jnp.complexfloating):
        raise ValueError(f"{given} as {kind}; allowed: real numbers, such as its parts")
    if jnp.issubdtype(kind, jnp.integer) and int(jnp.iinfo(kind).max).bit_length() > digits:
        raise ValueError(
            f"{given} as {kind}, and {real.dtype} cannot hold all whole numbers of more than "
            f"{digits} bits; allowed: floats, such as jnp.asarray(..., float), or narrower integers"
        )
