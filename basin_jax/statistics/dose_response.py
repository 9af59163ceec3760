"""Thresholds: the dose at which a fraction of seeds crosses a value.

The fractions become a curve that only rises or only falls, whichever is closer (isotonic
regression, Barlow et al. 1972, "Statistical inference under order restrictions"), and that is
linear between doses: the threshold is where it crosses.

Its interval has all doses x at which the interval of the fraction between doses contains the value
(a test at each x, inverted, as by Fieller 1954), and what lies between them. Only the test at the
threshold itself can err, so that the level holds whatever the number of doses, and where the true
curve is not monotone, too. Between doses p and q the fraction is the mean over seeds of
(1 - w)·(hit at p) + w·(hit at q). Cells run the same seeds, so the two hits depend on each other;
but no variable from 0 to 1 varies more than a Bernoulli trial of the same mean, so that its
interval is that of Clopper and Pearson for as many hits: at a dose that of the dose's own fraction.
Seeds in families have the betting interval of the mean, and runs of no fixed number of seeds the
confidence sequence, which both hold for any variable from 0 to 1. The doses of the grid around the
interval hold the crossing of any monotone curve, linear between doses or not.

A bootstrap over seeds is too narrow where seeds are few: if none is a hit at one dose and all are
at the next, all of its samples have the same threshold.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt64
from numpy import ndarray
from scipy.optimize import brentq, isotonic_regression

from basin_jax.core.verdict import Verdict
from basin_jax.statistics.estimates import Estimate, estimate
from basin_jax.statistics.families import BettingProcess, Families, family_fraction
from basin_jax.statistics.intervals import (
    Interval,
    bonferroni_error,
    clopper_pearson,
    confidence_sequence,
)
from basin_jax.statistics.logistic import Logistic, logistic_fit
from basin_jax.statistics.rows import Basis, interval_of


Direction = Literal["rising", "falling"]
Scale = Literal["linear", "log"]
# Positive doses that span more than this are interpolated by their logarithms.
WIDE = 100


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """The dose at which a fraction of seeds crosses a value, with its interval.

    A `value` of ±inf says that the curve does not cross within the grid, and on which side of it
    the threshold would be; an end of ±inf, that the seeds do not tell where the interval ends
    within the grid. Nothing is extrapolated. It prints as one line.

    Attributes:
        value, low, high: the threshold by isotonic regression, and its interval, for a curve that
            is linear between doses.
        between: the doses between which any curve crosses that only rises, or only falls.
        level, interval, sample: the level, the kind of interval, and the kind of seeds, as in
            `Records.fractions`.
        method: "isotonic".
        field, of, at: the field, the verdict, and the fraction that is crossed.
        doses: the field's values, which rise.
        fractions, lows, highs: the fraction at each dose, with its own interval.
        trials: the number of seeds, the same at each dose.
        isotonic: the isotonic regression at each dose.
        direction, scale: whether it rises or falls, and along which axis it is interpolated.
        logistic: the logistic curve, with a threshold of its own; None if no finite one fits best.
    """

    value: float
    low: float
    high: float
    between: tuple[float, float]
    level: float
    interval: Basis
    sample: Literal["range", "chosen"]
    method: Literal["isotonic"] = "isotonic"
    field: str
    of: Verdict
    at: float
    doses: tuple[float, ...]
    fractions: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]
    trials: int
    isotonic: tuple[float, ...]
    direction: Direction
    scale: Scale
    logistic: Logistic | None

    def __repr__(self) -> str:
        ends = f"[{self.low:.4g}, {self.high:.4g}]"
        what = f"{self.of.name} crosses {self.at:g}, {self.direction}"
        first, last = self.doses[0], self.doses[-1]
        where = f"at {self.field} = {self.value:.4g} {ends}"
        if math.isinf(self.value):
            side = f"above {last:g}" if self.value > 0 else f"below {first:g}"
            where = f"at no {self.field} from {first:g} to {last:g}: {side} {ends}"
        fit = "no logistic fit" if self.logistic is None else f"logistic: {self.logistic}"
        return f"<{what}, {where} (n = {self.trials:,}, {100 * self.level:g} %; {fit})>"


def threshold(
    hits: Bool[ndarray, "seed dose"],
    seeds: UInt64[ndarray, " seed"],
    doses: Sequence[float],
    *,
    field: str,
    of: Verdict,
    at: float = 0.5,
    level: float = 0.95,
    siblings: int = 1,
    basis: Basis = "fixed",
    sample: Literal["range", "chosen"] = "range",
) -> Threshold:
    """Estimate the dose at which the fraction of hits crosses `at`.

    Args:
        hits: whether each seed is a hit at each dose.
        seeds, doses: the seeds and the doses, which rise.
        field, of: what the doses are values of, and the verdict of a hit.
        at, level: the fraction that is crossed, and the least probability of covering the dose.
        siblings: the largest number of seeds that share a parent.
        basis, sample: the kind of interval, and of seeds.

    Raises:
        ValueError: if a setting is out of its range, or there are no seeds, or less than two doses.

    >>> hits = np.arange(100)[:, None] < np.array([8, 30, 70, 92])
    >>> seeds, doses = np.arange(100, dtype=np.uint64), [0.0, 1.0, 2.0, 3.0]
    >>> threshold(hits, seeds, doses, field="dose", of=Verdict.DECEPTIVE)
    <DECEPTIVE crosses 0.5, rising, at dose = 1.5 [1.243, 1.757] (n = 100, 95 %; logistic: 1.5 ...)>
    """
    _check(doses, field, at=at, trials=len(seeds))
    axis, cells, kind = _Axis.of(doses), _Cells.of(hits, seeds, siblings), interval_of(basis)
    rows = cells.estimates(level, kind)
    direction, fitted = _isotonic(np.array([row.fraction for row in rows]))
    upward = fitted, at, cells
    rising, goal, up = upward if direction == "rising" else (1 - fitted, 1 - at, cells.misses())
    value, (low, high) = _crossing(rising, goal), up.reach(goal, level, kind)
    curve = logistic_fit(hits, seeds, axis.along, at=at, level=level, siblings=siblings)
    return Threshold(
        value=axis.dose(value),
        low=axis.dose(min(low, value)),
        high=axis.dose(max(high, value)),
        between=(axis.dose(np.floor(low)), axis.dose(np.ceil(high))),
        level=level,
        interval=basis,
        sample=sample,
        field=field,
        of=of,
        at=at,
        doses=tuple(map(float, doses)),
        fractions=tuple(row.fraction for row in rows),
        lows=tuple(row.low for row in rows),
        highs=tuple(row.high for row in rows),
        trials=len(seeds),
        isotonic=tuple(fitted.tolist()),
        direction=direction,
        scale=axis.scale,
        logistic=curve and axis.within(curve, kind),
    )


def _check(doses: Sequence[float], field: str, *, at: float, trials: int) -> None:
    if not 0 < at < 1:
        raise ValueError(f"at = {at:g}; allowed: above 0 and below 1")
    if len(doses) < 2 or any(low >= high for low, high in itertools.pairwise(doses)):
        raise ValueError(f"{field} = {tuple(doses)}; allowed: two or more values that rise")
    if not trials:
        raise ValueError(f"{field}: no seed is in all cells; allowed: at least one")


class _Axis(NamedTuple):
    """The axis along which a curve is interpolated; positions on it count doses from 0 on."""

    doses: Sequence[float]
    scale: Scale
    along: Float[ndarray, " dose"]

    @classmethod
    def of(cls, doses: Sequence[float]) -> "_Axis":
        wide = doses[0] > 0 and doses[-1] / doses[0] > WIDE
        along = np.array(doses, float)
        return cls(doses, "log", np.log(along)) if wide else cls(doses, "linear", along)

    def dose(self, position: float) -> float:
        if math.isinf(position):
            return position
        if position == int(position):
            return float(self.doses[int(position)])
        place = float(np.interp(position, range(len(self.doses)), self.along))
        return math.exp(place) if self.scale == "log" else place

    def within(self, curve: Logistic, interval: Interval) -> Logistic:
        """Convert a curve's threshold to doses, and open what is beyond them."""
        first, last = float(self.along[0]), float(self.along[-1])

        def dose(x: float) -> float:
            return math.exp(x) if self.scale == "log" else x

        def clipped(x: float) -> float:
            return -math.inf if x < first else math.inf if x > last else dose(x)

        low, high = clipped(curve.low), clipped(curve.high)
        low = float(self.doses[-1]) if low == math.inf else low
        high = float(self.doses[0]) if high == -math.inf else high
        if interval == "anytime":
            low = high = math.nan
        return replace(curve, value=clipped(curve.value), low=low, high=high)


