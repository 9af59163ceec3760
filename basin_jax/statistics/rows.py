"""Rows of a table of estimates, whether seeds are independent or in families."""

from typing import Any, Literal

from jaxtyping import Bool, UInt64
from numpy import ndarray

from basin_jax.statistics.estimates import Difference, Estimate, estimate, paired_difference
from basin_jax.statistics.families import Families, family_difference, family_fraction
from basin_jax.statistics.intervals import Interval


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
    hits: Bool[ndarray, " seed"],
    seeds: UInt64[ndarray, " seed"],
    *,
    siblings: int,
    level: float,
    num_intervals: int,
    basis: Basis,
) -> dict[str, Any]:
    """Return the row of a fraction of seeds, one of several simultaneous intervals."""
    counts = int(hits.sum()), len(hits)
    given: Any = {"level": level, "interval": interval_of(basis)}
    both = (
        estimate(*counts, num_intervals=count, **given)
        if siblings == 1
        else family_fraction(Families.of(hits, seeds, siblings), num_intervals=count, **given)
        for count in (1, num_intervals)
    )
    return _row(*both, basis=basis)


def difference_row(
    hits: tuple[Bool[ndarray, " seed"], Bool[ndarray, " seed"]],
    seeds: UInt64[ndarray, " seed"],
    *,
    siblings: int,
    level: float,
    num_intervals: int,
    basis: Basis,
) -> dict[str, Any]:
    """Return the row of the first fraction less the second, of the same seeds."""
    first, second = hits
    counts = int((first & ~second).sum()), int((~first & second).sum()), len(seeds)
    gains = (1 + first.astype(int) - second.astype(int)) / 2
    given: Any = {"level": level, "interval": interval_of(basis)}
    both = (
        paired_difference(*counts, num_intervals=count, **given)
        if siblings == 1
        else family_difference(
            *counts, Families.of(gains, seeds, siblings), num_intervals=count, **given
        )
        for count in (1, num_intervals)
    )
    return _row(*both, basis=basis)


def _row(
    alone: Estimate | Difference, simultaneous: Estimate | Difference, *, basis: Basis
) -> dict[str, Any]:
    ends = {"low_all": simultaneous.low, "high_all": simultaneous.high}
    p_value = {"p_value": alone.p_value} if isinstance(alone, Difference) else {}
    return {**alone.row(), **ends, **p_value, "level": alone.level, "interval": basis}
