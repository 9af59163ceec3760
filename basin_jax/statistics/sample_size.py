"""Numbers of seeds: how many prove a fraction small, tell two apart, or make an interval narrow."""

import math
from collections.abc import Callable
from typing import SupportsIndex, cast

import numpy as np
from numpy import ndarray
from scipy.optimize import brentq
from scipy.special import bdtr, bdtrc, gammaln, ndtri
from scipy.stats import binom

from basin_jax.core.arguments import checked
from basin_jax.statistics.intervals import clopper_pearson


# The variances of the numbers of hits (of seeds that differ, in pairs) up to which the power is
# enumerated. Beyond, the approximation is within .5 % of the seeds.
CHEAP, CHEAP_PAIRS = 1_000.0, 1e6
SPREADS = 8  # standard deviations that an enumeration spans on both sides


@checked
def seeds_below(fraction: float, *, level: float = 0.95) -> int:
    """Compute how many seeds without a hit prove a fraction to be at most this.

    Args:
        fraction: the upper limit, above 0 and below 1.
        level: that of the two-sided interval of Clopper and Pearson (1934), as `basin_fraction`
            gives it.

    Returns:
        The fewest seeds for which the interval of no hits ends at or below the fraction.

    Raises:
        ValueError: if an argument is out of its range.

    >>> seeds_below(1e-6)
    3688878
    """
    _expect_inside("fraction", fraction)
    error = _error(level)

    def is_proven(seeds: int) -> bool:
        return clopper_pearson(0, seeds, error=error)[1] <= fraction

    # With no hits the limit is 1 - (error / 2) ** (1 / seeds).
    return _least(is_proven, near=math.log(error / 2) / math.log1p(-fraction))


@checked
def seeds_until_hit(fraction: float, *, probability: float = 0.95) -> int:
    """Compute how many seeds have at least one hit with some probability.

    Args:
        fraction: the true fraction of hits, above 0 and below 1.
        probability: that of at least one hit, above 0 and below 1.

    Returns:
        The fewest such seeds.

    Raises:
        ValueError: if an argument is out of its range.

    >>> seeds_until_hit(1e-6)
    2995731
    """
    _expect_inside("fraction", fraction)
    _expect_inside("probability", probability)
    miss = math.log1p(-fraction)
    return _least(
        lambda seeds: -math.expm1(seeds * miss) >= probability,
        near=math.log1p(-probability) / miss,
    )


@checked
def seeds_to_tell(first: float, second: float, *, level: float = 0.95, power: float = 0.9) -> int:
    """Compute how many seeds of each of two cells tell their fractions apart, with other seeds.

    The test is Fisher's exact one. The power is enumerated; where that takes long it is the normal
    approximation with a correction for continuity (Casagrande et al. 1978).

    Args:
        first: the fraction of one cell, above 0 and below 1.
        second: that of the other.
        level: 1 less the error of the two-sided test.
        power: the probability that the test rejects the hypothesis of equal fractions.

    Returns:
        The number of seeds of each cell. One fewer has too little power. The power has small teeth,
        so that it may be a little lower again with a few seeds more.

    Raises:
        ValueError: if an argument is out of its range, or the fractions are equal.

    >>> seeds_to_tell(0.14, 0.16)
    6792
    """
    _expect_two(first, second)
    _expect_inside("power", power)
    near = _approximate(first, second, _error(level), power)
    if _variance(first, second) * near > CHEAP:
        return math.ceil(near)
    return _least(lambda n: _fisher_power(first, second, n, 1 - level) >= power, near=near)


@checked
def power_to_tell(
    first: float, second: float, seeds: SupportsIndex, *, level: float = 0.95
) -> float:
    """Compute the power of Fisher's exact test of two cells with other seeds.

    Args:
        first: the fraction of one cell, above 0 and below 1.
        second: that of the other.
        seeds: the number of seeds of each cell.
        level: 1 less the error of the two-sided test.

    Returns:
        The probability that the test rejects the hypothesis of equal fractions. It is enumerated:
        the time grows with the number of hits.

    Raises:
        ValueError: if an argument is out of its range, or the fractions are equal.

    >>> round(power_to_tell(0.14, 0.16, 6792), 3)
    0.9
    """
    _expect_two(first, second)
    return _fisher_power(first, second, _expect_count("seeds", seeds), _error(level))


