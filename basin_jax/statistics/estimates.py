"""Estimates of fractions and of their differences, with confidence intervals."""

import contextlib
import math
import operator
from collections import Counter
from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, SupportsIndex

import numpy as np
from numpy import ndarray
from scipy.special import bdtr, betaln

from basin_jax.core.arguments import checked
from basin_jax.core.plugin import meant
from basin_jax.core.verdict import Verdict
from basin_jax.statistics.intervals import (
    Interval,
    bonferroni_error,
    clopper_pearson,
    confidence_sequence,
    melded_interval,
    paired_confidence_sequence,
)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A fraction of seeds with its interval, which is one of `num_intervals` that hold at once.

    It prints as `hits/trials = p [low, high]`.
    """

    hits: int
    trials: int
    low: float
    high: float
    level: float
    interval: Interval
    num_intervals: int = 1

    @property
    def fraction(self) -> float:
        """The fraction of hits; NaN if there was no trial."""
        return self.hits / self.trials if self.trials else math.nan

    def row(self) -> dict[str, Any]:
        """Return the estimate as columns of a table."""
        names = ("hits", "trials", "fraction", "low", "high")
        return {name: getattr(self, name) for name in names}

    def __str__(self) -> str:
        return f"{self.hits}/{self.trials} = {self.fraction:.4g} [{self.low:.4g}, {self.high:.4g}]"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A difference of two fractions on the same seeds, with its interval and p-value."""

    gained: int
    lost: int
    trials: int
    low: float
    high: float
    level: float
    interval: Interval
    p_value: float

    @property
    def difference(self) -> float:
        """The fraction gained minus the fraction lost; NaN if there was no trial."""
        return (self.gained - self.lost) / self.trials if self.trials else math.nan

    def row(self) -> dict[str, Any]:
        """Return the difference as columns of a table."""
        names = ("gained", "lost", "trials", "difference", "low", "high")
        return {name: getattr(self, name) for name in names}

    def __str__(self) -> str:
        return (
            f"({self.gained} - {self.lost})/{self.trials} = {self.difference:.4g} "
            f"[{self.low:.4g}, {self.high:.4g}], p {p_text(self.p_value, equals='= ')}"
        )


def p_text(p_value: float, *, equals: str = "") -> str:
    """Format a p-value; 0 stands for one that is too small for a double.

    Args:
        p_value: the value.
        equals: what stands before a number.

    >>> p_text(0.0123), p_text(0.0), "p " + p_text(1.0, equals="= ")
    ('0.012', '< 1e-300', 'p = 1')
    """
    return f"{equals}{p_value:.2g}" if p_value > 0 else "< 1e-300"


@checked
def basin_fraction(
    verdicts: Iterable[Any],
    of: Verdict | str | int = Verdict.DECEPTIVE,
    *,
    among: Collection[Verdict | str | int] | None = None,
    level: float = 0.95,
    num_intervals: int = 1,
    interval: Interval = "fixed",
) -> Estimate:
    """Estimate the fraction of seeds that have a verdict.

    Args:
        verdicts: one for each seed, as numbers or as names (such as `Records.frame["verdict"]`);
            each seed is a Bernoulli trial.
        of: the verdict.
        among: the verdicts that make up the denominator; all of them if None.
        level: the least probability that the interval covers the true fraction.
        num_intervals: the number of intervals that hold simultaneously (Bonferroni).
        interval: "fixed" for a number of seeds that was fixed beforehand (Clopper & Pearson
            1934); "anytime" for a number that depended on the results (a beta-binomial
            confidence sequence: Robbins 1970, Howard et al. 2021).

    Returns:
        The counts, the fraction and its interval.

    Raises:
        ValueError: if a setting is out of its range, or `of` is not in `among`.

    >>> print(basin_fraction(["DECEPTIVE"] * 3 + ["INTENDED"] * 7))
    3/10 = 0.3 [0.06674, 0.6525]
    """
    of = as_verdict(of)
    among = {as_verdict(verdict) for verdict in (Verdict if among is None else among)}
    if of not in among:
        raise ValueError(f"of = {of!r} is not among {tuple(among)!r}")
    found = Counter[Verdict]()
    for verdict, count in _counts(verdicts).items():
        found[as_verdict(verdict)] += count
    hits, trials = found[of], sum(found[verdict] for verdict in among)
    return estimate(hits, trials, level=level, num_intervals=num_intervals, interval=interval)


@checked
def basin_fractions(
    outcomes: Iterable[Hashable],
    *,
    classes: Iterable[Hashable] | None = None,
    level: float = 0.95,
    interval: Interval = "fixed",
) -> dict[Hashable, Estimate]:
    """Estimate the fraction of every class of outcome, with simultaneous intervals.

    Args:
        outcomes: one for each seed, as numbers, names or verdicts.
        classes: the outcomes that may occur, such as `Verdict`, in the order of the result; those
            that occur if None. A class without seeds has an upper limit. Name the classes before
            you see the outcomes: the intervals of those that occur are simultaneous only if no
            other class could have occurred.
        level: the least probability that all intervals cover the true fractions (Bonferroni
            over the classes).
        interval: "fixed" or "anytime", as in `basin_fraction`.

    Returns:
        The estimate of each class.

    Raises:
        ValueError: if a setting is out of its range, or an outcome is of no class.

    >>> found = basin_fractions(["add"] * 9 + ["sort"], classes=["add", "sort"])
    >>> print(found["sort"])
    1/10 = 0.1 [0.001257, 0.4906]
    """
    counts = _counts(outcomes)
    wanted = list(dict.fromkeys(counts if classes is None else classes))
    if wanted and all(isinstance(label, Verdict) for label in wanted):
        counts = Counter({as_verdict(label): count for label, count in counts.items()})
    for label in counts:
        if label not in wanted:
            raise ValueError(f"outcome = {label!r}; allowed: {', '.join(map(repr, wanted))}")
    trials, count = counts.total(), len(wanted)
    return {
        label: estimate(counts[label], trials, level=level, num_intervals=count, interval=interval)
        for label in wanted
    }


