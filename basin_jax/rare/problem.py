"""The problem of a search: the event whose fraction is asked for, and how to search for it."""

import abc
import math
from collections.abc import Callable, Iterator, Sequence
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


@dataclass(frozen=True, kw_only=True)
class Problem:
    """The event that a rule gives a particle one verdict.

    Attributes:
        particles: trains the particles.
        rule: the decision rule.
        of: the verdict.
        score: how near a particle is.
        tell: called with a line on how far a search has come.
    """

    particles: Particles
    rule: Rule
    of: Verdict
    score: Score
    tell: Callable[[str], None] = lambda line: None

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


def _forget(first: int, scores: Sequence[Float[ndarray, " particle"]]) -> None:
    """Commit nothing."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A replication that is to be made, from its beginning or from what was committed of it.

    Attributes:
        rng: draws all of its random numbers.
        scores: what its particles have scored so far, in the order in which they were trained.
        commit: called now and then with how many scores were committed before, and those since.
    """

    rng: np.random.Generator
    scores: Sequence[Float[ndarray, " particle"]] = ()
    commit: Callable[[int, Sequence[Float[ndarray, " particle"]]], None] = _forget


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
            sweep = particles.sweep
            raise ValueError(
                f"start = {sweep.start!r} draws no random numbers of the seed at "
                f"vary = {sweep.vary!r}; allowed for {type(self).__name__}: a start that does, and "
                "vary = 'both' or 'init'"
            )

    def with_stops(self, sweep: Sweep) -> Sweep:
        """Give a sweep stops along its way, unless it has its own."""
        if sweep.save_at or sweep.num_steps < 2:
            return sweep
        steps = self.spread(sweep.num_steps, min(NUM_STOPS, sweep.num_steps))
        return sweep.replace(
            save_at=(0, *sorted({int(step) for step in steps} - {sweep.num_steps}))
        )

    def spread(self, num_steps: int, count: int) -> Float[ndarray, " stop"]:
        """Spread stops over the steps of training: dense at first, as training is."""
        return np.geomspace(1, num_steps, count)

    def accepts(self, score: Score) -> bool:
        """Return True if a score can guide it."""
        return True

    def expect_score(self, score: Score) -> None:
        """Raise `ValueError` if a score cannot guide it."""
        if not self.accepts(score):
            raise ValueError(f"score = {score!r}; allowed: one that {type(self).__name__} accepts")

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
    def replicate(
        self, problem: Problem, attempts: Sequence[Attempt]
    ) -> Iterator[tuple[int, Replication]]:
        """Make replications, and yield each with its place among the attempts when it has ended."""
