"""Bounds of a fraction where seeds come in clusters: the children of one parent are alike.

Parents are independent, their children are not: an interval that counts children as trials is
too narrow. These hold whatever the children of a parent have in common, by betting against each
fraction at fair odds (Waudby-Smith & Ramdas 2024, "Estimating means of bounded random variables
by betting"): a fraction against which one has won much is not the true one (Ville's inequality).
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from basin_jax.statistics.estimates import Difference, Estimate, Interval, edge, error_of_each


# The largest share of the capital that is put at risk in one bet.
STAKE = 0.75
# For which error bets are tuned. Bounds hold at every other, too.
TUNED = 0.05


class Brood(NamedTuple):
    """For each parent, in their order, its hits and its children."""

    hits: Float[ndarray, " parent"]  # whole numbers, or halves
    trials: Int[ndarray, " parent"]


def broods(hits: ndarray, seeds: ndarray, siblings: int) -> Brood:
    """Count the hits and the seeds of each parent, in the order of their numbers.

    Args:
        hits: for each seed a number of at most 1.
        seeds: the seeds, each of the parent seed // `siblings`.
        siblings: how many seeds share a parent, at most.
    """
    _, parents = np.unique(seeds // np.uint64(siblings), return_inverse=True)
    return Brood(np.bincount(parents, hits), np.bincount(parents))


def estimate_of_broods(
    brood: Brood, *, level: float = 0.95, cells: int = 1, interval: Interval = "fixed"
) -> Estimate:
    """Estimate a fraction of children; the arguments are those of `estimate`."""
    low, high = betting(brood, error=error_of_each(level, cells, interval), interval=interval)
    hits, trials = int(brood.hits.sum()), int(brood.trials.sum())
    return Estimate(hits=hits, trials=trials, low=low, high=high, level=level, interval=interval)


def difference_of_broods(
    gained: int,
    lost: int,
    trials: int,
    brood: Brood,
    *,
    level: float = 0.95,
    cells: int = 1,
    interval: Interval = "fixed",
) -> Difference:
    """Estimate a paired difference of fractions of children, as `paired_difference` does.

    The brood counts a gain as a hit, a loss as none, and what is equal as half of one.
    """
    error = error_of_each(level, cells, interval)
    low, high = (2 * bound - 1 for bound in betting(brood, error=error, interval=interval))
    return Difference(
        gained=gained,
        lost=lost,
        trials=trials,
        low=low,
        high=high,
        level=level,
        interval=interval,
        p_value=p_value(brood, 0.5, interval=interval),
    )


def betting(brood: Brood, *, error: float, interval: Interval) -> tuple[float, float]:
    """Return bounds of the share of hits among the children of all parents to come.

    With "fixed" bets are sized for the number of parents there is, with "anytime" for no number:
    then the bounds hold at every number of parents at once, and a last parent that lacks some
    of its children does not count yet.
    """
    game = _Game.of(brood, interval)
    bar = math.log(2 / error)

    def accepts(fraction: float) -> bool:
        return max(game.wins(fraction, +1), game.wins(fraction, -1)) < bar

    peak = game.evens()
    return edge(accepts, inside=peak, outside=0.0), edge(accepts, inside=peak, outside=1.0)


def p_value(brood: Brood, fraction: float, *, interval: Interval) -> float:
    """Return how far the hits speak against a fraction; below the error just where bounds do."""
    game = _Game.of(brood, interval)
    return min(1.0, 2 * math.exp(-max(game.wins(fraction, +1), game.wins(fraction, -1))))


class _Game(NamedTuple):
    """What is bet on: for each parent its shares of hits and children, and the size of a bet."""

    hits: Float[ndarray, " parent"]  # by the most children that a parent has
    trials: Float[ndarray, " parent"]
    bets: Float[ndarray, " parent"]  # each known before its parent is

    @classmethod
    def of(cls, brood: Brood, interval: Interval) -> "_Game":
        most = max(brood.trials, default=1)
        whole = len(brood.trials)
        if interval == "anytime" and whole and brood.trials[-1] < most:
            whole -= 1
        hits, trials = brood.hits[:whole] / most, brood.trials[:whole] / most
        count = np.arange(1, whole + 1)
        # As if one half of a parent had hit before the first.
        share = (0.5 + np.cumsum(hits)) / (1 + np.cumsum(trials))
        spread = (0.25 + np.cumsum((hits - share * trials) ** 2)) / (1 + count)
        known = np.concatenate([[0.25], spread[:-1]])
        turns = max(whole, 1) if interval == "fixed" else count * np.log(1 + count)
        return cls(hits, trials, np.sqrt(2 * math.log(2 / TUNED) / (known * turns)))

    def evens(self) -> float:
        """Return the fraction against which either side has won as much."""
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            above = self.wins(middle, +1) > self.wins(middle, -1)
            low, high = (middle, high) if above else (low, middle)
        return (low + high) / 2

    def wins(self, fraction: float, side: int) -> float:
        """Return the logarithm of the capital of who bets that the truth is above, or below.

        It falls, or rises, with the fraction that is bet against.
        """
        risk = fraction if side > 0 else 1 - fraction
        bets = np.minimum(self.bets, STAKE / max(risk, 1e-300))
        return float(np.log1p(side * bets * (self.hits - fraction * self.trials)).sum())
