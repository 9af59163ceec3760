"""Confidence intervals of fractions, and confidence sequences, from counts."""

import functools
import math
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from scipy.special import betainc, betaincc, betainccinv, betaincinv, betaln, xlog1py, xlogy


Interval = Literal["fixed", "anytime"]


def bonferroni_error(level: float, num_intervals: int, interval: Interval) -> float:
    """Compute the error of each of several simultaneous intervals (Bonferroni)."""
    if not 0 < level < 1:
        raise ValueError(f"level = {level}; allowed: above 0 and below 1")
    if num_intervals < 1:
        raise ValueError(f"num_intervals = {num_intervals}; allowed: at least 1")
    if interval not in get_args(Interval):
        raise ValueError(f"interval = {interval!r}; allowed: 'fixed' or 'anytime'")
    return (1 - level) / num_intervals


def clopper_pearson(hits: int | float, trials: int, *, error: float) -> tuple[float, float]:
    """Compute the exact interval of Clopper and Pearson (1934), with error/2 on each side.

    Hits may be a sum of variables from 0 to 1, which vary no more than as many trials.
    """
    low = betaincinv(hits, trials - hits + 1, error / 2) if hits else 0.0
    high = betainccinv(hits + 1, trials - hits, error / 2) if hits < trials else 1.0
    return float(low), float(high)


def confidence_sequence(hits: int | float, trials: int, *, error: float) -> tuple[float, float]:
    """Compute the confidence sequence of a fraction: valid at every number of trials at once.

    It consists of the fractions p that Ville's inequality does not reject, with the likelihood
    averaged over a uniform prior: the beta-binomial mixture of Robbins (1970). Stopping may
    depend on the results. Hits may be a sum of variables from 0 to 1: the likelihood ratio is
    convex in each, so that its mean is at most that of a trial.
    """
    if trials == 0:
        return 0.0, 1.0
    misses = trials - hits
    bar = betaln(hits + 1, misses + 1) + math.log(error)

    def accepts(p: float) -> bool:
        return bool(xlogy(hits, p) + xlog1py(misses, -p) > bar)

    peak = hits / trials
    low = 0.0 if hits == 0 else boundary(accepts, inside=peak, outside=0.0)
    high = 1.0 if misses == 0 else boundary(accepts, inside=peak, outside=1.0)
    return low, high


def boundary(accepts: Callable[[float], bool], *, inside: float, outside: float) -> float:
    """Bisect for the boundary of an interval, from a point inside and one outside."""
    for _ in range(200):
        middle = (inside + outside) / 2
        if middle in (inside, outside):
            break
        if accepts(middle):
            inside = middle
        else:
            outside = middle
    return outside


def paired_confidence_sequence(
    gained: int, lost: int, trials: int, *, error: float
) -> tuple[float, float]:
    """Compute the confidence sequence of a paired difference.

    Half of the error is spent on the fraction of seeds that differ, half on that of gains.
    """
    differ = confidence_sequence(gained + lost, trials, error=error / 2)
    least, most = confidence_sequence(gained, gained + lost, error=error / 2)
    low = min(share * (2 * least - 1) for share in differ)
    high = max(share * (2 * most - 1) for share in differ)
    return low, high


@functools.cache  # cells of few seeds have the same counts again and again
def melded_interval(gained: int, lost: int, trials: int, *, error: float) -> tuple[float, float]:
    """Compute the melded confidence interval of Fay and Lumbard (2021) of a paired difference.

    It agrees with McNemar's exact test. Its coverage is their conjecture, which they checked by
    enumeration up to 100 trials.
    """
    tail = error / 2
    return _melded_low(gained, lost, trials, tail), -_melded_low(lost, gained, trials, tail)


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)


def _melded_low(gained: int, lost: int, trials: int, tail: float) -> float:
    """Compute the tail's quantile of differ·(2·gain - 1), of two independent beta variables.

    `differ` is the fraction of seeds that differ, `gain` that of gains among them. Their own
    quantiles are the lower limits of Clopper and Pearson; for a negative difference those of
    `differ` are the upper limits, which make it lower.
    """
    both = gained + lost
    if gained == 0:
        return -clopper_pearson(both, trials, error=2 * tail)[1]
    gain = gained, lost + 1
    rises = betainc(*gain, 0.5) < tail
    differ = (both, trials - both + 1) if rises else (both + 1, trials - both)
    if differ[1] == 0:
        return float(2 * betaincinv(*gain, tail) - 1)
    tiny = tail * 1e-12
    ends = [(betaincinv(*beta, tiny), betainccinv(*beta, tiny)) for beta in (differ, gain)]

    def accepts(difference: float) -> bool:
        return _product_cdf(difference, differ, gain, ends) > tail

    inside = (gained - lost) / trials
    if rises:
        return boundary(accepts, inside=inside, outside=0.0)
    return boundary(accepts, inside=min(inside, 0.0), outside=-1.0)


def _product_cdf(difference: float, differ, gain, ends) -> float:
    """Compute P(differ·(2·gain - 1) <= difference), with both variables truncated at `ends`."""
    sign = math.copysign(1, difference)
    # The quadrature spans what neither factor decides alone, however narrow the other is.
    slopes = np.maximum(sign * (2 * np.array(ends[1]) - 1), abs(difference))
    low, high = sorted(np.clip(abs(difference) / slopes, *ends[0]))
    x = low + (high - low) * (_NODES + 1) / 2
    density = np.exp(xlogy(differ[0] - 1, x) + xlog1py(differ[1] - 1, -x) - betaln(*differ))
    below = betainc(*gain, np.clip((1 + difference / x) / 2, 0, 1))
    sure = betainc(*differ, low) if sign > 0 else betaincc(*differ, high)
    return float(sure + (high - low) / 2 * np.sum(_WEIGHTS * density * below))
