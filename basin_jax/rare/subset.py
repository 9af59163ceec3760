"""Subset simulation: a rare event as the last of many levels, each likely given the one before."""

from typing import Literal

import numpy as np
from jaxtyping import Bool, UInt32, UInt64
from numpy import ndarray
from scipy.special import ndtr, ndtri

from basin_jax.core.plugin import Plugin
from basin_jax.rare.estimate import Level, Replication
from basin_jax.rare.problem import Problem, Request, Search


WORDS = 2.0**32
# The acceptance at which moves are aimed, and the range of their size.
ACCEPTED, SMALLEST, LARGEST = 0.3, 0.02, 1.0


class SubsetSimulation(Plugin):
    """Search over initializations, by chains that keep their distribution.

    Each level keeps the particles of the highest scores, copies them, and moves the copies by
    preconditioned Crank-Nicolson steps on the noise of the start, refusing moves out of the level:
    z ← √(1 - β²) z + β ξ leaves standard normal noise as it is, whatever β. The estimate is the
    product of the shares that reached each level (Au & Beck 2001, "Estimation of small failure
    probabilities in high dimensions by subset simulation"; Cotter et al. 2013, "MCMC methods for
    functions", on the moves).

    Attributes:
        particles: the particles of a replication. Too few find the event by luck alone.
        keep: the share of them that reach the next level.
        moved: the share of particles that have to move before a level ends.
        max_moves: the most moves in a level.
        data: "held" if a particle keeps the order of its data, and all other noise of training;
            "anew" if each move draws it again.
        below: a search ends where what is left is rarer than this.
        replications: the independent searches.
    """

    particles: int = 500
    keep: float = 0.25
    moved: float = 0.7
    max_moves: int = 16
    data: Literal["held", "anew"] = "anew"
    below: float = 1e-12
    replications: int = 8

    def validate(self) -> None:
        self.require(self.particles >= 20, "particles", "at least 20")
        self.require(0 < self.keep <= 0.5, "keep", "above 0, at most 0.5")
        self.require(0 < self.moved < 1, "moved", "above 0 and below 1")
        self.require(self.max_moves >= 1, "max_moves", "at least 1")
        self.require(0 < self.below < 1, "below", "above 0 and below 1")
        self.require(self.replications >= 8, "replications", "at least 8")

    def search(self, problem: Problem, rng: np.random.Generator) -> Search:
        """Run one replication; see `Problem.run`."""
        count, levels = self.particles, []
        seeds = rng.integers(2**64, size=count, dtype=np.uint64)
        population = Request(problem.particles.words_of(seeds), seeds)
        scores = yield population
        hits, size, ancestors, fraction = np.isposinf(scores).sum(), 0.5, np.arange(count), 1.0
        while (share := np.isposinf(scores).mean()) < self.keep:
            threshold = np.sort(scores)[-max(int(self.keep * count), 1)]
            kept = np.flatnonzero(scores >= threshold)
            fraction *= len(kept) / count
            if len(kept) == count or np.isneginf(threshold) or fraction < self.below:
                share = 0.0
                break
            copied = kept[rng.permutation(count) % len(kept)]
            population = Request(*(x[copied] for x in population))
            scores, ancestors = scores[copied], ancestors[copied]
            moved, accepted = np.zeros(count, bool), []
            while moved.mean() < self.moved and len(accepted) < self.max_moves:
                proposed = self._move(population, size, rng)
                found = yield proposed
                takes = found >= threshold
                population = _where(takes, proposed, population)
                scores, moved = np.where(takes, found, scores), moved | takes
                accepted.append(takes.mean())
                size = float(np.clip(size * np.exp(accepted[-1] - ACCEPTED), SMALLEST, LARGEST))
            levels.append(_level(threshold, len(kept) / count, accepted, moved))
        return Replication(
            fraction=fraction * float(share),
            bound=fraction * float(share or 1.0),
            trainings=count * (1 + sum(level.moves for level in levels)),
            fresh=count,
            hits=int(hits),
            ancestors=len(np.unique(ancestors[np.isposinf(scores)] if share else ancestors)),
            levels=tuple(levels),
        )

    def _move(self, population: Request, size: float, rng: np.random.Generator) -> Request:
        noise = ndtri((population.words + 0.5) / WORDS)
        noise = np.sqrt(1 - size**2) * noise + size * rng.standard_normal(noise.shape)
        words = np.minimum(ndtr(noise) * WORDS, WORDS - 1).astype(np.uint32)
        anew = rng.integers(2**64, size=len(words), dtype=np.uint64)
        return Request(words, anew if self.data == "anew" else population.seeds)


def _level(threshold: float, share: float, accepted: list[float], moved: ndarray) -> Level:
    return Level(
        threshold=float(threshold),
        share=share,
        moves=len(accepted),
        acceptance=float(np.mean(accepted)),
        moved=float(moved.mean()),
    )


def _where(takes: Bool[ndarray, " particle"], new: Request, old: Request) -> Request:
    words: UInt32[ndarray, "particle word"] = np.where(takes[:, None], new.words, old.words)
    seeds: UInt64[ndarray, " particle"] = np.where(takes, new.seeds, old.seeds)
    return Request(words, seeds)
