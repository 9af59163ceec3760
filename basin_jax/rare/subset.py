"""Subset simulation: a rare event as the last of many levels, each likely given the one before."""

import math
import time
from collections.abc import Generator, Iterator, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int, UInt32, UInt64
from numpy import ndarray

from basin_jax.rare.estimate import Level, Replication
from basin_jax.rare.problem import Attempt, Noise, Problem, Search
from basin_jax.rare.words import noise_of, words_of


# The acceptance at which moves are aimed, and the range of their size.
ACCEPTED, SMALLEST, LARGEST = 0.3, 0.02, 1.0
# The moves of a level, at the acceptance that is aimed at and the default share that should move.
TYPICAL_MOVES = 5
# A replication commits its scores at the end of a level, after this many seconds at least.
SECONDS = 10.0


class SubsetSimulation(Search):
    """Search over initializations, by chains that keep their distribution.

    Each level keeps the particles of the highest scores, copies them, and moves the copies by
    preconditioned Crank-Nicolson steps on the noise of the start, refusing moves out of the level:
    z ← √(1 - β²) z + β ξ leaves standard normal noise as it is, whatever β. The estimate is the
    product of the shares that reached each level (Au & Beck 2001, "Estimation of small failure
    probabilities in high dimensions by subset simulation"; Cotter et al. 2013, "MCMC methods for
    functions", on the moves).

    Attributes:
        keep: the share of them that reach the next level.
        moved: the share of particles that should move in a level: it has as many moves as that
            takes at the acceptance of the level before.
        max_moves: the most moves in a level.
        data: "held" if a particle keeps the order of its data, and all other noise of training;
            "anew" if each move draws it again.
        below: a search ends where what is left is rarer than this.
    """

    keep: float = 0.25
    moved: float = 0.8
    max_moves: int = 16
    data: Literal["held", "anew"] = "anew"
    below: float = 1e-12

    def validate(self) -> None:
        super().validate()
        self.require(0 < self.keep <= 0.5, "keep", "above 0, at most 0.5")
        self.require(0 < self.moved < 1, "moved", "above 0 and below 1")
        self.require(self.max_moves >= 1, "max_moves", "at least 1")
        self.require(0 < self.below < 1, "below", "above 0 and below 1")

    def trainings(self, fraction: float) -> float:
        levels = max(math.log(fraction) / math.log(self.keep), 0.0)
        return self.replications * self.particles * (1 + TYPICAL_MOVES * levels)

    def replicate(
        self, problem: Problem, attempts: Sequence[Attempt]
    ) -> Iterator[tuple[int, Replication]]:
        chains = [_Chain(self, problem, attempt) for attempt in attempts]
        going, told = dict(enumerate(chains)), 0
        while True:
            for place, chain in list(going.items()):
                if chain.replication is not None:
                    del going[place]
                    yield place, chain.replication
            if not going:
                return
            left = [chain.left for chain in chains if chain.left]
            if (deepest := max(map(len, left), default=0)) > told:
                ends = sorted(fractions[-1] for fractions in left)
                problem.tell(
                    f"level {deepest}: {ends[0]:.2g} to {ends[-1]:.2g} of seeds, after "
                    f"{sum(chain.trained for chain in chains):,} trainings"
                )
                told = deepest
            # Side by side: what all chains ask for at once is trained at once.
            asked = [chain.asks for chain in going.values()]
            together = Noise(*map(np.concatenate, zip(*asked, strict=True)))
            answers = np.split(problem.scores(together), len(asked))
            for chain, answer in zip(going.values(), answers, strict=True):
                chain.answer(answer)

    def levels(
        self, problem: Problem, rng: np.random.Generator, left: list[float]
    ) -> Generator[Noise, Float[ndarray, " particle"], Replication]:
        """Ask for the scores of particles, level by level, and return the replication.

        It appends to `left` the fraction of seeds that each level holds.
        """
        count, levels = self.particles, []
        population = problem.fresh(count, rng)
        scores = yield population
        hits, size, ancestors, fraction = np.isposinf(scores).sum(), 0.5, np.arange(count), 1.0
        while fraction >= self.below:
            if (threshold := self.threshold(scores, levels)) is None:
                break
            kept = np.flatnonzero(scores > threshold)
            fraction *= len(kept) / count
            left.append(fraction)
            copied = kept[rng.permutation(count) % len(kept)]
            population = population.take(copied)
            scores, ancestors = scores[copied], ancestors[copied]
            moved, accepted = np.zeros(count, bool), []
            for _ in range(self._moves(levels)):
                proposed = self.move(population, size, rng)
                found = yield proposed
                takes = found > threshold
                population = _where(takes, proposed, population)
                scores, moved = np.where(takes, found, scores), moved | takes
                accepted.append(takes.mean())
                size = float(np.clip(size * np.exp(accepted[-1] - ACCEPTED), SMALLEST, LARGEST))
            level = _level(threshold, len(kept) / count, accepted, moved)
            levels.append(self.examined(level, problem, population, ancestors))
        share = np.isposinf(scores).mean()
        return Replication(
            fraction=fraction * float(share),
            bound=fraction * float(share or 1.0),
            trainings=count * (1 + sum(level.moves for level in levels)),
            fresh=count,
            hits=int(hits),
            ancestors=len(np.unique(ancestors[np.isposinf(scores)] if share else ancestors)),
            levels=tuple(levels),
        )

    def threshold(
        self, scores: Float[ndarray, " particle"], levels: Sequence[Level]
    ) -> float | None:
        """Return the score that the particles of the next level exceed, or None at the end."""
        if np.isposinf(scores).mean() >= self.keep:
            return None
        return threshold_of(scores, self.keep)

    def examined(
        self,
        level: Level,
        problem: Problem,
        population: Noise,
        ancestors: Int[ndarray, " particle"],
    ) -> Level:
        """Return a level with what is to be known of its particles."""
        del problem, population, ancestors
        return level

    def _moves(self, levels: Sequence[Level]) -> int:
        """Return the moves of the next level, by the acceptance of the one before."""
        # Not until enough have moved: to stop at that prefers moves that go well, which brought a
        # bias of 8 % at 100 particles and 1e-6.
        refused = 1 - ((levels[-1].acceptance if levels else None) or ACCEPTED)
        needed = math.log(1 - self.moved) / math.log(refused) if refused else 1
        return min(math.ceil(needed), self.max_moves)

    def move(self, population: Noise, size: float, rng: np.random.Generator) -> Noise:
        noise = noise_of(population.words)
        noise = np.sqrt(1 - size**2) * noise + size * rng.standard_normal(noise.shape)
        words = words_of(noise)
        anew = rng.integers(2**64, size=len(words), dtype=np.uint64)
        return Noise(words, anew if self.data == "anew" else population.seeds)


