"""Rows of a table of estimates, whether seeds are independent or in families."""

from collections.abc import Iterable
from functools import partial
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, UInt64
from numpy import ndarray

from basin_jax.statistics.estimates import Difference, Estimate, estimate, paired_difference
from basin_jax.statistics.families import Families, family_difference, family_fraction
from basin_jax.statistics.intervals import Interval


# The columns of estimates, the last of which are those that one looks for.
ESTIMATES = ("low_all", "high_all", "hits", "gained", "lost", "trials", "fraction", "difference")
ESTIMATES += ("low", "high", "p_value")


# "fixed" if the number of seeds was fixed beforehand, "conditional" if it was, but which seeds are
# counted depends on results or on somebody's choice, "anytime" if the number may depend on results.
Basis = Literal["fixed", "conditional", "anytime"]


def narrowed(basis: Basis) -> Basis:
    """Return the basis of an estimate whose denominator depends on results."""
    return "conditional" if basis == "fixed" else basis


def interval_of(basis: Basis) -> Interval:
    """Convert a basis to an interval: given which seeds are counted, their number is fixed."""
    return "anytime" if basis == "anytime" else "fixed"


def fraction_row(
    parts: Iterable[tuple[Bool[ndarray, " seed"], UInt64[ndarray, " seed"]]],
    *,
    siblings: int,
    level: float,
    num_intervals: int,
    basis: Basis,
) -> dict[str, Any]:
    """Return the row of a fraction of seeds, one of several simultaneous intervals.

    `parts` are hits and seeds, in rising order, of some seeds after others.
    """
    given: Any = {"level": level, "interval": interval_of(basis)}
    if siblings == 1:
        sums = [(int(hits.sum()), len(hits)) for hits, _ in parts]
        counts = sum(hits for hits, _ in sums), sum(trials for _, trials in sums)
        estimated = partial(estimate, *counts, **given)
    else:
        estimated = partial(family_fraction, Families.of(parts, siblings), **given)
    return _row(*(estimated(num_intervals=n) for n in (1, num_intervals)), basis=basis)


def difference_row(
    parts: Iterable[
        tuple[Bool[ndarray, " seed"], Bool[ndarray, " seed"], UInt64[ndarray, " seed"]]
    ],
    *,
    siblings: int,
    level: float,
    num_intervals: int,
    basis: Basis,
) -> dict[str, Any]:
    """Return the row of the first fraction less the second, of the same seeds.

    `parts` are hits of the first, hits of the second, and seeds, in rising order.
    """
    counts, gains = np.zeros(3, int), []
    for first, second, seeds in parts:
        gained, lost = first & ~second, ~first & second
        counts += [int(gained.sum()), int(lost.sum()), len(seeds)]
        if siblings > 1:
            gains.append(((1 + gained.astype(int) - lost.astype(int)) / 2, seeds))
    given: Any = {"level": level, "interval": interval_of(basis)}
    numbers = counts.tolist()
    if siblings == 1:
        estimated = partial(paired_difference, *numbers, **given)
    else:
        estimated = partial(family_difference, *numbers, Families.of(gains, siblings), **given)
    return _row(*(estimated(num_intervals=n) for n in (1, num_intervals)), basis=basis)


def _row(
    alone: Estimate | Difference, simultaneous: Estimate | Difference, *, basis: Basis
) -> dict[str, Any]:
    ends = {"low_all": simultaneous.low, "high_all": simultaneous.high}
    p_value = {"p_value": alone.p_value} if isinstance(alone, Difference) else {}
    return {**alone.row(), **ends, **p_value, "level": alone.level, "interval": basis}
