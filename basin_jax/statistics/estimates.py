"""Fractions with intervals that hold: for a fixed number of seeds, and while watching."""

import contextlib
import math
import operator
from collections import Counter
from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, SupportsIndex, get_args

import numpy as np
from numpy import ndarray
from scipy.special import bdtr, betainc, betaincc, betainccinv, betaincinv, betaln, xlog1py, xlogy

from basin_jax.core.verdict import Verdict


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
        """The share gained minus the share lost; NaN where there was no trial."""
        return (self.gained - self.lost) / self.trials if self.trials else math.nan

    def __str__(self) -> str:
        return (
            f"({self.gained} - {self.lost})/{self.trials} = {self.difference:.4g} "
            f"[{self.low:.4g}, {self.high:.4g}], p = {self.p_value:.2g}"
        )


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
    found = Counter[Verdict]()
    for verdict, count in _counts(verdicts).items():
        found[as_verdict(verdict)] += count
    hits, trials = found[of], sum(found[verdict] for verdict in among)
    return estimate(hits, trials, level=level, cells=cells, interval=interval)


def basin_fractions(
    outcomes: Iterable[Hashable],
    *,
    classes: Iterable[Hashable] | None = None,
    level: float = 0.95,
    interval: Interval = "fixed",
) -> dict[Hashable, Estimate]:
    """Estimate the fraction of every class of outcome, with intervals that hold at once.

    Args:
        outcomes: one label a seed, as numbers, names or verdicts.
        classes: the labels that may occur, such as `Verdict`, in the order wanted. One
            that no seed has is a result too: its upper limit. Name them before looking:
            those seen, if None, are a choice made by the data, and the intervals hold
            at once only if no other class could have been seen.
        level: the probability that all intervals cover their truths, at least
            (Bonferroni over the classes).
        interval: "fixed" or "anytime", as in `basin_fraction`.

    Raises:
        ValueError: where a setting is out of its range, or an outcome is of no class.
    """
    counts = _counts(outcomes)
    wanted = list(dict.fromkeys(counts if classes is None else classes))
    if wanted and all(isinstance(label, Verdict) for label in wanted):
        counts = Counter({as_verdict(label): count for label, count in counts.items()})
    for label in counts:
        if label not in wanted:
            raise ValueError(f"outcome = {label!r}; allowed: {', '.join(map(repr, wanted))}")
    trials, cells = counts.total(), len(wanted)
    return {
        label: estimate(counts[label], trials, level=level, cells=cells, interval=interval)
        for label in wanted
    }


def _counts(labels: Iterable[Any]) -> Counter[Any]:
    return Counter(labels.tolist() if isinstance(labels, ndarray) else labels)


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
    error = error_of_each(level, cells, interval)
    bounds = clopper_pearson if interval == "fixed" else confidence_sequence
    low, high = bounds(hits, trials, error=error)
    return Estimate(hits=hits, trials=trials, low=low, high=high, level=level, interval=interval)


def quantile(values: ndarray, share: float, *, level: float = 0.95) -> tuple[float, float, float]:
    """Return a quantile of some values, and the interval of order statistics around it.

    It covers the quantile of what the values were drawn from with the probability `level` at
    least, whatever that is; values may be infinite, and so may the interval be.

    Raises:
        ValueError: where there is no value.
    """
    count = len(values)
    if not count:
        raise ValueError("values = []; allowed: at least one")
    ordered = np.concatenate([[-np.inf], np.sort(values), [np.inf]])
    below = bdtr(np.arange(count + 1), count, share)  # P(at most so many are below it)
    error = (1 - level) / 2
    low = int(np.searchsorted(below, error, side="right"))
    high = int(np.searchsorted(below, 1 - error)) + 1
    middle = max(math.ceil(count * share), 1)
    return float(ordered[middle]), float(ordered[low]), float(ordered[high])


