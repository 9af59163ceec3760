"""Count the verdicts of the particles at given scores: how the prior's mass is divided there."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.stats import t

from basin_jax.core.verdict import Rule, Verdict, judge
from basin_jax.rare.estimate import Level, RareEstimate, mean_interval
from basin_jax.rare.problem import Noise, Problem
from basin_jax.rare.subset import SubsetSimulation, threshold_of


ROUNDING = 1e-12  # of a sum, below which a part is nothing


class Census(SubsetSimulation):
    """Search by levels as subset simulation does, and count verdicts at given scores.

    Of networks that are not trained the score of a particle is that of its start. Then the
    particles at a bar are a sample of the prior, given that the score is at least that: P_B of
    Mingard et al. 2021 ("Is SGD a Bayesian sampler? Well, almost"), for fits that guessing does
    not find. The prior is that of the numbers that are drawn: those of 32-bit floats end at some 5
    standard deviations. A search ends at the last bar, and the event should lie beyond it.

    Attributes:
        by: the rule that judges them.
        bars: the scores, from the lowest to the highest.
    """

    by: Rule
    bars: tuple[float, ...]

    def validate(self) -> None:
        super().validate()
        rise = len(self.bars) > 0 and [*self.bars] == sorted(set(self.bars))
        self.require(rise, "bars", "at least one score, each above the one before")

    def threshold(
        self, scores: Float[ndarray, " particle"], levels: Sequence[Level]
    ) -> float | None:
        last = levels[-1].threshold if levels else -math.inf
        bar = next((edge for edge in map(_below, self.bars) if edge > last), None)
        if bar is None:
            return None
        found = threshold_of(scores, self.keep)
        if not (scores > bar).any():
            return found
        # Those of at least a bar are a level, even if all of them are in the event.
        return bar if found is None else min(found, bar)

    def examined(
        self,
        level: Level,
        problem: Problem,
        population: Noise,
        ancestors: Int[ndarray, " particle"],
    ) -> Level:
        if level.threshold not in map(_below, self.bars):
            return level
        evidence = problem.particles.evidence(*population)
        own = problem.score.of(evidence, problem.particles.sweep.stops)
        if own.min() <= level.threshold:
            least = f"{own.min():g} or lower"
            self.refuse("bars", f"scores up to the least of the event, which is {least}")
        names = [
            Verdict(verdict).name
            for verdict in judge(self.by, {n: x[:, -1] for n, x in evidence.items()})
        ]
        counts = {name: names.count(name) for name in sorted(set(names))}
        return replace(level, verdicts=counts, ancestors=len(np.unique(ancestors)))


def mass_at(found: RareEstimate, bar: float, *, error: float) -> tuple[float, float, float]:
    """Estimate the prior's mass of scores of at least a bar, with its interval.

    The interval reaches from 0 to 1 where a replication has not come so far.
    """
    masses, _ = counted(found, bar, ())
    if not masses.all():
        return float(masses.mean()), 0.0, 1.0
    return float(masses.mean()), *mean_interval(masses, 1 - error)


def share_at(
    found: RareEstimate, bar: float, of: Sequence[Verdict], *, error: float
) -> tuple[float, float, float]:
    """Estimate the share of that mass which has one of some verdicts, with its interval.

    Replications count by their masses, so that many of few particles agree with one of many. The
    interval is Student's, of the ratio's jackknife over replications. Where all of them have the
    share 0, or 1, it is the exact one of as many trials as have come so far. It tells how
    replications differ, and holds in that sense: it is too short where few of them carry most of
    the mass, or where all miss a kind. It is undefined, NaN, where fewer than two have come so far.
    """
    masses, parts = counted(found, bar, of)
    return ratio_interval(masses, parts, error=error)


def ratio_interval(
    masses: Float[ndarray, " replication"],
    parts: Float[ndarray, " replication"],
    *,
    error: float,
) -> tuple[float, float, float]:
    """Return the ratio of the sums of parts and of their masses, with its interval."""
    masses, parts = masses / masses.max(initial=1e-300), parts / masses.max(initial=1e-300)
    count, whole = np.count_nonzero(masses), masses.sum()
    if count < 2:
        return math.nan, 0.0, 1.0
    ratio = float(parts.sum() / whole)
    least = (error / 2) ** (1 / count)
    if not parts.any():
        return 0.0, 0.0, 1 - least
    if np.array_equal(parts, masses):
        return 1.0, least, 1.0
    rest = whole - masses
    if (rest <= ROUNDING * whole).any():  # all but one replication hold nothing
        return ratio, 0.0, 1.0
    without = (parts.sum() - parts)[masses > 0] / rest[masses > 0]
    spread = math.sqrt((count - 1) * without.var())
    reach = float(t.isf(error / 2, count - 1)) * spread
    return ratio, max(ratio - reach, 0.0), min(ratio + reach, 1.0)


def effective(found: RareEstimate, bar: float) -> float:
    """Compute the effective number of replications at a bar: all, if they find the same mass."""
    masses, _ = counted(found, bar, ())
    masses = masses / masses.max(initial=1e-300)
    return float(masses.sum() ** 2 / max((masses**2).sum(), 1e-300))


def ancestors_at(found: RareEstimate, bar: float) -> int:
    """Count the fresh particles from which those of all replications at a bar descend."""
    levels = [level for one in found.replications for level in one.levels]
    return sum(level.ancestors or 0 for level in levels if level.threshold == _below(bar))


def counted(
    found: RareEstimate, bar: float, of: Sequence[Verdict]
) -> tuple[Float[ndarray, " replication"], Float[ndarray, " replication"]]:
    """Return the mass that each replication finds at a bar, and its part of some verdicts.

    Both are 0 where it has not come so far.
    """
    masses, parts = [], []
    for one in found.replications:
        mass, part, reached = 1.0, 0.0, 0.0
        for level in one.levels:
            mass *= level.share
            if level.threshold == _below(bar) and level.verdicts is not None:
                all_of = sum(level.verdicts.values())
                hits = sum(level.verdicts.get(verdict.name, 0) for verdict in of)
                reached, part = mass, mass * hits / all_of
        masses.append(reached)
        parts.append(part)
    return np.array(masses), np.array(parts)


def _below(bar: float) -> float:
    """Return the score that those of at least a bar exceed."""
    return float(np.nextafter(bar, -math.inf))
