"""The results of a study: keyed rows with intervals, sentences on them, and a figure."""

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypedDict, Unpack, get_args

import numpy as np
import polars as pl
from jaxtyping import Bool, Float
from matplotlib.figure import Figure
from numpy import ndarray

from basin_jax.core.plugin import closest
from basin_jax.statistics.agreement import kappa
from basin_jax.statistics.auc import auc
from basin_jax.statistics.estimates import (
    Estimate,
    estimate,
    p_text,
    paired_difference,
    quantile,
)
from basin_jax.statistics.families import Families, betting_interval
from basin_jax.statistics.intervals import bonferroni_error


Kind = Literal["measured", "control", "known", "check", "sensitivity"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# Rows of these kinds have an expected value. A study has several, and all studies some forty, of
# which at 95 % two would fail by chance.
EXPECTING: tuple[Kind, ...] = ("control", "known", "check")
HALF = 0.5


def level_of(kind: Kind) -> float:
    """Return the level of the intervals of a kind of row."""
    return 0.999 if kind in EXPECTING else 0.95


@dataclass(frozen=True, kw_only=True)
class Row:
    """A number with its interval, found by its key, and with its expected value if it has one.

    A control is 0 unless the measured effect has another cause than the study says. A known value
    was derived beforehand. A check holds by construction, and fails only where the code or a
    statistic is wrong. A difference of two fractions on the same seeds has the number of seeds
    that are hits in the second only (gained), and in the first only (lost).
    """

    kind: Kind
    key: str
    label: str
    value: float
    low: float
    high: float
    seeds: int
    num_intervals: int = 1  # that hold at once
    expected: float | None = None
    gained: int | None = None
    lost: int | None = None

    @property
    def undefined(self) -> bool:
        """Whether there is no value: no seed is of the kind that is counted or compared."""
        return math.isnan(self.value)

    @property
    def holds(self) -> bool | None:
        """Whether the interval contains the expected value; None where either is missing."""
        if self.expected is None or self.undefined:
            return None
        return self.low <= self.expected <= self.high

    @property
    def sign(self) -> int:
        """The sign of a difference: 1 or -1 where the interval leaves out 0, and 0 otherwise."""
        return int(self.low > 0) - int(self.high < 0)

    @property
    def counts(self) -> str:
        """The counts of a difference, with the p-value of McNemar's exact test; "" otherwise."""
        if self.gained is None or self.lost is None:
            return ""
        p = paired_difference(self.gained, self.lost, self.seeds).p_value
        return f"{self.gained} gained, {self.lost} lost, p {p_text(p, equals='= ')}"

    def __str__(self) -> str:
        if self.undefined:
            return f"undefined: {'all seeds have one label' if self.seeds else 'no seeds'}"
        return f"{number_text(self.value)} [{number_text(self.low)}, {number_text(self.high)}]"


def number_text(value: float) -> str:
    """Format a number as in tables: what is not a whole number is not written as one."""
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == round(value):
        return f"{value:.0f}"  # exactly
    if abs(value) < 0.1:
        return f"{value:.2g}"
    # What is not 1 is not written as 1.
    decimals = -math.floor(math.log10(1 - value)) if 0.9995 <= value < 1 else 3
    return f"{value:.{decimals}f}"


def key_of(text: str) -> str:
    """Return the key of some text: names in it are written with hyphens."""
    return text.replace(",", "").replace(" ", "-")


class Table(dict[str, Row]):
    """Rows by their keys, or by text with names as they are written.

    Raises:
        ValueError: where two rows have one key, and where a key is asked for that no row has.
    """

    def __init__(self, rows: Iterable[Row]):
        for row in rows:
            if row.key in self:
                raise ValueError(f"Row.key = {row.key!r} of two rows; allowed: a key for each row")
            self[key_of(row.key)] = row

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key_of(str(key)))

    def __getitem__(self, key: str) -> Row:
        return super().__getitem__(key_of(key))

    def along[Place: (int, float, str)](
        self, key: str, places: Iterable[Place]
    ) -> dict[Place, Row]:
        """Return the rows along an axis: `key` has a * where that of each has the place."""
        at = {place: f"{place:g}" if isinstance(place, float) else str(place) for place in places}
        return {place: self[key.replace("*", said)] for place, said in at.items()}

    def __missing__(self, key: str) -> Row:
        raise ValueError(f"key = {key!r}; allowed: {closest(key, self)}")


