"""Power: the difference that would have been seen where a row shows none."""

import functools
import math
from collections.abc import Iterable
from typing import cast

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri
from scipy.stats import binom

from basin_jax.statistics.intervals import bonferroni_error, clopper_pearson
from basin_jax.statistics.sample_size import paired_difference_to_tell
from basin_jax.studies.framework.rows import HALF, Row, level_of, number_text


POWER = 0.8
# Seeds up to which the hits of two groups of seeds are enumerated.
CHEAP = 10_000


def apart(first: Row, second: Row) -> int:
    """Return 1 or -1 where the second of two rows of other seeds lies above or below, else 0."""
    return int(second.low > first.high) - int(second.high < first.low)


def seen_from(one: Row, null: float = 0.0) -> float:
    """Compute the least distance from `null` that a row's interval would have left it out at.

    It would have with a probability of `POWER`. That of a difference on the same seeds is exact,
    where as many seeds differ as the upper limit of their fraction says. Else the row's estimate
    is taken to be normal, with its interval as wide elsewhere.

    Returns:
        The distance; infinite where none is possible that would have been seen.
    """
    error = _error(one)
    if one.gained is None or one.lost is None:
        wide = max(one.high - one.value, one.value - one.low)
        found = wide * (1 + ndtri(POWER) / ndtri(1 - error / 2))
        return found if found <= 1 - abs(null) else math.inf
    return _paired(one.gained + one.lost, one.seeds, error)


def seen_beside(first: Row, second: Row) -> float:
    """Compute the least difference from a fraction at which that of other seeds lies `apart`.

    It does with a probability of `POWER`, where the first fraction is as measured, and the second
    is above it or below. It is exact for up to `CHEAP` seeds.

    Returns:
        The difference; infinite where none is possible that would have been seen.
    """
    counts, errors = (first.seeds, second.seeds), (_error(first), _error(second))
    if max(counts) > CHEAP:
        wide = [max(one.high - one.value, one.value - one.low) for one in (first, second)]
        spread = math.hypot(*(w / ndtri(1 - e / 2) for w, e in zip(wide, errors, strict=True)))
        found = sum(wide) + float(ndtri(POWER)) * spread
        return found if found <= max(first.value, 1 - first.value) else math.inf
    return min(_unpaired(p, counts, errors) for p in (first.value, 1 - first.value))


def unseen(rows: Iterable[Row], null: float = 0.0) -> str:
    """Format the end of a sentence: what would have been seen in rows that leave `null` in.

    It is "" if they all leave it out.
    """
    rows = [one for one in rows if not one.undefined]
    left = [one for one in rows if one.low <= null <= one.high]
    if not left:
        return ""
    least = max(seen_from(one, null) for one in left)
    where = "where none is shown, " if len(rows) > 1 else ""
    from_null = {0: "difference", HALF: "distance from one half"}
    what = from_null.get(null, f"distance from {number_text(null)}")
    about = "" if all(one.gained is not None for one in left) else "about "
    return f"; {where}{_told(what, least, about)}"


def unseen_beside(first: Row, second: Row) -> str:
    """Format the end of a sentence: what would have been seen in two rows of other seeds.

    It is "" if they are apart.
    """
    if apart(first, second):
        return ""
    about = "about " if max(first.seeds, second.seeds) > CHEAP else ""
    return f"; {_told('difference', seen_beside(first, second), about)}"


def _told(what: str, least: float, about: str) -> str:
    told = f"no {what}" if math.isinf(least) else f"a {what} of {about}{number_text(least)}"
    return f"{told} would have been seen with probability {POWER:g}"


def _error(one: Row) -> float:
    return bonferroni_error(level_of(one.kind), one.num_intervals, "fixed")


@functools.cache
def _paired(differ: int, seeds: int, error: float) -> float:
    if not seeds:
        return math.inf
    most = clopper_pearson(differ, seeds, error=error)[1]
    return paired_difference_to_tell(seeds, discordance=most, level=1 - error, power=POWER)


@functools.cache
def _unpaired(fraction: float, counts: tuple[int, int], errors: tuple[float, float]) -> float:
    """Find the least difference above a fraction; infinite if there is none."""
    hits = np.arange(counts[0] + 1)
    ends = np.array([clopper_pearson(x, counts[0], error=errors[0])[1] for x in hits.tolist()])
    most = binom.isf(errors[1] / 2, counts[1], ends)  # hits whose interval begins at or below
    ways = binom.pmf(hits, counts[0], fraction)

    def excess(other: float) -> float:
        return float(ways @ binom.sf(most, counts[1], other)) - POWER

    if excess(1.0) < 0:
        return math.inf
    return cast(float, brentq(excess, fraction, 1.0)) - fraction
