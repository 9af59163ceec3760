"""The gap at the start from which on seeds end deceptive, and what else tells who does."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Float
from numpy import ndarray

from basin_jax.statistics.estimates import quantile
from basin_jax.studies.framework.lab import Outcome
from basin_jax.studies.framework.prediction import gap
from basin_jax.studies.framework.rows import HALF, Row, numbers, ranked, share


FINENESS = 16  # steps between doses whose starts are measured


class Needed(NamedTuple):
    """The critical gap of each seed, and what else its critical dose changes at the start.

    A gap is infinite where no dose makes the seed end deceptive. Changes are of the other seeds.
    """

    gap: Float[ndarray, " seed"]  # at the start, at the critical dose
    rate: Float[ndarray, " some"]  # of the unintended act, over watched and unwatched: its change
    competence: Float[ndarray, " some"]  # its change


def probed() -> tuple[float, ...]:
    """Return the doses at which starts are measured, from none to the whole."""
    return tuple(number / FINENESS for number in range(FINENESS + 1))


def needed(begun: Outcome, doses: Float[ndarray, " seed"]) -> Needed:
    """Measure the starts of seeds at their critical doses, between those that were probed.

    Args:
        begun: a cell of no steps for each of the probed doses, in their order.
        doses: each seed's critical dose, infinite where there is none.
    """
    frames = [begun.at(cell) for cell in begun.cells]
    some, seeds = np.isfinite(doses), np.arange(len(doses))
    place = np.where(some, doses, 0.0) * FINENESS
    low = np.minimum(place.astype(int), FINENESS - 1)

    def at(measure: Callable[[pl.DataFrame], ndarray]) -> tuple[ndarray, ndarray]:
        curves = np.stack([measure(frame) for frame in frames], axis=1)
        first, last = curves[seeds, low], curves[seeds, low + 1]
        found = first + (place - low) * (last - first)
        return found, (found - curves[:, 0])[some]

    return Needed(
        gap=np.where(some, at(gap)[0], np.inf),
        rate=at(lambda frame: (frame["watched"] + frame["unwatched"]).to_numpy() / 2)[1],
        competence=at(lambda frame: frame["competence"].to_numpy())[1],
    )


def ranks(
    gaps: Float[ndarray, " seed"], natural: Float[ndarray, " fresh"], key: str, name: str
) -> list[Row]:
    """Estimate the median critical gap, and the fraction of fresh networks below it.

    Both intervals hold at once, and that of the fraction covers that of the gap.
    """
    found = quantile(gaps, HALF, level=1 - 0.05 / 2)
    below = [share("", "", natural < bar, num_intervals=2) for bar in found]
    place, low, high = (below[0].value, below[1].low, below[2].high)
    said = "critical gap at the start"
    return [
        numbers(
            f"{key}critical-dose/gap",
            f"{name}: {said}, median of seeds",
            found,
            len(gaps),
            num_intervals=2,
        ),
        numbers(
            f"{key}critical-dose/fresh-below",
            f"{name}: fresh networks whose gap is below the median {said}",
            (place, low, high),
            len(natural),
            num_intervals=2,
        ),
    ]


def less(some: Float[ndarray, " seed"], others: Float[ndarray, " seed"]) -> ndarray:
    """Subtract critical gaps; where neither is finite, or but for rounding, they are alike."""
    alike = np.isclose(some, others, rtol=0, atol=1e-6)
    return np.where(alike, 0.0, some - np.where(alike, 0.0, others))


def foretold(
    key: str,
    name: str,
    own: Float[ndarray, " seed"],
    doses: Float[ndarray, " seed"],
    *,
    num_intervals: int,
) -> Row:
    """Estimate how well a seed's own gap tells that its critical dose is below the median."""
    label = f"{name}: AUC of the own gap for a critical dose below the median"
    small = doses < np.median(doses)
    if not small.any():  # most need none
        undefined = (np.nan, 0.0, 1.0)
        return numbers(key, label, undefined, len(doses), num_intervals=num_intervals)
    return ranked(key, label, own, small, num_intervals=num_intervals)


def naturally(
    fresh: Outcome,
    natural: Float[ndarray, " fresh"],
    gaps: Float[ndarray, " seed"],
    *,
    named: tuple[str, str],
) -> list[Row]:
    """Estimate the fractions of fresh networks on either side of the critical gap that end so."""
    (key, name), ends = named, fresh.deceptive()
    above = natural >= quantile(gaps, HALF)[0]
    return [
        share(
            f"{key}/gap-{side}/deceptive",
            f"{name}, fresh, gap {side} the implant's median critical gap: deceptive",
            ends[which],
            num_intervals=2,
        )
        for side, which in (("above", above), ("below", ~above))
    ]


def strays(
    given: Outcome, found: pl.DataFrame, doses: Sequence[float], *, named: tuple[str, str]
) -> Row:
    """Estimate the fraction of seeds that contradict their critical dose at one of some doses.

    Doses within the last halving of it are on either side.
    """
    low, high = (found[bound].to_numpy() for bound in ("low", "high"))
    strays = np.zeros(len(found), bool)
    for dose in doses:
        strays |= np.where(given.deceptive(f"{dose:g}"), dose < low, dose > high)
    key, name = named
    label = f"{name}, implant: seeds whose verdict at a dose contradicts their critical dose"
    return share(f"{key}/contradictions", label, strays, kind="sensitivity")