def paired_difference(
    gained: SupportsIndex,
    lost: SupportsIndex,
    trials: SupportsIndex,
    *,
    level: float = 0.95,
    cells: int = 1,
    interval: Interval = "fixed",
) -> Difference:
    """Estimate the difference of two fractions that were measured on the same seeds.

    Args:
        gained: the seeds that count in the second fraction and not in the first.
        lost: the seeds that count in the first and not in the second.
        trials: all seeds that both were measured on.
        level: the probability that the interval covers the truth, at least.
        cells: the number of intervals that are to hold at once (Bonferroni).
        interval: "fixed" for a number of seeds fixed beforehand: the melded interval of
            Fay & Lumbard (2021), and the p-value of McNemar's exact test, for no
            difference. "anytime" where the number depended on what was seen: confidence
            sequences for the share of seeds that differ and for the share of gains among
            them, and a p-value that one may watch.

    Returns:
        An interval that leaves out 0 just where `p_value` is below its error. `p_value`
        is that of this pair by itself, whatever the number of cells.

    Raises:
        ValueError: where a count or a setting is out of its range.
    """
    # Small whole numbers of NumPy's would overflow.
    x, y, n = operator.index(gained), operator.index(lost), operator.index(trials)
    counts = {"gained": x, "lost": y, "trials": n}
    if min(x, y) < 0 or x + y > n:
        raise ValueError(f"counts = {counts}; allowed: at least 0, and a sum of at most trials")
    error = error_of_each(level, cells, interval)
    bounds = melded if interval == "fixed" else melded_sequence
    low, high = bounds(**counts, error=error)
    p_value = _mcnemar(x, y, interval)
    return Difference(**counts, low=low, high=high, level=level, interval=interval, p_value=p_value)


def error_of_each(level: float, cells: int, interval: Interval) -> float:
    """Return the error of each of some intervals that are to hold at once (Bonferroni)."""
    if not 0 < level < 1:
        raise ValueError(f"level = {level}; allowed: above 0 and below 1")
    if cells < 1:
        raise ValueError(f"cells = {cells}; allowed: at least 1")
    if interval not in get_args(Interval):
        raise ValueError(f"interval = {interval!r}; allowed: 'fixed' or 'anytime'")
    return (1 - level) / cells


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
    low = 0.0 if hits == 0 else edge(accepts, inside=peak, outside=0.0)
    high = 1.0 if misses == 0 else edge(accepts, inside=peak, outside=1.0)
    return low, high


def edge(accepts, *, inside: float, outside: float) -> float:
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


def _mcnemar(gained: int, lost: int, interval: Interval) -> float:
    """Return the p-value of gains being as likely as losses, from the seeds that differ."""
    if interval == "fixed":
        return min(1.0, 2 * float(bdtr(min(gained, lost), gained + lost, 0.5)))
    # Twice that of Ville's inequality: the other half of the error is the share's.
    evidence = (gained + lost) * math.log(2) + betaln(gained + 1, lost + 1)
    return min(1.0, 2 * math.exp(-evidence))


def melded_sequence(gained: int, lost: int, trials: int, *, error: float) -> tuple[float, float]:
    """Return bounds of a paired difference that hold at every number of trials at once.

    Half of the error goes to the share of seeds that differ, half to that of gains.
    """
    differ = confidence_sequence(gained + lost, trials, error=error / 2)
    least, most = confidence_sequence(gained, gained + lost, error=error / 2)
    low = min(share * (2 * least - 1) for share in differ)
    high = max(share * (2 * most - 1) for share in differ)
    return low, high


def melded(gained: int, lost: int, trials: int, *, error: float) -> tuple[float, float]:
    """Return the interval of Fay and Lumbard (2021) for a paired difference.

    It agrees with McNemar's exact test. That it covers is a conjecture of theirs, which
    they checked by enumeration up to 100 trials.
    """
    tail = error / 2
    return _melded_low(gained, lost, trials, tail), -_melded_low(lost, gained, trials, tail)


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)


def _melded_low(gained: int, lost: int, trials: int, tail: float) -> float:
    """Return the tail's quantile of differ·(2·gain - 1), of two independent beta variables.

    `differ` is the share of seeds that differ, `gain` that of gains among them. Their own
    quantiles are the lower limits of Clopper and Pearson; but of `differ` the upper ones
    where the difference is negative, since there they make it lower.
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
        return edge(accepts, inside=inside, outside=0.0)
    return edge(accepts, inside=min(inside, 0.0), outside=-1.0)


def _product_cdf(difference: float, differ, gain, ends) -> float:
    """Return P(differ·(2·gain - 1) <= difference), both of them cut off at their ends."""
    sign = math.copysign(1, difference)
    # The quadrature spans what neither factor decides alone, however narrow the other is.
    slopes = np.maximum(sign * (2 * np.array(ends[1]) - 1), abs(difference))
    low, high = sorted(np.clip(abs(difference) / slopes, *ends[0]))
    x = low + (high - low) * (_NODES + 1) / 2
    density = np.exp(xlogy(differ[0] - 1, x) + xlog1py(differ[1] - 1, -x) - betaln(*differ))
    below = betainc(*gain, np.clip((1 + difference / x) / 2, 0, 1))
    sure = betainc(*differ, low) if sign > 0 else betaincc(*differ, high)
    return float(sure + (high - low) / 2 * np.sum(_WEIGHTS * density * below))
