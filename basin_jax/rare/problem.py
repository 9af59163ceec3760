"""The problem of a search: the event whose fraction is asked for, and how to search for it."""

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt32, UInt64
from numpy import ndarray

from basin_jax.core.plugin import Plugin
from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Rule, Verdict, judge
from basin_jax.rare.estimate import REPLICATIONS, Replication
from basin_jax.rare.particles import Particles
from basin_jax.rare.scores import Score


# Stops of a sweep that has none of its own, by which scores are graded.
NUM_STOPS = 64
# The fewest particles of a search.
FEWEST = 20


class Noise(NamedTuple):
    """Hold all that decides particles: the words of their starts, and the seeds of the rest."""

    words: UInt32[ndarray, "particle word"]
    seeds: UInt64[ndarray, " particle"]

    def take(self, which: ndarray) -> "Noise":
        """Return some of the particles, any number of times."""
        return Noise(*(x[which] for x in self))


def with_stops(sweep: Sweep) -> Sweep:
    """Give a sweep stops along its way, unless it has its own: dense at first, as training is."""
    if sweep.save_at or sweep.num_steps < 2:
        return sweep
    steps = np.geomspace(1, sweep.num_steps, min(NUM_STOPS, sweep.num_steps))
    return sweep.replace(save_at=(0, *sorted({int(step) for step in steps} - {sweep.num_steps})))


def threshold_of(scores: Float[ndarray, " particle"], keep: float) -> float | None:
    """Return the score that the particles of the next level exceed, or None if there is no level.

    It is the highest score of those that are left behind, and not the lowest of those that are
    kept: so the share that is kept is without bias (Guyader, Hengartner & Matzner-Lober 2011,
    "Simulation and estimation of extreme quantiles and extreme probabilities"). Of scores that are
    equal all are kept, or none, whichever comes nearer to the share `keep`. Particles in the event
    alone are no level.
    """
    ordered = np.sort(scores)
    middle = ordered[len(scores) - max(int(keep * len(scores)), 1) - 1]
    finite = ordered[np.isfinite(ordered)]
    choices = [middle, *ordered[ordered < middle][-1:]]
    shares = [(t, np.mean(scores > t)) for t in choices if (finite > t).any()]
    return min(shares, key=lambda choice: abs(math.log(choice[1] / keep)), default=(None,))[0]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """The event that a rule gives a particle one verdict.

    Attributes:
        particles: trains the particles.
        rule: the decision rule.
        of: the verdict.
        score: how near a particle is.
    """

    particles: Particles
    rule: Rule
    of: Verdict
    score: Score

    def events(
        self, evidence: dict[str, Float[ndarray, "particle stop"]]
    ) -> Bool[ndarray, " particle"]:
        """Return which particles have the verdict at the end."""
        return judge(self.rule, {n: x[:, -1] for n, x in evidence.items()}) == self.of

    def fresh(self, count: int, rng: np.random.Generator) -> Noise:
        """Draw particles as seeds are: each is a seed of the sweep."""
        seeds = rng.integers(2**64, size=count, dtype=np.uint64)
        return Noise(self.particles.words_of(seeds), seeds)

    def scores(self, noise: Noise) -> Float[ndarray, " particle"]:
        """Train particles, and score them: infinite in the event."""
        evidence = self.particles.evidence(*noise)
        scores = self.score.of(evidence, self.particles.sweep.stops)
        return np.where(self.events(evidence), np.inf, scores)


class Search(Plugin, abc.ABC):
    """Define a way to search for rare events, in independent replications.

    Attributes:
        particles: the particles of a replication, or of one of its levels.
        replications: their number.
    """

    particles: int = 500
    replications: int = REPLICATIONS

    def validate(self) -> None:
        self.require(self.particles >= FEWEST, "particles", f"at least {FEWEST}")
        self.require(self.replications >= REPLICATIONS, "replications", f"at least {REPLICATIONS}")

    def expect(self, particles: Particles) -> None:
        """Raise `ValueError` if it cannot search these particles' sweep."""
        if not particles.num_words:
            raise ValueError(
                f"start = {particles.sweep.start!r} draws no random numbers; allowed for "
                f"{type(self).__name__}: a start that does"
            )

    def accepts(self, score: Score) -> bool:
        """Return True if a score can guide it."""
        return True

    @abc.abstractmethod
    def trainings(self, fraction: float) -> float:
        """Predict how many particles all replications train to find an event so rare."""

    def within(self, budget: int, fraction: float) -> "Search":
        """Return the search with as many particles as a budget of trainings allows.

        Raises:
            ValueError: if it allows too few.
        """
        particles = int(self.particles * budget / self.trainings(fraction))
        if particles < FEWEST:
            least = math.ceil(self.replace(particles=FEWEST).trainings(fraction))
            raise ValueError(
                f"budget = {budget} trainings; allowed: at least {least} to go down to "
                f"{fraction:g} by {type(self).__name__}"
            )
        return self.replace(particles=particles)

    @abc.abstractmethod
    def replicate(self, problem: Problem, rngs: Sequence[np.random.Generator]) -> list[Replication]:
        """Search once for each random generator, of which one replication uses nothing else."""