def _counts(labels: Iterable[Any]) -> Counter[Any]:
    return Counter(labels.tolist() if isinstance(labels, ndarray) else labels)


def as_verdict(value: Any) -> Verdict:
    """Convert a number or a name to a verdict."""
    if isinstance(value, str) and value in Verdict.__members__:
        return Verdict[value]
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        with contextlib.suppress(ValueError):
            return Verdict(int(value))
    names = ", ".join(f"{verdict.name} ({verdict})" for verdict in Verdict)
    hint = meant(str(value).upper(), Verdict.__members__)
    raise ValueError(f"verdict = {value!r}; allowed: {names}{hint}")


def estimate(
    hits: int,
    trials: int,
    *,
    level: float = 0.95,
    num_intervals: int = 1,
    interval: Interval = "fixed",
) -> Estimate:
    """Estimate a fraction from counts; the arguments are those of `basin_fraction`."""
    if not 0 <= hits <= trials:
        raise ValueError(f"hits = {hits}; allowed: 0 to trials = {trials}")
    error = bonferroni_error(level, num_intervals, interval)
    bounds = clopper_pearson if interval == "fixed" else confidence_sequence
    low, high = bounds(hits, trials, error=error)
    return Estimate(
        hits=hits,
        trials=trials,
        low=low,
        high=high,
        level=level,
        interval=interval,
        num_intervals=num_intervals,
    )


def quantile(
    values: ndarray, probability: float, *, level: float = 0.95
) -> tuple[float, float, float]:
    """Estimate a quantile, with the low and the high end of its interval.

    The interval is between order statistics. It covers the quantile of any distribution with at
    least the probability `level`. Values and ends may be infinite.

    Raises:
        ValueError: if there is no value.
    """
    count = len(values)
    if not count:
        raise ValueError("values = []; allowed: at least one")
    ordered = np.concatenate([[-np.inf], np.sort(values), [np.inf]])
    below = bdtr(np.arange(count + 1), count, probability)  # P(at most so many are below it)
    error = (1 - level) / 2
    low = int(np.searchsorted(below, error, side="right"))
    high = int(np.searchsorted(below, 1 - error)) + 1
    middle = max(math.ceil(count * probability), 1)
    return float(ordered[middle]), float(ordered[low]), float(ordered[high])


@checked
def paired_difference(
    gained: SupportsIndex,
    lost: SupportsIndex,
    trials: SupportsIndex,
    *,
    level: float = 0.95,
    num_intervals: int = 1,
    interval: Interval = "fixed",
) -> Difference:
    """Estimate the difference of two fractions of the same seeds.

    Args:
        gained: the number of seeds that are hits of the second fraction alone.
        lost: the number of seeds that are hits of the first fraction alone.
        trials: the number of all seeds.
        level: the least probability that the interval covers the true difference.
        num_intervals: the number of intervals that hold simultaneously (Bonferroni).
        interval: "fixed" for a number of seeds that was fixed beforehand: the melded interval of
            Fay & Lumbard (2021), and the p-value of McNemar's exact test of no difference.
            "anytime" for a number that depended on the results: confidence sequences of the
            fraction of seeds that differ and of the fraction of gains among them, and a p-value
            that is valid at every number of seeds.

    Returns:
        The counts, the difference, its interval, and the p-value of this pair alone. The interval
        excludes 0 if and only if the p-value is below the error of the interval.

    Raises:
        ValueError: if a count or a setting is out of its range.

    >>> print(paired_difference(8, 1, 100))
    (8 - 1)/100 = 0.07 [0.002763, 0.1441], p = 0.039
    """
    # NumPy's small integers would overflow.
    x, y, n = operator.index(gained), operator.index(lost), operator.index(trials)
    counts = {"gained": x, "lost": y, "trials": n}
    if min(x, y) < 0 or x + y > n:
        raise ValueError(f"counts = {counts}; allowed: at least 0, and a sum of at most trials")
    error = bonferroni_error(level, num_intervals, interval)
    bounds = melded_interval if interval == "fixed" else paired_confidence_sequence
    low, high = bounds(**counts, error=error)
    p_value = _mcnemar(x, y, interval)
    return Difference(**counts, low=low, high=high, level=level, interval=interval, p_value=p_value)


def _mcnemar(gained: int, lost: int, interval: Interval) -> float:
    """Compute the p-value of the hypothesis that gains are as likely as losses."""
    if interval == "fixed":
        return min(1.0, 2 * float(bdtr(min(gained, lost), gained + lost, 0.5)))
    # Twice that of Ville's inequality: half of the error is spent on the fraction that differs.
    evidence = (gained + lost) * math.log(2) + betaln(gained + 1, lost + 1)
    return min(1.0, 2 * math.exp(-evidence))
