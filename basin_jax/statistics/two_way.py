"""The two-way variance of a label: between rows, between columns, and by both together.

In a crossed design each label has a row and a column, such as an initialization and an order of
the data, and labels that share either are related. Of many small blocks, each with rows and
columns of its own, intervals are exact: blocks are independent, whatever is related within.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped
from numpy import ndarray

from basin_jax.statistics.families import MOST_AT_RISK, TUNED
from basin_jax.statistics.intervals import bonferroni_error, boundary


class Part(NamedTuple):
    """A part of the variance, as a share of all of it, with its interval."""

    share: float
    low: float
    high: float


class TwoWay(NamedTuple):
    """The parts of the variance of a label, whose shares sum to 1 but for those cut at 0."""

    rows: Part
    columns: Part
    interaction: Part


class Agreement(NamedTuple):
    """How often two labels of a block are equal, by what they share; as means over its pairs."""

    row: Float[ndarray, " block"]
    column: Float[ndarray, " block"]
    neither: Float[ndarray, " block"]


def agreement(labels: Shaped[ndarray, "block row column"]) -> Agreement:
    """Count the equal pairs of labels in each block.

    Raises:
        ValueError: where blocks have fewer than two rows or columns.
    """
    blocks, rows, columns = labels.shape
    if min(rows, columns) < 2 or not blocks:
        raise ValueError(f"labels.shape = {labels.shape}; allowed: blocks of 2 by 2 or more")
    row, column, every = (np.zeros(blocks) for _ in range(3))
    for label in np.unique(labels):
        hits = labels == label
        row += _pairs(hits.sum(2)).sum(1)
        column += _pairs(hits.sum(1)).sum(1)
        every += _pairs(hits.sum((1, 2)))
    cells = rows * columns
    return Agreement(
        row / (cells * (columns - 1)),
        column / (cells * (rows - 1)),
        (every - row - column) / (cells * (rows - 1) * (columns - 1)),
    )


def two_way(
    labels: Shaped[ndarray, "block row column"], *, level: float = 0.95, num_intervals: int = 1
) -> TwoWay:
    """Estimate the parts of a label's variance: of rows, of columns and of their interaction.

    Two labels that share nothing differ with twice the variance of a label, the sum of those of
    its indicators. The part of rows is by how much more often labels are equal that share the row;
    that of columns alike; and the interaction is the rest. Each is a ratio of two means over
    blocks, and its interval is by betting (Waudby-Smith & Ramdas 2024) on the numerator less the
    share times the denominator, whose mean is 0 at the true share. No normality is assumed.

    Args:
        labels: the label of each row and column of independent blocks.
        level: the probability that the interval covers the true share.
        num_intervals: the number of intervals that hold simultaneously (Bonferroni).

    Raises:
        ValueError: where blocks have fewer than two rows or columns.
    """
    error = bonferroni_error(level, num_intervals, "fixed")
    same = agreement(labels)
    whole = 1 - same.neither
    rows, columns = same.row - same.neither, same.column - same.neither

    # The bounds of part - share·whole: of rows the upper one is reached where no row is mixed.
    def main(share: float) -> tuple[float, float]:
        return -1.0, 1 - share

    def rest(share: float) -> tuple[float, float]:
        return -1 - share, 2.0

    return TwoWay(
        _share(rows, whole, main, error),
        _share(columns, whole, main, error),
        _share(whole - rows - columns, whole, rest, error),
    )


def _pairs(counts: ndarray) -> ndarray:
    return counts * (counts - 1)


def _share(
    part: Float[ndarray, " block"],
    whole: Float[ndarray, " block"],
    bounds: Callable[[float], tuple[float, float]],
    error: float,
) -> Part:
    """Estimate the ratio of the means of a part and of the whole, from 0 to 1, by betting."""
    bets, most = _bets(part, whole), math.log(2 / error)

    def log_wealth(share: float, side: int) -> float:
        """Compute the log-wealth of bets that the true share is above (+1), or below (-1)."""
        low, high = bounds(share)
        risk = -low if side > 0 else high
        sizes = np.minimum(bets, MOST_AT_RISK / max(risk, 1e-300))
        return float(np.log1p(side * sizes * (part - share * whole)).sum())

    def accepts(share: float) -> bool:
        return max(log_wealth(share, +1), log_wealth(share, -1)) < most

    total = float(whole.sum())
    value = min(max(float(part.sum()) / total, 0.0), 1.0) if total else math.nan
    center = boundary(lambda s: log_wealth(s, +1) > log_wealth(s, -1), inside=0.0, outside=1.0)
    low = boundary(accepts, inside=center, outside=0.0)
    return Part(value, low, boundary(accepts, inside=center, outside=1.0))


def _bets(part: Float[ndarray, " block"], whole: Float[ndarray, " block"]) -> ndarray:
    """Size the bet on each block by the blocks before it, as those on families are."""
    count = np.arange(1, len(part) + 1)
    # As if half a block had been all of the part before the first.
    share = (0.5 + np.cumsum(part)) / (1 + np.cumsum(whole))
    variance = (0.25 + np.cumsum((part - share * whole) ** 2)) / (1 + count)
    known = np.concatenate([[0.25], variance[:-1]])
    return np.sqrt(2 * math.log(2 / TUNED) / (known * len(part)))
