"""Known answers: fractions that are known beforehand, to compare a sweep's results with."""

import abc
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import polars as pl
from scipy.special import ndtr, ndtri

from basin_jax.core.arguments import checked
from basin_jax.core.labels import labels_of
from basin_jax.core.sweep import siblings_of
from basin_jax.core.verdict import Verdict
from basin_jax.results.given import Given, satisfying
from basin_jax.results.records import Records
from basin_jax.results.seed_set import are_among
from basin_jax.statistics.estimates import Estimate, estimate
from basin_jax.statistics.rows import interval_of, narrowed


LEVEL = 0.999  # of our intervals
SMALLEST_P = 0.01  # at which a published count agrees with our fraction
MOST_ERRORS = 4.0  # standard errors between two simulations that agree


@checked
@dataclass(frozen=True, kw_only=True)
class Known(abc.ABC):
    """A fraction of one cell's seeds that is known beforehand.

    A sweep file lists them as `known`; `basin-jax known` compares them with the results.

    Attributes:
        name: the row's name in a table.
        of: the verdict; or a Polars expression on the columns of `Records.history` (a row for
            each seed and stop), true for hits. A seed that diverged or failed is a hit
            only of `Verdict.DIVERGED` or `Verdict.ERROR`.
        given: a condition on the seeds that are counted.
        cell: the fields that tell the cell apart, by their paths or the last parts of these.
        source: the source of the fraction, for a table.
    """

    name: str
    of: Verdict | pl.Expr = Verdict.DECEPTIVE
    given: Given | None = None
    cell: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    kind: ClassVar[str]

    def __post_init__(self) -> None:
        fits = isinstance(self.of, Verdict | pl.Expr)
        self._require(fits, "of", "a Verdict, or a Polars expression")
        self._require(isinstance(self.given, Given | None), "given", "a Given, or None")
        self._require(isinstance(self.cell, Mapping), "cell", "a mapping from fields to values")

    def _require_fraction(self, name: str) -> None:
        value = getattr(self, name)
        fits = isinstance(value, int | float) and 0 <= value <= 1
        self._require(bool(fits), name, "0 to 1")

    def _require_count(self, name: str, least: int, most: int | None = None) -> None:
        value = getattr(self, name)
        fits = isinstance(value, int | np.integer) and value >= least
        end = "" if most is None else f", at most trials = {most}"
        fits = fits and (most is None or value <= most)
        self._require(bool(fits), name, f"a whole number, at least {least}{end}")

    def _require(self, holds: bool, name: str, allowed: str) -> None:
        if not holds:
            value = getattr(self, name)
            raise ValueError(f"{type(self).__name__}.{name} = {value!r}; allowed: {allowed}")

    @abc.abstractmethod
    def theirs(self) -> tuple[float, float, float]:
        """Return the known fraction and its 95 % interval, which is a point if it is exact."""

    @abc.abstractmethod
    def p_value(self, ours: Estimate) -> float:
        """Compute the two-sided p-value of the hypothesis that both fractions are equal."""

    @abc.abstractmethod
    def agrees(self, ours: Estimate) -> bool:
        """Return True if our fraction agrees with the known one."""

    def deviation(self, ours: Estimate) -> float:
        """Compute the difference in standard errors: the normal quantile of the p-value."""
        size = float(ndtri(self.p_value(ours) / 2))
        return math.copysign(size, ours.fraction - self.theirs()[0])


@checked
@dataclass(frozen=True, kw_only=True)
class Exact(Known):
    """A derived fraction; ours agrees if its 99.9 % interval contains it."""

    fraction: float
    kind = "exact"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_fraction("fraction")

    def theirs(self) -> tuple[float, float, float]:
        return self.fraction, self.fraction, self.fraction

    def p_value(self, ours: Estimate) -> float:
        return _binomial_p(ours.hits, ours.trials, self.fraction)

    def agrees(self, ours: Estimate) -> bool:
        return bool(ours.low <= self.fraction <= ours.high)


@checked
@dataclass(frozen=True, kw_only=True)
class Limit(Exact):
    """A fraction derived in a limit that the sweep is close to; ours agrees as with `Exact`."""

    kind = "limit"


@checked
@dataclass(frozen=True, kw_only=True)
class Published(Known):
    """A published count; ours agrees if the count's binomial p-value under it exceeds .01.

    Ours is taken as exact, so it should have many more seeds than the count.
    """

    hits: int
    trials: int
    kind = "published"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_count("trials", 1)
        self._require_count("hits", 0, self.trials)

    def theirs(self) -> tuple[float, float, float]:
        count = estimate(self.hits, self.trials)
        return count.fraction, count.low, count.high

    def p_value(self, ours: Estimate) -> float:
        return _binomial_p(self.hits, self.trials, ours.fraction)

    def agrees(self, ours: Estimate) -> bool:
        return self.p_value(ours) > SMALLEST_P

    def accepts(self) -> tuple[float, float]:
        """Compute the range of fractions that the count agrees with, to four digits."""

        def bound(inside: float, outside: float) -> float:
            for _ in range(16):
                middle = (inside + outside) / 2
                kept = _binomial_p(self.hits, self.trials, middle) > SMALLEST_P
                inside, outside = (middle, outside) if kept else (inside, middle)
            return inside

        share = self.hits / self.trials
        return (
            bound(share, 0.0) if self.hits else 0.0,
            bound(share, 1.0) if self.hits < self.trials else 1.0,
        )


