"""Fractions of seeds in families: the children of one parent are related.

Parents are independent, their children are not: an interval that counts children as independent
trials is too narrow. Betting confidence intervals and sequences hold for any dependence within a
family (Waudby-Smith & Ramdas 2024, "Estimating means of bounded random variables by betting"): a
bet against the true fraction at fair odds hardly ever gains much wealth (Ville's inequality).
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from basin_jax.statistics.estimates import Difference, Estimate
from basin_jax.statistics.intervals import Interval, bonferroni_error, boundary


# The largest fraction of the wealth that one bet puts at risk.
MOST_AT_RISK = 0.75
# The error for which bets are tuned. Intervals hold at every other error, too.
TUNED = 0.05


class Families(NamedTuple):
    """The hits and the children of each parent, in the order of the parents."""

    hits: Float[ndarray, " parent"]  # whole numbers, or halves
    trials: Int[ndarray, " parent"]

    @classmethod
    def of(cls, parts: Iterable[tuple[ndarray, ndarray]], siblings: int) -> "Families":
        """Count the hits and the seeds of each parent.

        Args:
            parts: for some seeds after others a number from 0 to 1 each, and the seeds; the parent
                of each is seed // `siblings`.
            siblings: the largest number of seeds that share a parent.
        """
        found = [cls(np.zeros(0), np.zeros(0, int))]
        parents = [np.zeros(0, np.uint64)]
        for hits, seeds in parts:
            these, own = np.unique(seeds // np.uint64(siblings), return_inverse=True)
            parents.append(these)
            found.append(cls(np.bincount(own, hits), np.bincount(own)))
        _, own = np.unique(np.concatenate(parents), return_inverse=True)  # some are in two parts
        hits, trials = (np.bincount(own, np.concatenate(one)) for one in zip(*found, strict=True))
        return cls(hits, trials.astype(int))


def family_fraction(
    families: Families, *, level: float = 0.95, num_intervals: int = 1, interval: Interval = "fixed"
) -> Estimate:
    """Estimate a fraction of children; the arguments are those of `estimate`."""
    error = bonferroni_error(level, num_intervals, interval)
    low, high = betting_interval(families, error=error, interval=interval)
    hits, trials = int(families.hits.sum()), int(families.trials.sum())
    return Estimate(
        hits=hits,
        trials=trials,
        low=low,
        high=high,
        level=level,
        interval=interval,
        num_intervals=num_intervals,
    )


def family_difference(
    gained: int,
    lost: int,
    trials: int,
    families: Families,
    *,
    level: float = 0.95,
    num_intervals: int = 1,
    interval: Interval = "fixed",
) -> Difference:
    """Estimate a paired difference of fractions of children, as `paired_difference` does.

    In the families a gain counts as a hit, a loss as none, and no change as half a hit.
    """
    error = bonferroni_error(level, num_intervals, interval)
    ends = betting_interval(families, error=error, interval=interval)
    low, high = (2 * end - 1 for end in ends)
    return Difference(
        gained=gained,
        lost=lost,
        trials=trials,
        low=low,
        high=high,
        level=level,
        interval=interval,
        p_value=p_value(families, 0.5, interval=interval),
    )


def betting_interval(
    families: Families, *, error: float, interval: Interval
) -> tuple[float, float]:
    """Compute the betting confidence interval, or sequence, of the children's fraction of hits.

    "fixed" sizes the bets for the number of parents. "anytime" gives a confidence sequence, which
    holds at every number of parents at once; a last parent that lacks children does not count yet.
    """
    process = BettingProcess.of(families, interval)
    most = math.log(2 / error)

    def accepts(fraction: float) -> bool:
        return max(process.log_wealth(fraction, +1), process.log_wealth(fraction, -1)) < most

    center = process.center()
    low = boundary(accepts, inside=center, outside=0.0)
    return low, boundary(accepts, inside=center, outside=1.0)


def p_value(families: Families, fraction: float, *, interval: Interval) -> float:
    """Compute the p-value of a fraction, by the test that the interval inverts."""
    process = BettingProcess.of(families, interval)
    wealth = max(process.log_wealth(fraction, +1), process.log_wealth(fraction, -1))
    return min(1.0, 2 * math.exp(-wealth))


class BettingProcess(NamedTuple):
    """The outcomes of the parents, divided by the most children of a parent, and the bets."""

    hits: Float[ndarray, " parent"]
    trials: Float[ndarray, " parent"]
    bets: Float[ndarray, " parent"]  # each depends on the parents before it only

    @classmethod
    def of(cls, families: Families, interval: Interval) -> "BettingProcess":
        most = max(families.trials, default=1)
        whole = len(families.trials)
        if interval == "anytime" and whole and families.trials[-1] < most:
            whole -= 1
        hits, trials = families.hits[:whole] / most, families.trials[:whole] / most
        count = np.arange(1, whole + 1)
        # As if half of one parent had hit before the first.
        mean = (0.5 + np.cumsum(hits)) / (1 + np.cumsum(trials))
        variance = (0.25 + np.cumsum((hits - mean * trials) ** 2)) / (1 + count)
        known = np.concatenate([[0.25], variance[:-1]])
        effective = max(whole, 1) if interval == "fixed" else count * np.log(1 + count)
        return cls(hits, trials, np.sqrt(2 * math.log(2 / TUNED) / (known * effective)))

    def center(self) -> float:
        """Find the fraction at which both sides have the same wealth."""
        return boundary(
            lambda fraction: self.log_wealth(fraction, +1) > self.log_wealth(fraction, -1),
            inside=0.0,
            outside=1.0,
        )

    def log_wealth(self, fraction: float, side: int) -> float:
        """Compute the log-wealth of bets that the true fraction is above (+1), or below (-1).

        It falls (+1), or rises (-1), with the fraction that is bet against.
        """
        risk = fraction if side > 0 else 1 - fraction
        bets = np.minimum(self.bets, MOST_AT_RISK / max(risk, 1e-300))
        return float(np.log1p(side * bets * (self.hits - fraction * self.trials)).sum())
