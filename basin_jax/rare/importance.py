"""Importance sampling: draw from a tilted start, and weigh what is found."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from basin_jax.rare.estimate import Replication
from basin_jax.rare.problem import Attempt, Noise, Problem, Search
from basin_jax.rare.words import noise_of, words_of


class ImportanceSampling(Search):
    """Search from a tilted initialization: its noise is shifted towards the event.

    Noise is drawn from (1 - defense) N(tilt, 1) + defense N(0, 1), and each event is weighed by its
    density under the start's own N(0, 1), relative to that. The share of `defense` bounds the
    weights (Hesterberg 1995, "Weighted average importance sampling and defensive mixture
    distributions"). The tilt is found by the cross-entropy method (Rubinstein 1999) on particles
    that enter no estimate, and only where it stands out of its own noise: every shift of a word
    makes weights vary more. It suits few words and one way into the event.

    Attributes:
        keep: the share of particles from which each tilt is made.
        defense: the share of particles from the start's own distribution.
        max_tilts: the most tilts that are tried on the way to the event.
    """

    particles: int = 2000
    keep: float = 0.1
    defense: float = 0.1
    max_tilts: int = 20

    def validate(self) -> None:
        super().validate()
        self.require(0 < self.keep <= 0.5, "keep", "above 0, at most 0.5")
        self.require(0 < self.defense < 1, "defense", "above 0 and below 1")
        self.require(self.max_tilts >= 1, "max_tilts", "at least 1")

    def trainings(self, fraction: float) -> float:
        # Each tilt comes to what a share `keep` of the particles before has reached, or so.
        tilts = min(max(math.log(fraction) / math.log(self.keep), 1.0), self.max_tilts)
        return self.particles * self.replications * (1 + tilts)

    def replicate(
        self, problem: Problem, attempts: Sequence[Attempt]
    ) -> Iterator[tuple[int, Replication]]:
        # A tilt of their own: replications that share one miss the same ways in, and agree.
        for place, attempt in enumerate(attempts):
            yield place, self._replication(problem, attempt.rng)

    def _replication(self, problem: Problem, rng: np.random.Generator) -> Replication:
        tilt, spent = self._tilt(problem, rng)
        noise, weights, fresh = self._draw(problem, tilt, rng)
        events = np.isposinf(problem.scores(noise))
        found = weights * events
        return Replication(
            fraction=float(found.mean()),
            # Without an event: less than one of the heaviest particles.
            bound=float(found.mean() or weights.max() / len(weights)),
            trainings=len(weights) + spent,
            fresh=int(fresh.sum()),
            hits=int(events[fresh].sum()),
            effective=float(found.sum() ** 2 / (found**2).sum()) if found.any() else 0.0,
        )

    def _draw(
        self, problem: Problem, tilt: Float[ndarray, " word"], rng: np.random.Generator
    ) -> tuple[Noise, ndarray, ndarray]:
        """Draw particles; return them, their weights, and which are from the start's own."""
        fresh = rng.random(self.particles) < self.defense
        normals = rng.standard_normal((self.particles, len(tilt)))
        normals += np.where(fresh[:, None], 0.0, tilt)
        with np.errstate(over="ignore"):
            ratio = np.exp(normals @ tilt - tilt @ tilt / 2)
        weights = 1 / ((1 - self.defense) * ratio + self.defense)
        seeds = rng.integers(2**64, size=self.particles, dtype=np.uint64)
        return Noise(words_of(normals), seeds), weights, fresh

    def _tilt(
        self, problem: Problem, rng: np.random.Generator
    ) -> tuple[Float[ndarray, " word"], int]:
        """Tilt again and again towards the particles of the highest scores."""
        tilt, spent = np.zeros(problem.particles.num_words), 0
        while spent < self.max_tilts * self.particles:
            noise, weights, _ = self._draw(problem, tilt, rng)
            scores = problem.scores(noise)
            spent += self.particles
            threshold = np.sort(scores)[-max(int(self.keep * self.particles), 1)]
            best = (scores >= threshold) * weights
            share = best / best.sum()
            tilt = share @ noise_of(noise.words)
            # Twice the standard error of a mean of noise that is not tilted at all.
            tilt = np.where(np.abs(tilt) > 2 * np.sqrt((share**2).sum()), tilt, 0.0)
            if np.isposinf(threshold) or (scores >= threshold).all():
                break
        return tilt, spent
