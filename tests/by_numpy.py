"""Particles in NumPy for searches: their fractions are exact, and a search takes milliseconds."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy.stats import binom, norm

from basin_jax import Rule, Verdict
from basin_jax.rare import Peak, Replication, Search
from basin_jax.rare.particles import Particles
from basin_jax.rare.problem import Attempt, Problem
from basin_jax.rare.words import noise_of


class Hit(Rule):
    """Find the event where a particle says that it is in it."""

    def judge(self, evidence):
        return np.where(evidence["hit"] > 0, Verdict.DECEPTIVE, Verdict.INTENDED)


def uniform(seeds: np.ndarray, number: int) -> np.ndarray:
    """Hash seeds to numbers in [0, 1) (SplitMix64)."""
    with np.errstate(over="ignore"):
        bits = seeds + np.uint64(0x9E3779B97F4A7C15) * np.uint64(number + 1)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
            bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    return (bits >> np.uint64(11)) / 2**53


class Starts(Particles):
    """Particles that are only begun.

    Args:
        num_words: the words of each.
        judged: from noise [particle, word] to a score, and to whether it is in the event.
    """

    def __init__(self, num_words: int, judged: Any):
        self.num_words, self._judged = num_words, judged
        self.sweep = SimpleNamespace(stops=(0,), num_steps=0)

    def words_of(self, seeds: np.ndarray) -> np.ndarray:
        drawn = [uniform(seeds, number) * 2**32 for number in range(self.num_words)]
        return np.stack(drawn, 1).astype(np.uint32)

    def evidence(self, words: np.ndarray, seeds: np.ndarray) -> dict[str, np.ndarray]:
        score, hit = self._judged(noise_of(words))
        return {"score": score[:, None], "hit": hit[:, None].astype(float)}


def tail(fraction: float, num_words: int = 20) -> Starts:
    """Make starts whose mean is so high for a fraction of them."""
    return Starts(num_words, lambda noise: _beyond(noise, float(norm.isf(fraction))))


def _beyond(noise: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    score = noise.sum(1) / noise.shape[1] ** 0.5
    return score, score > threshold


class Walks(Particles):
    """Random walks over whole numbers, measured with an error that a seed has all along.

    A step goes up with probability `up`, and else down; the error is `error` for a tenth of the
    seeds, and else 0. The event is to be measured at `least` or more in the end.
    """

    up, error, steps, least = 0.35, 6, 20, 12

    def __init__(self):
        self.sweep = SimpleNamespace(stops=tuple(range(0, 21, 2)), num_steps=self.steps)

    @property
    def fraction(self) -> float:
        ups = [(self.steps + self.least - shift) // 2 - 1 for shift in (0, self.error)]
        return float(np.dot([0.9, 0.1], binom.sf(ups, self.steps, self.up)))

    def words_of(self, seeds: np.ndarray) -> np.ndarray:
        return np.zeros((len(seeds), 0), np.uint32)

    def begin(self, words: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        return np.zeros(len(seeds), np.int64)

    def advance(
        self, state: np.ndarray, seeds: np.ndarray, *, first: int, last: int, probes: Any = None
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        ups = sum(uniform(seeds, number) < self.up for number in range(first, last))
        state = state + 2 * ups - (last - first)
        seen = state + np.where(uniform(probes, 99) < 0.1, self.error, 0)
        return state, {"score": seen.astype(float), "hit": (seen >= self.least).astype(float)}


def problem_of(particles: Any) -> Problem:
    """Make the problem of finding the event of some particles."""
    return Problem(
        particles=particles, rule=Hit(), of=Verdict.DECEPTIVE, score=Peak(evidence="score")
    )


def replications(
    particles: Any, search: Search, rngs: Sequence[np.random.Generator]
) -> list[Replication]:
    """Make a replication of each random generator."""
    found = search.replicate(problem_of(particles), [Attempt(rng=rng) for rng in rngs])
    return [replication for _, replication in sorted(found)]