class Sentence(NamedTuple):
    """A sentence, and the keys of the rows that it rests on.

    Keys of other studies' rows begin with the study's name: "hijack: difficulty=1/gap".
    """

    text: str
    rests_on: tuple[str, ...]


def say(text: str, *rows: Row) -> Sentence:
    """Make a sentence that rests on some rows: every number in it is one of theirs."""
    return Sentence(text, tuple(dict.fromkeys(row.key for row in rows)))


class Answer(NamedTuple):
    """A question of the argument, and the sentences that answer it from rows of all studies."""

    question: str
    sentences: list[Sentence]


class Terms(TypedDict, total=False):
    """The terms of a row: its kind, what is expected, and how many intervals hold at once."""

    kind: Kind
    expected: float | None
    num_intervals: int


def numbers(
    key: str, label: str, found: tuple[float, float, float], seeds: int, **rest: Any
) -> Row:
    """Return the row of a value and the bounds of its interval."""
    value, low, high = found
    rest = {"kind": "measured"} | rest
    return Row(key=key_of(key), label=label, value=value, low=low, high=high, seeds=seeds, **rest)


def _interval(terms: Terms) -> dict[str, Any]:
    """Return the level of a row's interval, and the number of those that hold at once."""
    level = level_of(terms.get("kind", "measured"))
    return {"level": level, "num_intervals": terms.get("num_intervals", 1)}


def row(key: str, label: str, found: Estimate, **terms: Unpack[Terms]) -> Row:
    """Return the row of a fraction of seeds."""
    bounds = (found.fraction, found.low, found.high)
    told = {"num_intervals": found.num_intervals} | terms
    return numbers(key, label, bounds, found.trials, **told)


def share(key: str, label: str, hits: Bool[ndarray, " seed"], **terms: Unpack[Terms]) -> Row:
    """Return the row of the fraction of seeds that are hits."""
    found = estimate(int(hits.sum()), len(hits), **_interval(terms))
    return row(key, label, found, **terms)


def null(key: str, label: str, hits: Bool[ndarray, " seed"]) -> Row:
    """Return the row of a null control: the fraction of hits where none is expected."""
    return share(key, label, hits, kind="control", expected=0.0)


def difference(
    key: str,
    label: str,
    before: Bool[ndarray, " seed"],
    after: Bool[ndarray, " seed"],
    **terms: Unpack[Terms],
) -> Row:
    """Return the row of the paired difference in the fraction of hits, after less before."""
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    found = paired_difference(gained, lost, len(after), **_interval(terms))
    bounds = (found.difference, found.low, found.high)
    return numbers(key, label, bounds, found.trials, gained=gained, lost=lost, **terms)


def ranked(
    key: str,
    label: str,
    scores: Float[ndarray, " seed"],
    positive: Bool[ndarray, " seed"],
    **terms: Unpack[Terms],
) -> Row:
    """Return the row of an area under the ROC curve."""
    return numbers(key, label, auc(scores, positive, **_interval(terms)), len(scores), **terms)


def agreement(
    key: str,
    label: str,
    labels: tuple[Bool[ndarray, " seed"], Bool[ndarray, " seed"]],
    **terms: Unpack[Terms],
) -> Row:
    """Return the row of Cohen's kappa of two labels of the same seeds."""
    return numbers(key, label, kappa(*labels, **_interval(terms)), len(labels[0]), **terms)