class _Chain:
    """A replication under way.

    Attributes:
        asks: the particles whose scores it needs next.
        left: the fraction of seeds that each of its levels holds.
        trained: how many particles it has trained.
        replication: what it has found, as soon as it has ended.
    """

    def __init__(self, search: SubsetSimulation, problem: Problem, attempt: Attempt):
        self.left: list[float] = []
        self.trained = 0
        self.replication: Replication | None = None
        self._levels = search.levels(problem, attempt.rng, self.left)
        self.asks = next(self._levels)
        for scores in attempt.scores:
            self._send(scores)
        self._attempt, self._committed = attempt, len(attempt.scores)
        self._scores: list[Float[ndarray, " particle"]] = []  # that are not committed
        self._since = time.monotonic()

    def answer(self, scores: Float[ndarray, " particle"]) -> None:
        """Go on with the scores of the particles that it asks for."""
        level = len(self.left)
        self._send(scores)
        self._scores.append(scores)
        ended = len(self.left) > level and self.replication is None
        if ended and time.monotonic() - self._since >= SECONDS:
            self._attempt.commit(self._committed, self._scores)
            self._committed += len(self._scores)
            self._scores, self._since = [], time.monotonic()

    def _send(self, scores: Float[ndarray, " particle"]) -> None:
        self.trained += len(scores)
        try:
            self.asks = self._levels.send(scores)
        except StopIteration as end:
            self.replication = end.value


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


def _level(threshold: float, share: float, accepted: list[float], moved: ndarray) -> Level:
    return Level(
        threshold=float(threshold),
        share=share,
        moves=len(accepted),
        acceptance=float(np.mean(accepted)),
        moved=float(moved.mean()),
    )


def _where(takes: Bool[ndarray, " particle"], new: Noise, old: Noise) -> Noise:
    words: UInt32[ndarray, "particle word"] = np.where(takes[:, None], new.words, old.words)
    seeds: UInt64[ndarray, " particle"] = np.where(takes, new.seeds, old.seeds)
    return Noise(words, seeds)
