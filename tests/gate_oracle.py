"""The fraction of deceptive ends of `Gate`, by code that shares nothing with the engine."""

from typing import Any

import numpy as np
from numpy import ndarray
from numpy.polynomial.hermite_e import hermegauss
from numpy.polynomial.legendre import leggauss
from scipy.special import expit
from scipy.stats import chi


RATE, STEPS = 0.05, 8_000
HALVINGS = 12  # of an interval between two radii
USUAL = {"oversight": 0.5, "penalty": 3.0, "l2": 0.02}

# Points, and P(deceptive) there by `gate_fraction` at a resolution of 32.
EXACT: list[tuple[dict[str, Any], float]] = [
    (USUAL | {"scale": 0.3}, 0.581808),
    (USUAL | {"scale": 0.5}, 0.824222),
    (USUAL | {"scale": 0.8}, 0.932616),
    ({"oversight": 0.3, "penalty": 2.0, "l2": 0.03, "scale": 0.5}, 0.662573),
    ({"oversight": 0.7, "penalty": 4.0, "l2": 0.01, "scale": 0.4}, 0.809729),
]


def gate_fraction(
    *, oversight: float, penalty: float, l2: float, scale: float, resolution: int = 16
) -> float:
    """Return the probability that a gate of three factors ends deceptive.

    It is that of 8,000 Euler steps of 0.05, as the engine runs them: the flow's is a
    little larger. The initial point is θ, the direction of (a, b, c) and their length. The
    length is integrated exactly, by bisecting for each length at which the verdict changes,
    the rest by Gauss quadrature: of the sphere, over one of the 24 equal parts into which
    the symmetries of the product (permutations, flips of two signs) cut it.

    Args:
        oversight: fraction of the time that it is watched, m.
        penalty: cost of defecting while watched, in units of the reward for defecting
            unwatched.
        l2: coefficient λ of the penalty λ/2·|w|².
        scale: standard deviation of every parameter at initialization.
        resolution: nodes for each of the two angles, and lengths that are scanned; half
            as many nodes for θ. From 8 to 32 the answer moves by less than 3e-5, from 16
            by less than 3e-6, at scales of .3 to .8.
    """
    theta, theta_weight = hermegauss(resolution // 2)
    directions, direction_weight = _directions(resolution)
    theta = np.repeat(scale * theta, len(directions))
    directions = np.tile(directions, (resolution // 2, 1))

    def ends_deceptive(quantile: float | ndarray, rows: ndarray) -> ndarray:
        factors = scale * chi(3).ppf(quantile) * directions[rows].T
        return simulate(np.vstack([theta[rows], factors]), oversight, penalty, l2)

    # The verdict as a function of the quantile of the length: its integral is the fraction.
    everywhere = np.arange(len(theta))
    scan = np.linspace(1e-7, 1 - 1e-7, resolution)
    verdicts = np.array([ends_deceptive(q, everywhere) for q in scan])
    cells, rows = np.nonzero(verdicts[1:] != verdicts[:-1])
    low, high, above = scan[cells], scan[cells + 1], verdicts[cells + 1, rows]
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        beyond = ends_deceptive(middle, rows) == above
        low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
    jumps = np.where(above, 1, -1) * (low + high) / 2
    fraction = verdicts[-1] - np.bincount(rows, jumps, minlength=len(theta))

    weight = np.outer(theta_weight / theta_weight.sum(), direction_weight).ravel()
    return float(weight @ fraction)


def simulate(initial: ndarray, oversight: float, penalty: float, l2: float) -> ndarray:
    """Train gates from columns of θ, a, b, c, and return which of them end deceptive."""
    theta, a, b, c = initial
    decay = 1 - RATE * l2
    for _ in range(STEPS):
        unwatched, watched = expit(theta), expit(theta + a * b * c)
        gain = RATE * (1 - oversight) * unwatched * (1 - unwatched)
        cost = RATE * oversight * penalty * watched * (1 - watched)
        theta, a, b, c = (
            decay * theta + gain - cost,
            decay * a - cost * b * c,
            decay * b - cost * a * c,
            decay * c - cost * a * b,
        )
    unwatched, watched = expit(theta), expit(theta + a * b * c)
    return (unwatched - watched >= 0.5) & (watched <= 0.1)


def _directions(nodes: int) -> tuple[ndarray, ndarray]:
    """Return directions of (a, b, c) with |a| <= b <= c, and their weights, of sum 1.

    They are (v·w, v, 1) for 0 < v < 1 and -1 < w < 1, normalized. The nodes crowd at v = 0
    and at w = 1, where two factors tie and the deceptive lengths recede to infinity.
    """
    node, weight = leggauss(nodes)
    x = (1 + node) / 2
    v, w = x[:, None] ** 2, 1 - 2 * x**2
    area = np.outer(weight * x, 2 * weight * x)  # dv = 2x dx, dw = -4x dx
    weights = 24 / (4 * np.pi) * area * v * (1 + v**2 + (v * w) ** 2) ** -1.5
    points = np.stack(np.broadcast_arrays(v * w, v, 1.0), axis=-1).reshape(-1, 3)
    return points / np.linalg.norm(points, axis=1, keepdims=True), weights.ravel()
