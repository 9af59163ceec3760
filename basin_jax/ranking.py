"""How well numbers tell the seeds of one outcome from the others: areas under ROC curves."""

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from basin_jax.clusters import Brood, betting
from basin_jax.statistics import error_of_each


def auc(
    scores: Float[ndarray, " seed"],
    positive: Bool[ndarray, " seed"],
    *,
    level: float = 0.95,
    cells: int = 1,
) -> tuple[float, float, float]:
    """Return the area under the ROC curve, and its interval.

    The area is the chance that a positive seed scores higher than another one, where a tie counts
    half, counted over all pairs (Mann & Whitney 1947). For the interval each seed of the rarer
    kind has some of the other kind to itself, in their order: how many of these it is ranked
    rightly against are independent shares whose mean is the area, and its bounds are found by
    betting. So it covers at any number of seeds and any distribution of the scores, also where
    the area is 1; in return it is wider than those that are normal only in the limit.

    Args:
        scores: one a seed; seeds are independent, and in an order that does not hang on scores.
        positive: the seeds that should score high.
        level: the probability that the interval covers the truth, at least.
        cells: the number of intervals that are to hold at once (Bonferroni).

    Raises:
        ValueError: where all seeds are of one kind.
    """
    high, low = scores[positive], scores[~positive]
    if not len(high) or not len(low):
        raise ValueError(
            f"positive has {len(high)} of {len(scores)} seeds; allowed: some, but not all"
        )
    count = min(len(high), len(low))
    pairs = zip(np.array_split(high, count), np.array_split(low, count), strict=True)
    shares = np.array([_above(some, others) for some, others in pairs])
    brood = Brood(shares, np.ones(count, int))
    bounds = betting(brood, error=error_of_each(level, cells, "fixed"), interval="fixed")
    area = _above(high, low)
    return area, min(bounds[0], area), max(bounds[1], area)


def _above(high: Float[ndarray, " m"], low: Float[ndarray, " n"]) -> float:
    """Return the share of pairs in which the first is above the second; a tie is half a pair."""
    ordered = np.sort(low)
    ranks = [np.searchsorted(ordered, high, side=side) for side in ("left", "right")]
    return float(np.mean(ranks)) / len(low)


def discriminant(
    features: Float[ndarray, "seed feature"],
    positive: Bool[ndarray, " seed"],
    *,
    ridge: float = 0.1,
) -> Float[ndarray, " feature"]:
    """Return the weights by which a sum of features tells positive seeds from the others best.

    They are those of a ridge regression of the labels on the standardized features, which is the
    linear discriminant of Fisher (1936), shrunk. What does not vary has the weight 0.
    """
    spread = features.std(0)
    scale = np.where(spread > 0, spread, np.inf)
    standard = (features - features.mean(0)) / scale
    products = standard.T @ standard / len(features) + ridge * np.eye(len(scale))
    slopes = standard.T @ (positive - positive.mean()) / len(features)
    return np.linalg.solve(products, slopes) / scale
