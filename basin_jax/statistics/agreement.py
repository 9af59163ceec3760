"""How far two labels of the same seeds agree beyond chance: Cohen's kappa, and its interval."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.special import betaincc, betaincinv

from basin_jax.statistics.estimates import edge, error_of_each


def kappa(
    first: Bool[ndarray, " seed"],
    second: Bool[ndarray, " seed"],
    *,
    level: float = 0.95,
    cells: int = 1,
) -> tuple[float, float, float]:
    """Return Cohen's kappa of two labels of the same seeds, yes or no, and its interval.

    Kappa (Cohen 1960) is the share of the way from chance, 0, to full agreement, 1. Where all
    seeds have one and the same label it is undefined, NaN, and its interval is all that it may be.

    It depends on three shares, each binomial given the ones before: of the seeds on whose labels
    the two differ; of yes among those on which they agree; and among those on which they differ.
    The interval is melded like that of a paired difference (Fay & Lumbard 2021): a limit is the
    quantile of kappa where each share has the beta distribution whose quantiles are the limits of
    Clopper and Pearson on the side that makes kappa lower, or higher. That it covers is measured,
    not proven: see `docs/calibration.md`.

    Args:
        first: one label a seed; seeds are independent.
        second: the other label of the same seeds.
        level: the probability that the interval covers the truth.
        cells: the number of intervals that are to hold at once (Bonferroni).
    """
    tail = error_of_each(level, cells, "fixed") / 2
    both, gained, lost = (int(n.sum()) for n in (first & second, ~first & second, first & ~second))
    neither = len(first) - both - gained - lost
    chance = (both + gained) * (gained + neither) + (both + lost) * (lost + neither)
    if not chance:
        return math.nan, -1.0, 1.0
    value = 1 - len(first) * (gained + lost) / chance
    low, high = _melded(both, gained, lost, neither)
    return (
        value,
        edge(lambda k: low.below(k) > tail, inside=value, outside=-1.0),
        edge(lambda k: high.below(k) < 1 - tail, inside=value, outside=1.0),
    )


def _melded(both: int, gained: int, lost: int, neither: int) -> tuple["_Shares", "_Shares"]:
    """Return the distributions of which the lower, and the upper, limit is a quantile."""
    differ, agree = gained + lost, both + neither
    # Of either kind the rarer: the variances s(1 - s) of the shares are what kappa depends on.
    yes, no = sorted((both, neither))
    few, many = sorted((gained, lost))
    return (
        _Shares.of((differ + 1, agree), (yes, no + 1), (few + 1, many)),
        _Shares.of((differ, agree + 1), (yes + 1, no), (few, many + 1)),
    )


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)


class _Shares(NamedTuple):
    """Beta distributions of the shares; the variances of the latter two by their quantiles."""

    differ: tuple[int, int]
    same: Float[ndarray, "node 1"]
    apart: Float[ndarray, " node"]

    @classmethod
    def of(
        cls, differ: tuple[int, int], same: tuple[int, int], apart: tuple[int, int]
    ) -> "_Shares":
        return cls(differ, _variances(*same)[:, None], _variances(*apart))

    def below(self, kappa: float) -> float:
        """Return the probability of a kappa of at most so much."""
        odds = 1 - kappa
        # Kappa falls with the share that differs. That at which it is so much is a root of
        # square·d² + linear·d = constant.
        square = 2 * odds * (self.apart - self.same)
        linear = 1 - odds + 4 * odds * self.same
        constant = 2 * odds * self.same
        root = np.sqrt(np.maximum(linear**2 + 4 * square * constant, 0))
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(
                linear > 0, 2 * constant / (linear + root), (root - linear) / (2 * square)
            )
        # No share makes it so low where there is no root.
        share = np.where((share >= 0) & (share <= 1), share, 1.0)
        return float(_WEIGHTS @ _beyond(share, *self.differ) @ _WEIGHTS) / 4


def _variances(hits: int, misses: int) -> Float[ndarray, " node"]:
    """Return s(1 - s) at quantiles of a share s that is one half at most."""
    if hits == 0:
        return np.zeros(len(_NODES))
    if misses == 0:
        return np.full(len(_NODES), 0.25)
    share = np.minimum(betaincinv(hits, misses, (1 + _NODES) / 2), 0.5)
    return share * (1 - share)


def _beyond(share: Float[ndarray, "node node"], hits: int, misses: int) -> ndarray:
    """Return the probability that a beta variable is at least so much."""
    if hits == 0:
        return (share <= 0).astype(float)
    return betaincc(hits, misses, share) if misses else np.ones(share.shape)
