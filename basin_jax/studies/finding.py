"""What a study finds: numbers with intervals, what they are held against, and a figure."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import polars as pl
from jaxtyping import Bool, Float
from matplotlib.figure import Figure
from numpy import ndarray

from basin_jax.agreement import kappa
from basin_jax.ranking import auc
from basin_jax.statistics import Estimate, estimate, paired_difference, quantile


Kind = Literal["measured", "control", "known", "sensitivity"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A number with its interval; of a control, or of what is known, with what it should be."""

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


class Answer(NamedTuple):
    """A question of the argument, and sentences with the numbers that answer it."""

    question: str
    says: list[str]


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
    value, low, high = auc(scores, positive, cells=cells)
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
    found = estimate(int(hits.sum()), len(hits), cells=cells)
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
    found = paired_difference(gained, lost, len(after), cells=cells)
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
    value, low, high = kappa(*labels, cells=cells)
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
    says: list[str]  # sentences, each with its numbers
    limits: tuple[str, ...]  # what it cannot tell
    rows: list[Row]
    figure: Figure
    put_to: str = ""  # what was trained, and how

    @property
    def sound(self) -> bool:
        """Whether every control is null, and all that is known was recovered."""
        return all(row.expected is None or row.holds for row in self.rows)

    @property
    def frame(self) -> pl.DataFrame:
        """The rows, as a table."""
        names = ("kind", "what", "value", "low", "high", "seeds", "expected", "holds")
        rows = [{name: getattr(one, name) for name in names} for one in self.rows]
        return pl.DataFrame(rows, schema_overrides={"expected": pl.Float64, "holds": pl.Boolean})
