"""Agreement of two labels of the same seeds beyond chance: Cohen's kappa."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.special import betaincc, betaincinv

from basin_jax.statistics.intervals import bonferroni_error, boundary


def kappa(
    first: Bool[ndarray, " seed"],
    second: Bool[ndarray, " seed"],
    *,
    level: float = 0.95,
    num_intervals: int = 1,
) -> tuple[float, float, float]:
    """Estimate Cohen's kappa of two binary labels of the same seeds.

    Kappa (Cohen 1960) is 0 for agreement by chance and 1 for full agreement. If all seeds have
    the same label it is undefined: NaN, with the interval [-1, 1].

    It depends on three fractions, each binomial given the ones before: that of seeds whose labels
    differ; that of positive labels among the seeds that agree; and that among those that differ.
    The interval is melded like that of a paired difference (Fay & Lumbard 2021): a limit is the
    quantile of kappa if each fraction has the beta distribution whose quantiles are the limits of
    Clopper and Pearson on the side that makes kappa lower, or higher. The coverage is measured,
    not proven: see `docs/calibration.md`.

    Args:
        first: a label for each seed; seeds are independent.
        second: the other label of the same seeds.
        level: the probability that the interval covers the true kappa.
        num_intervals: the number of intervals that hold simultaneously (Bonferroni).

    Returns:
        Kappa, and the low and the high end of its interval.
    """
    tail = bonferroni_error(level, num_intervals, "fixed") / 2
    both, gained, lost = (int(n.sum()) for n in (first & second, ~first & second, first & ~second))
    neither = len(first) - both - gained - lost
    chance = (both + gained) * (gained + neither) + (both + lost) * (lost + neither)
    if not chance:
        return math.nan, -1.0, 1.0
    value = 1 - len(first) * (gained + lost) / chance
    low, high = melded(both, gained, lost, neither)
    return (
        value,
        boundary(lambda k: low.below(k) > tail, inside=value, outside=-1.0),
        boundary(lambda k: high.below(k) < 1 - tail, inside=value, outside=1.0),
    )


def melded(both: int, gained: int, lost: int, neither: int) -> tuple["Shares", "Shares"]:
    """Return the distributions whose quantiles are the lower and the upper limit."""
    differ, agree = gained + lost, both + neither
    # Of each pair the rarer: kappa depends on the variances s(1 - s) of the fractions.
    yes, no = sorted((both, neither))
    few, many = sorted((gained, lost))
    return (
        Shares.of((differ + 1, agree), (yes, no + 1), (few + 1, many)),
        Shares.of((differ, agree + 1), (yes + 1, no), (few, many + 1)),
    )


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)


class Shares(NamedTuple):
    """Beta distributions of the fractions; the latter two as quantiles of their variances."""

    differ: tuple[int, int]
    same: Float[ndarray, "node 1"]
    apart: Float[ndarray, " node"]

    @classmethod
    def of(cls, differ: tuple[int, int], same: tuple[int, int], apart: tuple[int, int]) -> "Shares":
        return cls(differ, _variances(*same)[:, None], _variances(*apart))

    def below(self, kappa: float) -> float:
        """Compute the probability that kappa is at most a value."""
        odds = 1 - kappa
        # Kappa falls with the fraction d that differs. It has the given value at a root of
        # square·d² + linear·d = constant.
        square = 2 * odds * (self.apart - self.same)
        linear = 1 - odds + 4 * odds * self.same
        constant = 2 * odds * self.same
        root = np.sqrt(np.maximum(linear**2 + 4 * square * constant, 0))
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(
                linear > 0, 2 * constant / (linear + root), (root - linear) / (2 * square)
            )
        # Without a root, no fraction makes kappa so low.
        share = np.where((share >= 0) & (share <= 1), share, 1.0)
        return float(_WEIGHTS @ _beyond(share, *self.differ) @ _WEIGHTS) / 4


def _variances(hits: int, misses: int) -> Float[ndarray, " node"]:
    """Compute s(1 - s) at quantiles of a fraction s that is at most one half."""
    if hits == 0:
        return np.zeros(len(_NODES))
    if misses == 0:
        return np.full(len(_NODES), 0.25)
    share = np.minimum(betaincinv(hits, misses, (1 + _NODES) / 2), 0.5)
    return share * (1 - share)


def _beyond(share: Float[ndarray, "node node"], hits: int, misses: int) -> ndarray:
    """Compute the probability that a beta variable is at least a share."""
    if hits == 0:
        return (share <= 0).astype(float)
    return betaincc(hits, misses, share) if misses else np.ones(share.shape)
