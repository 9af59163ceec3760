"""Areas under ROC curves: the accuracy of scores that predict the outcome of seeds."""

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.special import betainccinv, betaincinv

from basin_jax.statistics.intervals import bonferroni_error


# Added to an area's variance, times 1/k² for k seeds of the rarer class: the estimated variance is
# 0 if no pair is ranked wrongly. With half as much, 95 % intervals cover .917 at worst.
UNSEEN = 0.5


def auc(
    scores: Float[ndarray, " seed"],
    positive: Bool[ndarray, " seed"],
    *,
    level: float = 0.95,
    num_intervals: int = 1,
) -> tuple[float, float, float]:
    """Estimate the area under the ROC curve.

    The area is the probability that a positive seed scores higher than a negative one, with ties
    counted as one half (Mann & Whitney 1947). Its interval is that of Clopper and Pearson for the
    effective number of trials: those of a fraction with the area's variance (Korn & Graubard
    1998). The variance is that of DeLong et al. (1988); the trials are at least the seeds of the
    rarer class, since no distribution of the scores has a larger variance (Birnbaum & Klose 1957).
    The coverage is measured, not proven: see `docs/calibration.md`.

    Args:
        scores: one for each seed; seeds are independent.
        positive: whether each seed is of the class that should score high.
        level: the probability that the interval covers the true area.
        num_intervals: the number of intervals that hold simultaneously (Bonferroni).

    Returns:
        The area, and the low and the high end of its interval.

    Raises:
        ValueError: if all seeds are of one class.
    """
    high, low = scores[positive], scores[~positive]
    if not len(high) or not len(low):
        raise ValueError(
            f"positive has {len(high)} of {len(scores)} seeds; allowed: some, but not all"
        )
    above, below = _placements(high, low), 1 - _placements(low, high)
    area, fewer = float(above.mean()), min(len(high), len(low))
    spread = area * (1 - area)
    variance = sum(_variance(each, spread) for each in (above, below))
    trials = max((spread + UNSEEN / fewer) / (variance + UNSEEN / fewer**2), fewer)
    error = bonferroni_error(level, num_intervals, "fixed")
    hits, misses = area * trials, (1 - area) * trials
    least = betaincinv(hits, misses + 1, error / 2) if hits > 0 else 0.0
    most = betainccinv(hits + 1, misses, error / 2) if misses > 0 else 1.0
    return area, float(least), float(most)


def _placements(ones: Float[ndarray, " m"], others: Float[ndarray, " n"]) -> Float[ndarray, " m"]:
    """Compute the fraction of others below each score; a tie counts as one half."""
    ordered = np.sort(others)
    ranks = [np.searchsorted(ordered, ones, side=side) for side in ("left", "right")]
    return np.mean(ranks, axis=0) / len(others)


def _variance(placements: Float[ndarray, " m"], most: float) -> float:
    """Compute the variance of a mean of placements, at most that of one placement."""
    count = len(placements)
    return float(placements.var(ddof=1)) / count if count > 1 else most


def discriminant(
    features: Float[ndarray, "seed feature"],
    positive: Bool[ndarray, " seed"],
    *,
    ridge: float = 0.1,
) -> Float[ndarray, " feature"]:
    """Compute the weights of a shrunken linear discriminant (Fisher 1936).

    They are those of a ridge regression of the labels on the standardized features. A constant
    feature has the weight 0.
    """
    spread = features.std(0)
    scale = np.where(spread > 0, spread, np.inf)
    standard = (features - features.mean(0)) / scale
    products = standard.T @ standard / len(features) + ridge * np.eye(len(scale))
    slopes = standard.T @ (positive - positive.mean()) / len(features)
    return np.linalg.solve(products, slopes) / scale