def mean(
    key: str,
    label: str,
    values: Float[ndarray, " seed"],
    *,
    least: float = 0.0,
    **terms: Unpack[Terms],
) -> Row:
    """Return the row of the mean of the finite numbers from `least` to 1, by betting."""
    finite = values[np.isfinite(values)]
    # Rounding may bring a rate beyond its ends.
    shares = np.clip((finite - least) / (1 - least), 0, 1)
    families = Families(shares, np.ones(len(shares), int))
    error = bonferroni_error(**_interval(terms), interval="fixed")
    ends = betting_interval(families, error=error, interval="fixed")
    low, high = (least + (1 - least) * end for end in ends)
    return numbers(key, label, (float(finite.mean()), low, high), len(finite), **terms)


def median(
    key: str,
    label: str,
    values: Float[ndarray, " seed"],
    *,
    at: float = HALF,
    **terms: Unpack[Terms],
) -> Row:
    """Return the row of a median, or of another quantile, with its interval of order statistics."""
    level = 1 - bonferroni_error(**_interval(terms), interval="fixed")
    return numbers(key, label, quantile(values, at, level=level), len(values), **terms)


def bisected(key: str, label: str, found: pl.DataFrame, **terms: Unpack[Terms]) -> Row:
    """Return the row of the median of bisected values; its interval covers the last halvings."""
    level = 1 - bonferroni_error(**_interval(terms), interval="fixed")
    middle, _, high = quantile(found["high"].to_numpy(), 0.5, level=level)
    # Nothing that is bisected here is below 0, where a seed is beyond its change already.
    low = quantile(found["low"].clip(lower_bound=0).to_numpy(), 0.5, level=level)[1]
    return numbers(key, label, (middle, low, high), len(found), **terms)


def crossing[Place: (int, float)](
    key: str,
    label: str,
    found: Mapping[Place, Row],
    *,
    level: float = HALF,
    **terms: Unpack[Terms],
) -> Row:
    """Return the row of the first place of a grid at which a fraction is above a level.

    The interval begins at the last place up to which the intervals of all fractions lie below the
    level, and ends at the first whose interval lies above it; where there is no such place, it has
    no end there. It covers the crossing as often as the fractions' intervals hold at once.
    """
    below = [*itertools.takewhile(lambda place: found[place].high < level, found)]
    passed = [place for place, one in found.items() if one.value > level]
    above = [place for place, one in found.items() if one.low > level]
    value, high = (float(min(places, default=math.inf)) for places in (passed, above))
    low, first = float(max(below, default=-math.inf)), next(iter(found.values()))
    told = {"num_intervals": first.num_intervals} | terms
    return numbers(key, label, (value, low, high), first.seeds, **told)


def largest_error(
    key: str, label: str, found: Float[ndarray, " seed"], known: float, *, within: float
) -> Row:
    """Return the row of the largest distance of values from the expected one."""
    # Where there is no value nothing was found.
    error = float(np.abs(found - known).max()) if len(found) else np.inf
    label = f"{label}: largest error of all seeds (known: {known:.6g}, tolerance: {within:g})"
    bounds = (error, max(error - within, 0.0), error)
    return numbers(key, label, bounds, len(found), kind="known", expected=0.0)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The results of a study."""

    name: str
    question: str
    sentences: list[Sentence]
    limits: tuple[str, ...]  # of what the study can tell
    rows: Table
    figure: Figure
    setting: str = ""
    root: int = 0
    seed_steps: int = 0  # of all that it trained
    made: str = ""  # with what, if its page does not say so

    @property
    def sound(self) -> bool:
        """Whether every interval with an expected value contains it."""
        return all(row.expected is None or row.holds for row in self.rows.values())

    @property
    def table(self) -> list[Row]:
        """The rows in the order of their kinds, in which they are numbered from 1."""
        return sorted(self.rows.values(), key=lambda one: KINDS.index(one.kind))

    @property
    def frame(self) -> pl.DataFrame:
        """The rows, as a table with their numbers."""
        names = (*Row.__annotations__, "holds")
        rows = [{name: getattr(one, name) for name in names} for one in self.table]
        counts = {"gained": pl.Int64, "lost": pl.Int64}
        schema = {"expected": pl.Float64, "holds": pl.Boolean, **counts}
        return pl.DataFrame(rows, schema_overrides=schema).with_row_index("row", offset=1)
