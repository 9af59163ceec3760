"""What a study finds: numbers with intervals, what they are held against, and a figure."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import polars as pl
from jaxtyping import Bool, Float
from matplotlib.figure import Figure
from numpy import ndarray

from basin_jax.statistics.agreement import kappa
from basin_jax.statistics.auc import auc
from basin_jax.statistics.estimates import Estimate, estimate, paired_difference, quantile


Kind = Literal["measured", "control", "known", "check", "sensitivity"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# Rows of these kinds are held against what they should be. A study has several, and all studies
# some forty, of which at 95 % two would fail by chance.
HELD: tuple[Kind, ...] = ("control", "known", "check")


def level_of(kind: Kind) -> float:
    """Return the level of the intervals of a kind of row."""
    return 0.999 if kind in HELD else 0.95


@dataclass(frozen=True, kw_only=True)
class Row:
    """A number with its interval, and with what it should be where it is held against something.

    A control is 0 unless what the study measures has another cause than it says. What is known
    was derived beforehand. A check holds by construction, and fails only where the code or a
    statistic is wrong.
    """

    kind: Kind
    what: str
    value: float
    low: float
    high: float
    seeds: int
    expected: float | None = None

    @property
    def undefined(self) -> bool:
        """Whether there is no value: no seed is of the kind that is counted or compared."""
        return math.isnan(self.value)

    @property
    def holds(self) -> bool | None:
        """Whether the interval has what is expected in it; None where either is missing."""
        if self.expected is None or self.undefined:
            return None
        return self.low <= self.expected <= self.high

    def __str__(self) -> str:
        if self.undefined:
            return f"undefined: {'all seeds have one label' if self.seeds else 'no seeds'}"
        return f"{_number(self.value)} [{_number(self.low)}, {_number(self.high)}]"


def _number(value: float) -> str:
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == round(value):
        return f"{value:.0f}"  # exactly
    if abs(value) < 0.1:
        return f"{value:.2g}"
    # What is not 1 is not said to be.
    return f"{value:.6g}" if 0.9995 <= value < 1 else f"{value:.3f}"


class Sentence(NamedTuple):
    """A sentence, and the names of the rows that its numbers and its words rest on."""

    text: str
    rests_on: tuple[str, ...]


def say(text: str, *rows: Row) -> Sentence:
    """Return a sentence that rests on some rows: every number in it is one of theirs."""
    return Sentence(text, tuple(dict.fromkeys(one.what for one in rows)))


class Answer(NamedTuple):
    """A question of the argument, and sentences with the numbers that answer it.

    They rest on rows of several studies, each named "study: row".
    """

    question: str
    says: list[Sentence]


def row(
    what: str, found: Estimate, *, kind: Kind = "measured", expected: float | None = None
) -> Row:
    """Return the row of a fraction of seeds."""
    return Row(
        kind=kind,
        what=what,
        value=found.fraction,
        low=found.low,
        high=found.high,
        seeds=found.trials,
        expected=expected,
    )


def ranked(
    what: str,
    scores: Float[ndarray, " seed"],
    positive: Bool[ndarray, " seed"],
    *,
    kind: Kind = "measured",
    expected: float | None = None,
    cells: int = 1,
) -> Row:
    """Return the row of an area under the ROC curve."""
    value, low, high = auc(scores, positive, level=level_of(kind), num_intervals=cells)
    return Row(
        kind=kind,
        what=what,
        value=value,
        low=low,
        high=high,
        seeds=len(scores),
        expected=expected,
    )


def share(
    what: str,
    hits: Bool[ndarray, " seed"],
    *,
    cells: int = 1,
    kind: Kind = "measured",
    expected: float | None = None,
) -> Row:
    """Return the row of how many seeds are hits."""
    found = estimate(int(hits.sum()), len(hits), level=level_of(kind), num_intervals=cells)
    return row(what, found, kind=kind, expected=expected)


def middle(what: str, values: Float[ndarray, " seed"]) -> Row:
    """Return the row of a median, with its interval of order statistics."""
    value, low, high = quantile(values, 0.5)
    return Row(kind="measured", what=what, value=value, low=low, high=high, seeds=len(values))


def difference(
    what: str, before: Bool[ndarray, " seed"], after: Bool[ndarray, " seed"], *, cells: int = 1
) -> Row:
    """Return the row of how much oftener the same seeds are hits after than before."""
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    found = paired_difference(gained, lost, len(after), num_intervals=cells)
    return Row(
        kind="measured",
        what=f"{what} ({gained} gained, {lost} lost, p = {found.p_value:.2g})",
        value=found.difference,
        low=found.low,
        high=found.high,
        seeds=found.trials,
    )


def beyond_chance(
    what: str,
    labels: tuple[Bool[ndarray, " seed"], Bool[ndarray, " seed"]],
    *,
    cells: int = 1,
    kind: Kind = "measured",
    expected: float | None = None,
) -> Row:
    """Return the row of how far two labels of the same seeds agree beyond chance: their kappa."""
    value, low, high = kappa(*labels, level=level_of(kind), num_intervals=cells)
    return Row(
        kind=kind,
        what=f"{what}: kappa",
        value=value,
        low=low,
        high=high,
        seeds=len(labels[0]),
        expected=expected,
    )


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a study found."""

    name: str
    question: str
    says: list[Sentence]
    limits: tuple[str, ...]  # what it cannot tell
    rows: list[Row]
    figure: Figure
    put_to: str = ""  # what was trained, and how

    @property
    def sound(self) -> bool:
        """Whether every control is null, all that is known was recovered, and checks hold."""
        return all(row.expected is None or row.holds for row in self.rows)

    @property
    def table(self) -> list[Row]:
        """The rows in the order of their kinds, in which they are numbered from 1."""
        return sorted(self.rows, key=lambda one: KINDS.index(one.kind))

    @property
    def frame(self) -> pl.DataFrame:
        """The rows, as a table with their numbers."""
        names = ("kind", "what", "value", "low", "high", "seeds", "expected", "holds")
        rows = [{name: getattr(one, name) for name in names} for one in self.table]
        schema = {"expected": pl.Float64, "holds": pl.Boolean}
        return pl.DataFrame(rows, schema_overrides=schema).with_row_index("row", offset=1)