def _isotonic(
    fractions: Float[ndarray, " dose"],
) -> tuple[Direction, Float[ndarray, " dose"]]:
    """Fit the curve that only rises, or that only falls if it is closer."""
    rising, falling = (
        isotonic_regression(fractions, increasing=increasing).x for increasing in (True, False)
    )
    errors = [float(((fitted - fractions) ** 2).sum()) for fitted in (rising, falling)]
    return ("falling", falling) if errors[1] < errors[0] else ("rising", rising)


def _crossing(fitted: Float[ndarray, " dose"], at: float) -> float:
    """Find the position at which a rising curve crosses `at`, the middle if it stays there."""
    if fitted[0] > at or fitted[-1] < at:
        return -math.inf if fitted[0] > at else math.inf
    met = np.flatnonzero(fitted == at)
    if len(met):
        return (met[0] + met[-1]) / 2
    left = int(np.searchsorted(fitted, at)) - 1
    return left + (at - fitted[left]) / (fitted[left + 1] - fitted[left])


class _Cells(NamedTuple):
    """The hits at each dose: of each family, or if seeds are independent of all of them."""

    hits: Float[ndarray, "dose parent"]
    trials: Int[ndarray, " parent"]
    families: bool

    @classmethod
    def of(
        cls, hits: Bool[ndarray, "seed dose"], seeds: UInt64[ndarray, " seed"], siblings: int
    ) -> "_Cells":
        if siblings == 1:
            return cls(hits.sum(axis=0).astype(float)[:, None], np.array([len(hits)]), False)
        families = [Families.of([(own, seeds)], siblings) for own in hits.T]
        return cls(np.stack([own.hits for own in families]), families[0].trials, True)

    def misses(self) -> "_Cells":
        return self._replace(hits=self.trials - self.hits)

    def estimates(self, level: float, interval: Interval) -> list[Estimate]:
        """Estimate the fraction at each dose."""
        given: Any = {"level": level, "interval": interval}
        if self.families:
            return [family_fraction(Families(own, self.trials), **given) for own in self.hits]
        return [estimate(int(own[0]), int(self.trials[0]), **given) for own in self.hits]

    def room(
        self, position: float, at: float, *, error: float, interval: Interval
    ) -> tuple[float, float]:
        """Compute how far `at` is inside the interval at a position, from its high and low end."""
        left = min(int(position), len(self.hits) - 2)
        share = position - left
        hits = (1 - share) * self.hits[left] + share * self.hits[left + 1]
        if self.families:
            process = BettingProcess.of(Families(hits, self.trials), interval)
            most = math.log(2 / error)
            return most - process.log_wealth(at, -1), most - process.log_wealth(at, +1)
        bounds = clopper_pearson if interval == "fixed" else confidence_sequence
        low, high = bounds(float(hits[0]), int(self.trials[0]), error=error)
        return high - at, at - low

    def reach(self, at: float, level: float, interval: Interval) -> tuple[float, float]:
        """Find the first and the last position at which a rising curve may cross `at`."""
        error, last = bonferroni_error(level, 1, interval), len(self.hits) - 1

        def room(position: float, side: int) -> float:
            return self.room(position, at, error=error, interval=interval)[side]

        ends = []
        # From either end of the grid to the first position where the interval reaches `at`.
        for side, way in ((0, range(last + 1)), (1, range(last, -1, -1))):
            rooms = [room(float(position), side) for position in way]
            inside = next((i for i, one in enumerate(rooms) if one >= 0), None)
            if inside == 0:
                ends.append(math.inf if side else -math.inf)
            elif inside is None:
                ends.append(float(way[-1]))
            else:
                ends.append(brentq(room, way[inside - 1], way[inside], args=(side,)))
        return ends[0], ends[1]