@checked
def paired_seeds_to_tell(
    first: float,
    second: float,
    *,
    discordance: float | None = None,
    level: float = 0.95,
    power: float = 0.9,
) -> int:
    """Compute how many seeds that two cells share tell their fractions apart.

    The test is McNemar's exact one, that of `paired_difference`. Its power is enumerated; where
    that takes long it is the normal approximation (Connor 1987).

    Args:
        first: the fraction of one cell, above 0 and below 1.
        second: that of the other.
        discordance: the fraction of seeds that are hits of one cell alone, or an upper limit of it;
            if None, that of cells whose outcomes are independent. Where a seed that is a hit of one
            cell is more often one of the other, too, fewer seeds differ, and fewer are needed.
        level: 1 less the error of the two-sided test.
        power: the probability that the test rejects the hypothesis of equal fractions.

    Returns:
        The number of seeds. One fewer has too little power; see `seeds_to_tell`.

    Raises:
        ValueError: if an argument is out of its range, or the fractions are equal.

    >>> paired_seeds_to_tell(0.14, 0.16), paired_seeds_to_tell(0.14, 0.16, discordance=0.05)
    (6793, 1355)
    """
    _expect_two(first, second)
    _expect_inside("power", power)
    differ, error = _discordance(first, second, discordance), _error(level)
    gap = second - first
    wide, narrow = math.sqrt(differ), math.sqrt(max(differ - gap**2, 0.0))
    near = ((ndtri(1 - error / 2) * wide + ndtri(power) * narrow) / gap) ** 2
    if differ * near > CHEAP_PAIRS:
        return math.ceil(near)
    return _least(lambda n: _mcnemar_power(gap, differ, n, error) >= power, near=near)


@checked
def paired_power_to_tell(
    first: float,
    second: float,
    seeds: SupportsIndex,
    *,
    discordance: float | None = None,
    level: float = 0.95,
) -> float:
    """Compute the power of McNemar's exact test of two cells that share their seeds.

    Args:
        first: the fraction of one cell, above 0 and below 1.
        second: that of the other.
        seeds: the number of seeds.
        discordance: as in `paired_seeds_to_tell`.
        level: 1 less the error of the two-sided test.

    Returns:
        The probability that the test rejects the hypothesis of equal fractions.

    Raises:
        ValueError: if an argument is out of its range, or the fractions are equal.

    >>> round(paired_power_to_tell(0.14, 0.16, 6793), 3)
    0.9
    """
    _expect_two(first, second)
    differ = _discordance(first, second, discordance)
    return _mcnemar_power(second - first, differ, _expect_count("seeds", seeds), _error(level))


@checked
def paired_difference_to_tell(
    seeds: SupportsIndex, *, discordance: float, level: float = 0.95, power: float = 0.9
) -> float:
    """Compute the least difference of two cells that share their seeds which is told from none.

    Args:
        seeds: the number of seeds.
        discordance: the fraction of seeds that are hits of one cell alone, or an upper limit of it,
            0 to 1. Where the difference is larger, as many seeds differ as it takes.
        level: as in `paired_seeds_to_tell`.
        power: as in `paired_seeds_to_tell`.

    Returns:
        The difference. All larger ones have more power, and all smaller ones less. It is infinite
        if not even a difference of 1 is told with so few seeds.

    Raises:
        ValueError: if an argument is out of its range.

    >>> round(paired_difference_to_tell(6793, discordance=0.2552), 3)
    0.02
    """
    _expect_inside("power", power)
    if not 0 <= discordance <= 1:
        raise ValueError(f"discordance = {discordance}; allowed: 0 to 1")
    count, error = _expect_count("seeds", seeds), _error(level)
    if power <= error:
        raise ValueError(f"power = {power}; allowed: above 1 - level = {error:.4g}")

    def excess(gap: float) -> float:
        return _mcnemar_power(gap, max(discordance, gap), count, error) - power

    few = 1 / count
    least = (ndtri(1 - error / 2) + ndtri(power)) * math.sqrt(max(discordance, few) * few)
    low, high = few * error, min(max(least, few), 1.0)
    while excess(high) < 0:
        if high == 1.0:
            return math.inf
        low, high = high, min(2 * high, 1.0)
    return cast(float, brentq(excess, low, high, xtol=1e-6 * few))


@checked
def seeds_for_width(width: float, *, fraction: float = 0.5, level: float = 0.95) -> int:
    """Compute how many seeds give a fraction an interval that is no wider than this.

    Args:
        width: that of the interval of Clopper and Pearson (1934), above 0 and below 1.
        fraction: the fraction of hits that is expected, 0 to 1. One half is the worst case: then no
            interval is wider, whatever the hits.
        level: that of the interval.

    Returns:
        The fewest such seeds.

    Raises:
        ValueError: if an argument is out of its range.

    >>> seeds_for_width(0.01), seeds_for_width(0.01, fraction=0.02)
    (38612, 3221)
    """
    _expect_inside("width", width)
    if not 0 <= fraction <= 1:
        raise ValueError(f"fraction = {fraction}; allowed: 0 to 1")
    error = _error(level)

    def is_narrow(seeds: int) -> bool:
        low, high = clopper_pearson(fraction * seeds, seeds, error=error)
        return high - low <= width

    near = fraction * (1 - fraction) * (2 * ndtri(1 - error / 2) / width) ** 2
    return _least(is_narrow, near=max(near, 1 / width))


def _expect_inside(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name} = {value}; allowed: above 0 and below 1")