@checked
@dataclass(frozen=True, kw_only=True)
class Independent(Known):
    """A fraction from independent code; ours agrees within 4 standard errors of both."""

    fraction: float
    trials: int
    kind = "independent"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_count("trials", 1)
        self._require_fraction("fraction")

    def theirs(self) -> tuple[float, float, float]:
        count = estimate(round(self.fraction * self.trials), self.trials)
        return self.fraction, count.low, count.high

    def p_value(self, ours: Estimate) -> float:
        return 2 * float(ndtr(-self._errors_apart(ours)))

    def agrees(self, ours: Estimate) -> bool:
        return self._errors_apart(ours) <= MOST_ERRORS

    def _errors_apart(self, ours: Estimate) -> float:
        apart = abs(ours.fraction - self.fraction)
        pooled = (ours.hits + self.fraction * self.trials) / (ours.trials + self.trials)
        error = math.sqrt(pooled * (1 - pooled) * (1 / ours.trials + 1 / self.trials))
        return apart / error if apart else 0.0


def compare(records: Records, known: Iterable[Known]) -> pl.DataFrame:
    """Compare a sweep's results with known fractions.

    Returns:
        A row for each known fraction: `kind`, `name`, `source`; the known fraction with its 95 %
        interval as `theirs`, `theirs_low`, `theirs_high`, and its `theirs_trials` unless it is
        derived; of a published count the fractions that it agrees with, from `accepts_low` to
        `accepts_high`; ours with its 99.9 % interval as `hits`, `trials`, `fraction`, `low`,
        `high`; `z`, ours minus theirs in standard errors; `p_value`; whether it `agrees`; the
        kind of our `interval`; and what identifies the seeds: their `organism` and `root` (of a
        child, its oldest ancestor's), the `first` and the `last` one.

    Raises:
        ValueError: if a known fraction fits no cell, or several.
    """
    rows = []
    for one in known:
        cell = cell_of(one, records.cells)
        ends = [int(seeds[at]) for seeds, _ in records.counted(cell) for at in (0, -1)]
        ours = _count(records, one, cell)
        theirs, low, high = one.theirs()
        accepts = one.accepts() if isinstance(one, Published) else (None, None)
        rows.append(
            {
                "kind": one.kind,
                "name": one.name,
                "source": one.source,
                "theirs": theirs,
                "theirs_low": low,
                "theirs_high": high,
                "theirs_trials": getattr(one, "trials", None),
                "accepts_low": accepts[0],
                "accepts_high": accepts[1],
                **ours.row(),
                "z": one.deviation(ours),
                "p_value": one.p_value(ours),
                "agrees": one.agrees(ours),
                "interval": narrowed(records.interval) if one.given else records.interval,
                **_origin(records.cells[cell]),
                "first": min(ends),
                "last": max(ends),
            }
        )
    return pl.DataFrame(
        rows, schema_overrides={"root": pl.UInt64, "first": pl.UInt64, "last": pl.UInt64}
    )


def _origin(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the organism and the root that a cell's first parameters are drawn from."""
    own = ""
    while f"{own}start.of" in fields:
        own += "start.of."
    return {name: fields[f"{own}{name}"] for name in ("organism", "root")}


def _count(records: Records, known: Known, cell: str) -> Estimate:
    if siblings_of(records.cells[cell]) > 1:
        raise ValueError(
            f"{known.name}: its seeds have parents in common; allowed: a cell of unrelated seeds, "
            "since they are counted as trials"
        )
    if records.sample == "chosen" and known.given is None:
        raise ValueError(
            f"{known.name}: its seeds were chosen ({records.criterion}); allowed: a range of "
            "seeds, or a fraction that is `given` what they were chosen by"
        )
    what, last = f"{type(known).__name__}.of of {known.name!r}", records.stops(cell)[-1]
    hits = satisfying(records, cell, known.of, step=last, what=what)
    chosen = None if known.given is None else known.given.seeds(records, cell)
    counts = np.zeros(2, int)
    for seeds, _ in records.counted(cell):
        own = seeds if chosen is None else seeds[are_among(seeds, chosen)]
        counts += [int(are_among(own, hits).sum()), len(own)]
    if not counts[1]:
        raise ValueError(f"{known.name}: no seed is counted; allowed: more seeds")
    return estimate(*counts.tolist(), level=LEVEL, interval=interval_of(records.interval))


def cell_of(known: Known, cells: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the digest of a known fraction's cell, given the fields of each.

    Raises:
        ValueError: if it fits no cell, or several.
    """

    def has(fields: Mapping[str, Any], name: str, value: Any) -> bool:
        value = list(value) if isinstance(value, tuple) else value
        return any(f".{path}".endswith(f".{name}") and v == value for path, v in fields.items())

    found = [
        digest
        for digest, fields in cells.items()
        if all(has(fields, name, value) for name, value in known.cell.items())
    ]
    if len(found) != 1:
        labels = "; ".join(labels_of(cells).values())
        raise ValueError(
            f"{known.name!r}: {type(known).__name__}.cell = {dict(known.cell)} fits "
            f"{len(found)} cells; allowed: fields that fit one of {labels}"
        )
    return found[0]


def _binomial_p(hits: int, trials: int, fraction: float) -> float:
    from scipy.stats import binomtest  # takes longer to import than all of this package

    return float(binomtest(hits, trials, fraction).pvalue)
