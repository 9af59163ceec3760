"""The barrier of a loss on the line between two networks."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray


def loss_barrier(
    losses: Float[ndarray, "pair weight"], weights: Sequence[float]
) -> Float[ndarray, " pair"]:
    """Compute the barrier: the largest rise of a loss on a line, as `rises` gives it.

    It is 0 or more, and no more than that of all points on the line (Frankle et al. 2020, "Linear
    mode connectivity and the lottery ticket hypothesis"; Entezari et al. 2022).

    Args:
        losses: at each of the weights.
        weights: the weights of the second network, rising from 0 to 1.

    Raises:
        ValueError: where the weights do not rise from 0 to 1.

    Example:
        >>> loss_barrier(np.array([[0.0, 0.75, 0.5], [0.0, 0.0, 1.0]]), (0.0, 0.5, 1.0)).tolist()
        [0.5, 0.0]
    """
    return rises(losses, weights).max(1)


def rises(
    losses: Float[ndarray, "pair weight"], weights: Sequence[float]
) -> Float[ndarray, "pair weight"]:
    """Compute how far a loss rises on a line above that between its values at the ends.

    Args:
        losses: at each of the weights.
        weights: the weights of the second network, rising from 0 to 1.

    Raises:
        ValueError: where the weights do not rise from 0 to 1.
    """
    rising = len(weights) > 1 and all(np.diff(weights) > 0)
    if not rising or (weights[0], weights[-1]) != (0, 1):
        raise ValueError(f"weights = {weights!r}; allowed: rising from 0 to 1")
    along = np.asarray(weights)
    between = np.outer(losses[:, 0], 1 - along) + np.outer(losses[:, -1], along)
    return losses - between