def _expect_two(first: float, second: float) -> None:
    _expect_inside("first", first)
    _expect_inside("second", second)
    if first == second:
        raise ValueError(f"second = {second}; allowed: another fraction than first")


def _expect_count(name: str, value: SupportsIndex) -> int:
    count = value.__index__()
    if count < 1:
        raise ValueError(f"{name} = {count}; allowed: at least 1")
    return count


def _error(level: float) -> float:
    _expect_inside("level", level)
    return 1 - level


def _least(is_enough: Callable[[int], bool], *, near: float) -> int:
    """Find a number that is enough while the one before is not, from one that is near it."""
    low = high = max(math.ceil(near), 1)
    reach = max(high // 64, 1)
    while not is_enough(high):
        low, high, reach = high, high + reach, 2 * reach
    if low == high:
        while low > 0 and is_enough(low):
            low, high, reach = max(low - reach, 0), low, 2 * reach
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def _variance(first: float, second: float) -> float:
    return max(first * (1 - first), second * (1 - second))


def _approximate(first: float, second: float, error: float, power: float) -> float:
    """Approximate the seeds of each cell, with a correction for continuity."""
    mean, gap = (first + second) / 2, abs(second - first)
    equal = math.sqrt(2 * mean * (1 - mean))
    apart = math.sqrt(first * (1 - first) + second * (1 - second))
    plain = ((ndtri(1 - error / 2) * equal + ndtri(power) * apart) / gap) ** 2
    return plain / 4 * (1 + math.sqrt(1 + 4 / (plain * gap))) ** 2


def _spanned(trials: int, fraction: float) -> ndarray:
    """Return the numbers of hits that are likely enough to count."""
    mean, reach = trials * fraction, SPREADS * math.sqrt(trials * fraction * (1 - fraction)) + 20
    return np.arange(max(math.floor(mean - reach), 0), min(math.ceil(mean + reach), trials) + 1)


def _fisher_power(first: float, second: float, seeds: int, error: float) -> float:
    """Sum the probabilities of the pairs of numbers of hits that Fisher's test rejects."""
    one, other = _spanned(seeds, first), _spanned(seeds, second)
    ways = binom.pmf(one, seeds, first)[:, None] * binom.pmf(other, seeds, second)
    totals = one[:, None] + other
    most = _most_rejected(np.arange(totals[0, 0], totals[-1, -1] + 1), seeds, error)
    rejected = np.minimum(one[:, None], other) <= most[totals - totals[0, 0]]
    return float(ways[rejected].sum())


def _most_rejected(totals: ndarray, seeds: int, error: float) -> ndarray:
    """Return the most hits of the cell with fewer that are rejected, by the hits of both cells.

    Given the hits of both, those of one are hypergeometric, and symmetric between the cells.
    """
    spread = np.sqrt(totals * (2 * seeds - totals) / (8 * seeds)).max()
    below = np.arange(math.ceil(SPREADS * spread + 20), -1, -1)
    hits = (totals // 2)[:, None] - below
    inside = (hits >= np.maximum(totals - seeds, 0)[:, None]) & (hits >= 0)
    fewer = np.where(inside, hits, 0)
    rest = np.where(inside, totals[:, None] - hits, 0)
    ways = _log_choose(seeds, fewer) + _log_choose(seeds, rest)
    ways -= _log_choose(2 * seeds, totals)[:, None]
    tails = np.cumsum(np.where(inside, np.exp(ways), 0.0), axis=1)
    return hits[:, 0] + np.sum(2 * tails <= error, axis=1) - 1


def _log_choose(many: int, few: ndarray) -> ndarray:
    return gammaln(many + 1) - gammaln(few + 1) - gammaln(many - few + 1)


def _discordance(first: float, second: float, given: float | None) -> float:
    """Return the fraction of seeds that differ, that of independent cells if None is given."""
    if given is None:
        return first * (1 - second) + second * (1 - first)
    least, most = abs(second - first), min(first + second, 2 - first - second)
    if not least * (1 - 1e-9) <= given <= most * (1 + 1e-9):
        raise ValueError(
            f"discordance = {given}; allowed: {least:.4g} to {most:.4g}, of fractions {first:g} "
            f"and {second:g}"
        )
    return given


def _mcnemar_power(gap: float, differ: float, seeds: int, error: float) -> float:
    """Sum over the numbers of seeds that differ the probability that McNemar's test rejects."""
    pairs = _spanned(seeds, differ)
    gained = min((1 + abs(gap) / differ) / 2, 1.0)
    most = binom.ppf(error / 2, pairs, 0.5)
    most = np.where(2 * bdtr(most, pairs, 0.5) <= error, most, most - 1)
    few = np.maximum(most, 0)
    rejects = bdtr(few, pairs, gained) + bdtrc(pairs - few - 1, pairs, gained)
    return float(binom.pmf(pairs, seeds, differ) @ np.where(most >= 0, rejects, 0.0))
