"""Estimates of rare fractions, from independent replications of a whole search."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from basin_jax.statistics.estimates import Estimate


# Rates of false alarms by what follows, of 200 estimates by subset simulation (linear tails of 20
# words, 20 units of one sign): at 500 particles none at 1e-3 and 1 % at 1e-6; at 100 particles 4 %
# and 30 to 50 %, as these are too few. A second way into the event, to which the score does not
# lead, is noticed at 500 particles if it is 3e-4 or more, and by 88 % if it is 1e-4: what no
# replication has seen cannot be noticed. A score of noise always is.
# The factor between replications from which on they disagree, and the least number of them.
DISAGREEMENT, REPLICATIONS = 3.0, 8
# Below these a chain hardly moves: the share of moves accepted, and of particles moved in a level.
ACCEPTANCE, MOVED = 0.1, 0.5
# The fewest particles at the start from which those at the end may descend.
ANCESTORS = 5
# The least effective number of weighted particles in the event.
EFFECTIVE = 20
# Random numbers of which an interval is made: always the same.
PIVOTS = 20_000


@dataclass(frozen=True, kw_only=True)
class Level:
    """One level of a search: the particles whose score exceeds a threshold.

    Attributes:
        threshold: the score.
        share: the share of the particles before that exceed it.
        moves: the moves that were made in it.
        acceptance: the share of moves that were accepted; None without moves.
        moved: the share of particles that have moved; None without moves.
        verdicts: how many of its particles have each verdict, by its name; None if not counted.
        ancestors: the fresh particles from which they descend; None if not counted.
    """

    threshold: float
    share: float
    moves: int = 0
    acceptance: float | None = None
    moved: float | None = None
    verdicts: Mapping[str, int] | None = None
    ancestors: int | None = None


@dataclass(frozen=True, kw_only=True)
class Replication:
    """One run of a search, with its own random numbers.

    Attributes:
        fraction: its estimate; 0 if it ended before it found the event.
        bound: the estimate of what it reached, at least the fraction.
        trainings: the particles that it trained.
        fresh: those of them that were drawn from the start's own distribution.
        hits: the events among the fresh ones.
        ancestors: the fresh particles from which its last ones descend; None if it has no chains.
        effective: the effective number of its weighted particles; None if they have no weights.
        levels: its levels.
    """

    fraction: float
    bound: float
    trainings: int
    fresh: int
    hits: int
    ancestors: int | None = None
    effective: float | None = None
    levels: tuple[Level, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RareEstimate:
    """A fraction too small to count, with the interval of its replications.

    It prints as `fraction [low, high]`, and says so if it is not to be trusted.

    Attributes:
        fraction: the mean over replications.
        low, high: the interval.
        level: its nominal coverage.
        method, score: what was searched with, and what guided it.
        replications: the runs of the search, which share nothing but the score.
        pilot: the trainings spent on choosing the score, which enter no estimate.
        bracket: the events among all fresh particles, with their exact interval.
    """

    fraction: float
    low: float
    high: float
    level: float
    method: str
    score: str
    replications: tuple[Replication, ...]
    pilot: int
    bracket: Estimate

    @property
    def trainings(self) -> int:
        """The trainings of all replications."""
        return sum(replication.trainings for replication in self.replications)

    @property
    def trusted(self) -> bool:
        """True if no diagnostic speaks against it."""
        return not self.warnings

    @property
    def warnings(self) -> tuple[str, ...]:
        """The diagnostics that speak against it, in words."""
        return tuple(_warnings(self))

    def row(self) -> dict[str, Any]:
        """Return the estimate as columns of a table."""
        names = ("fraction", "low", "high", "method", "trainings", "trusted")
        return {name: getattr(self, name) for name in names}

    def __str__(self) -> str:
        said = f"{self.fraction:.3g} [{self.low:.3g}, {self.high:.3g}]"
        return said if self.trusted else f"{said}, not to be trusted: {'; '.join(self.warnings)}"


def rare_estimate(
    replications: Sequence[Replication],
    *,
    bracket: Estimate,
    method: str,
    score: str,
    pilot: int = 0,
    level: float = 0.95,
) -> RareEstimate:
    """Estimate a fraction from replications of a search.

    The fraction is their mean, since each is nearly without bias. They vary by factors, so that the
    interval is that of the mean of log-normal numbers (Krishnamoorthy & Mathew 2003, "Inferences on
    the means of lognormal distributions using generalized p-values and generalized confidence
    intervals"). If one of them has not found the event, the low end is 0, and the high end takes it
    to be as large as it can be, up to the end of the bracket.

    Raises:
        ValueError: if there are fewer than eight.
    """
    if len(replications) < REPLICATIONS:
        raise ValueError(f"{len(replications)} replications; allowed: at least {REPLICATIONS}")
    found = np.array([replication.fraction for replication in replications])
    bounds = np.array([max(r.fraction, r.bound) for r in replications])
    low, _ = mean_interval(found, level) if found.all() else (0.0, 0.0)
    # Where some have missed the event that is far: no farther than what was counted allows.
    high = min(mean_interval(bounds, level)[1], max(bracket.high, float(found.mean())))
    return RareEstimate(
        fraction=float(found.mean()),
        low=low,
        high=high,
        level=level,
        method=method,
        score=score,
        replications=tuple(replications),
        pilot=pilot,
        bracket=bracket,
    )


@functools.cache
def _pivots(count: int) -> tuple[ndarray, ndarray]:
    """Draw the standard normal and the chi-squared numbers of a generalized pivot."""
    rng = np.random.default_rng(0)
    return rng.standard_normal(PIVOTS), rng.chisquare(count - 1, PIVOTS)


def mean_interval(fractions: ndarray, level: float) -> tuple[float, float]:
    """Compute the interval of the mean of numbers above 0 that are log-normal."""
    logs, count = np.log(fractions), len(fractions)
    normal, squares = _pivots(count)
    variance = logs.var(ddof=1) * (count - 1) / squares
    means = logs.mean() + normal * np.sqrt(variance / count) + variance / 2
    low, high = np.exp(np.quantile(means, [(1 - level) / 2, (1 + level) / 2]))
    # So few numbers may be more skewed than that.
    return min(float(low), float(fractions.mean())), max(float(high), float(fractions.mean()))


def _warnings(estimate: RareEstimate) -> list[str]:
    replications, bracket = estimate.replications, estimate.bracket
    fractions = [replication.fraction for replication in replications]
    said = []
    if missed := fractions.count(0.0):
        said.append(f"{missed} of {len(fractions)} replications did not find the event")
    found, middle = [f for f in fractions if f], float(np.median(fractions))
    apart = [f for f in found if not middle / DISAGREEMENT <= f <= middle * DISAGREEMENT]
    if apart:
        said.append(
            f"{len(apart)} of {len(fractions)} replications disagree by more than a factor "
            f"{DISAGREEMENT:g} with their median, {middle:.2g}: some may have missed a way in"
        )
    if not bracket.low <= estimate.high or not estimate.low <= bracket.high:
        said.append(
            f"among fresh particles {bracket.hits} of {bracket.trials} are in the event, "
            f"{bracket.fraction:.2g} [{bracket.low:.2g}, {bracket.high:.2g}]"
        )
    moves = [(level.acceptance, level.moved) for r in replications for level in r.levels]
    levels = [(accepted, moved) for accepted, moved in moves if accepted is not None]
    stuck = [at for at in levels if at[0] < ACCEPTANCE or (at[1] or 0.0) < MOVED]
    if 4 * len(stuck) > len(levels):
        said.append(f"chains hardly move in {len(stuck)} of {len(levels)} levels")
    few = [r for r in replications if r.ancestors is not None and r.ancestors < ANCESTORS]
    if 2 * len(few) > len(replications):
        said.append(f"the last particles descend from fewer than {ANCESTORS} fresh ones")
    effective = [r.effective for r in replications if r.effective is not None]
    if effective and min(effective) < EFFECTIVE:
        said.append(
            f"few particles hold all weight: in one replication as good as {min(effective):.1f}; "
            f"it takes {EFFECTIVE}"
        )
    return said
