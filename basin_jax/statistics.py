"""Fractions with intervals that hold: for a fixed number of seeds, and while watching."""

import contextlib
import math
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy import ndarray
from scipy.special import betainccinv, betaincinv, betaln, xlog1py, xlogy

from basin_jax.verdict import Verdict


Interval = Literal["fixed", "anytime"]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A fraction of seeds, with its interval; it prints as `hits/trials = p [low, high]`."""

    hits: int
    trials: int
    low: float
    high: float
    level: float
    interval: Interval

    @property
    def fraction(self) -> float:
        """The share of hits; NaN where there was no trial."""
        return self.hits / self.trials if self.trials else math.nan

    def __str__(self) -> str:
        return f"{self.hits}/{self.trials} = {self.fraction:.4g} [{self.low:.4g}, {self.high:.4g}]"


def basin_fraction(
    verdicts: Iterable[Any],
    of: Verdict | str | int = Verdict.DECEPTIVE,
    *,
    among: Collection[Verdict | str | int] | None = None,
    level: float = 0.95,
    cells: int = 1,
    interval: Interval = "fixed",
) -> Estimate:
    """Estimate the fraction of seeds with a verdict, with an interval.

    Args:
        verdicts: one a seed, as numbers or as names (such as `Records.frame["verdict"]`);
            each seed is a Bernoulli trial.
        of: the verdict whose fraction is wanted.
        among: the verdicts that make up the denominator; all of them if None.
        level: the probability that the interval covers the truth, at least.
        cells: the number of intervals that are to hold at once (Bonferroni).
        interval: "fixed" for a number of seeds fixed beforehand (Clopper & Pearson
            1934); "anytime" where the number depended on what was seen (a beta-binomial
            confidence sequence: Robbins 1970, Howard et al. 2021).

    Raises:
        ValueError: where a setting is out of its range, or `of` is not among `among`.
    """
    of = as_verdict(of)
    among = {as_verdict(verdict) for verdict in (Verdict if among is None else among)}
    if of not in among:
        raise ValueError(f"of = {of!r} is not among {tuple(among)!r}")
    counts = Counter(verdicts.tolist() if isinstance(verdicts, ndarray) else verdicts)
    found = Counter[Verdict]()
    for verdict, count in counts.items():
        found[as_verdict(verdict)] += count
    hits, trials = found[of], sum(found[verdict] for verdict in among)
    return estimate(hits, trials, level=level, cells=cells, interval=interval)


def as_verdict(value: Any) -> Verdict:
    """Return a verdict given by itself, by its number or by its name."""
    if isinstance(value, str) and value in Verdict.__members__:
        return Verdict[value]
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        with contextlib.suppress(ValueError):
            return Verdict(int(value))
    names = ", ".join(f"{verdict.name} ({verdict})" for verdict in Verdict)
    raise ValueError(f"verdict = {value!r}; allowed: {names}")


def estimate(
    hits: int,
    trials: int,
    *,
    level: float = 0.95,
    cells: int = 1,
    interval: Interval = "fixed",
) -> Estimate:
    """Estimate a fraction from counts; the arguments are those of `basin_fraction`."""
    if not 0 <= hits <= trials:
        raise ValueError(f"hits = {hits}; allowed: 0 to trials = {trials}")
    if not 0 < level < 1:
        raise ValueError(f"level = {level}; allowed: above 0 and below 1")
    if cells < 1:
        raise ValueError(f"cells = {cells}; allowed: at least 1")
    bounds = {"fixed": clopper_pearson, "anytime": confidence_sequence}
    if interval not in bounds:
        raise ValueError(f"interval = {interval!r}; allowed: 'fixed' or 'anytime'")
    low, high = bounds[interval](hits, trials, error=(1 - level) / cells)
    return Estimate(hits=hits, trials=trials, low=low, high=high, level=level, interval=interval)


def clopper_pearson(hits: int, trials: int, *, error: float) -> tuple[float, float]:
    """Return the exact interval of Clopper and Pearson (1934), error/2 on either side."""
    low = betaincinv(hits, trials - hits + 1, error / 2) if hits else 0.0
    high = betainccinv(hits + 1, trials - hits, error / 2) if hits < trials else 1.0
    return float(low), float(high)


def confidence_sequence(hits: int, trials: int, *, error: float) -> tuple[float, float]:
    """Return bounds that hold at every number of trials at once, up to the error.

    They are the fractions p that Ville's inequality does not reject, where the
    likelihood is averaged over a uniform prior: the beta-binomial mixture of Robbins
    (1970). One may look at any time, and stop because of what one saw.
    """
    if trials == 0:
        return 0.0, 1.0
    misses = trials - hits
    bar = betaln(hits + 1, misses + 1) + math.log(error)

    def accepts(p: float) -> bool:
        return bool(xlogy(hits, p) + xlog1py(misses, -p) > bar)

    peak = hits / trials
    low = 0.0 if hits == 0 else _edge(accepts, inside=peak, outside=0.0)
    high = 1.0 if misses == 0 else _edge(accepts, inside=peak, outside=1.0)
    return low, high


def _edge(accepts, *, inside: float, outside: float) -> float:
    """Bisect to the edge of an interval, and return its outer side."""
    for _ in range(200):
        middle = (inside + outside) / 2
        if middle in (inside, outside):
            break
        if accepts(middle):
            inside = middle
        else:
            outside = middle
    return outside
