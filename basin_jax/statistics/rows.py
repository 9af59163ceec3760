"""Rows of estimates: hits counted by seeds, or by parents where seeds have some in common."""

from typing import Any, Literal

from jaxtyping import Bool, UInt64
from numpy import ndarray

from basin_jax.statistics.clusters import broods, difference_of_broods, estimate_of_broods
from basin_jax.statistics.estimates import Interval, estimate, paired_difference


# "fixed" where the number of seeds was, "conditional" where it was and which seeds are counted
# hangs on results or on somebody's choice, "anytime" where the number may hang on results.
Basis = Literal["fixed", "conditional", "anytime"]


def narrowed(basis: Basis) -> Basis:
    """Return the basis of an estimate whose denominator hangs on results."""
    return "conditional" if basis == "fixed" else basis


def interval_of(basis: Basis) -> Interval:
    """Return which interval holds: given which seeds are counted, their number is fixed."""
    return "anytime" if basis == "anytime" else "fixed"


def fraction_row(
    hits: Bool[ndarray, " seed"],
    seeds: UInt64[ndarray, " seed"],
    *,
    siblings: int,
    level: float,
    together: int,
    basis: Basis,
) -> dict[str, Any]:
    """Estimate the fraction of seeds that hit; so many estimates are to hold at once."""
    given: Any = {"level": level, "interval": interval_of(basis)}
    counts = int(hits.sum()), len(hits)
    one, every = (
        estimate(*counts, cells=cells, **given)
        if siblings == 1
        else estimate_of_broods(broods(hits, seeds, siblings), cells=cells, **given)
        for cells in (1, together)
    )
    return {
        "hits": one.hits,
        "trials": one.trials,
        "fraction": one.fraction,
        "low": one.low,
        "high": one.high,
        "low_all": every.low,
        "high_all": every.high,
        "level": level,
        "interval": basis,
    }


def difference_row(
    hits: tuple[Bool[ndarray, " seed"], Bool[ndarray, " seed"]],
    seeds: UInt64[ndarray, " seed"],
    *,
    siblings: int,
    level: float,
    together: int,
    basis: Basis,
) -> dict[str, Any]:
    """Estimate how much the first fraction exceeds the second, on the same seeds."""
    first, second = hits
    counts = int((first & ~second).sum()), int((~first & second).sum()), len(seeds)
    gains = (1 + first.astype(int) - second.astype(int)) / 2
    given: Any = {"level": level, "interval": interval_of(basis)}
    one, every = (
        paired_difference(*counts, cells=cells, **given)
        if siblings == 1
        else difference_of_broods(*counts, broods(gains, seeds, siblings), cells=cells, **given)
        for cells in (1, together)
    )
    return {
        "gained": one.gained,
        "lost": one.lost,
        "trials": one.trials,
        "difference": one.difference,
        "low": one.low,
        "high": one.high,
        "low_all": every.low,
        "high_all": every.high,
        "p_value": one.p_value,
        "level": level,
        "interval": basis,
    }
