"""The fraction of circuits of `EscapeThreshold` that form, by code that shares nothing with it."""

import numpy as np
from numpy import ndarray
from scipy.special import ndtr, ndtri


RATE, STEPS, DECAY = 0.05, 2000, 0.3
ROOT = 0.1000999  # of 3w(1 - w³) = DECAY: where a single path neither grows nor falls
# From where the strongest path starts elsewhere, the limit is right: checked by `misjudged`.
NEAR = (0.0995, 0.102)

# Paths, their scale; P(the circuit forms), and its standard error, of 10,000 samples.
FORMED = [(64, 0.05, 0.76767, 8e-5), (8, 0.05, 0.16736, 2e-5), (64, 0.03, 0.02669, 1e-5)]


def formed_fraction(paths: int, scale: float, samples: int, seed: int = 0) -> tuple[float, float]:
    """Return the probability that a circuit forms, and its standard error.

    It differs from that of the limit, P(the strongest path starts above ROOT), by the
    networks whose other paths decide, and only those whose strongest path starts near ROOT
    are simulated.
    """
    random = np.random.default_rng(seed)
    low, high = ndtr(np.divide(NEAR, scale)) ** paths
    strongest = scale * ndtri(random.uniform(low, high, samples) ** (1 / paths))
    others = scale * ndtri(random.uniform(size=(paths - 1, samples)) * ndtr(strongest / scale))
    change = 1.0 * simulate(np.vstack([strongest[None], others])) - (strongest > ROOT)
    limit = 1 - ndtr(ROOT / scale) ** paths
    share = high - low
    return limit + share * change.mean(), share * change.std() / samples**0.5


def misjudged(paths: int, scale: float, samples: int, seed: int = 0) -> ndarray:
    """Return the strongest paths of networks of which the limit is wrong, of unlimited starts."""
    start = scale * np.random.default_rng(seed).normal(size=(paths, samples))
    strongest = start.max(0)
    return strongest[simulate(start) != (strongest > ROOT)]


def simulate(weights: ndarray) -> ndarray:
    """Train circuits from columns of weights, and return which of them form."""
    formed = np.zeros(weights.shape[1], bool)
    left = np.arange(weights.shape[1])
    weights = weights.astype(np.float32)
    for step in range(STEPS):
        slope = 3 * (1 - (weights * weights * weights).sum(0))
        weights = weights + RATE * weights * (slope * weights - DECAY)
        if step % 20 == 19:  # beyond one half it forms, and far below ROOT it never does
            output, strongest = (weights * weights * weights).sum(0), weights.max(0)
            formed[left[output > 0.5]] = True
            open_ = (output <= 0.5) & (strongest > ROOT / 2)
            weights, left = weights[:, open_], left[open_]
    return formed
