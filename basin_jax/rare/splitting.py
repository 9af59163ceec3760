"""Splitting: particles that come nearer to the event on their way are cloned on the way."""

import math
import operator
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from basin_jax.rare.estimate import Level, Replication
from basin_jax.rare.particles import Particles
from basin_jax.rare.problem import Attempt, Problem, Search
from basin_jax.rare.scores import Peak, Score


# The bytes that the states of all particles at all stops may take.
STATES = 2**32
# The starts from which training is tried for noise.
TRIED = 8


class Splitting(Search):
    """Search over the noise of training, by clones that draw their data anew.

    Adaptive multilevel splitting in discrete time (Cérou & Guyader 2007, "Adaptive multilevel
    splitting for rare event analysis"; Bréhier et al. 2016, "Unbiasedness of some generalized
    adaptive multilevel splitting algorithms"): again and again, the particles whose score has
    peaked lowest are replaced by clones of others, which go on from the first stop at which these
    were beyond that. The estimate is unbiased for any score. It needs training that draws, such as
    minibatches or noise: clones of a deterministic training would be copies.

    Attributes:
        keep: the share of particles that are not replaced.
        below: a search ends where what is left is rarer than this.
    """

    keep: float = 0.5
    below: float = 1e-12

    def validate(self) -> None:
        super().validate()
        self.require(0 < self.keep < 1, "keep", "above 0 and below 1")
        self.require(0 < self.below < 1, "below", "above 0 and below 1")

    def expect(self, particles: Particles) -> None:
        seeds, last = np.arange(2 * TRIED, dtype=np.uint64), particles.sweep.num_steps
        starts = np.repeat(seeds[:TRIED], 2)
        state = particles.begin(particles.words_of(starts), starts)
        each = sum(x[0].nbytes for x in jax.tree.leaves(state))
        stops = len({0, *particles.sweep.stops})
        if (needed := self.particles * stops * each) > STATES:
            self.refuse(
                "particles",
                f"at most {STATES // (stops * each)}, as the states of a particle at {stops} stops "
                f"take {stops * each / 1e6:.3g} MB, of all {needed / 1e9:.3g} GB of at most "
                f"{STATES / 1e9:.3g}; or fewer stops, by save_at",
            )
        # Pairs of one start, each of which has noise of its own from there on.
        after, _ = particles.advance(state, seeds, first=0, last=last)
        if all(np.array_equal(x[::2], x[1::2], equal_nan=True) for x in jax.tree.leaves(after)):
            raise ValueError(
                "training draws no random numbers, so that clones would be copies; allowed for "
                "Splitting: training with minibatches or noise, and vary = 'both' or 'data'"
            )

    def spread(self, num_steps: int, count: int) -> Float[ndarray, " stop"]:
        # Noise may carry a particle over at any time, and clones begin at stops.
        return np.linspace(1, num_steps, count)

    def accepts(self, score: Score) -> bool:
        # Known at each stop, from this stop alone.
        return isinstance(score, Peak)

    def expect_score(self, score: Score) -> None:
        if not self.accepts(score):
            raise ValueError(f"score = {score!r}; allowed for Splitting: Peak, known at each stop")

    def trainings(self, fraction: float) -> float:
        # A clone goes on from somewhere along the way: half of it, say.
        levels = max(math.log(fraction) / math.log(self.keep), 0.0)
        return self.replications * self.particles * (1 + (1 - self.keep) / 2 * levels)

    def replicate(
        self, problem: Problem, attempts: Sequence[Attempt]
    ) -> Iterator[tuple[int, Replication]]:
        for place, attempt in enumerate(attempts):
            yield place, self._replication(problem, attempt.rng)

    def _replication(self, problem: Problem, rng: np.random.Generator) -> Replication:
        count, levels, fraction = self.particles, [], 1.0
        paths = _Paths(problem, count, rng)
        hits, ancestors = int(paths.events.sum()), np.arange(count)
        while True:
            peaks, share = paths.scores.max(1), paths.events.mean()
            # Known without a look at what is beyond it, or the estimate had a bias: so also the
            # last level, which is the event.
            threshold = np.sort(peaks)[count - max(int(self.keep * count), 1) - 1]
            kept = np.flatnonzero(peaks > threshold)
            if np.isposinf(threshold) or not len(kept) or fraction < self.below:
                break
            fraction *= len(kept) / count
            replaced = np.flatnonzero(peaks <= threshold)
            parents = kept[rng.integers(len(kept), size=len(replaced))]
            ancestors[replaced] = ancestors[parents]
            paths.clone(replaced, parents, threshold, rng)
            levels.append(Level(threshold=float(threshold), share=len(kept) / count))
        last = paths.events if share else np.ones(count, bool)
        return Replication(
            fraction=fraction * float(share),
            bound=fraction * float(share or 1.0),
            trainings=round(paths.steps / max(problem.particles.sweep.num_steps, 1)),
            fresh=count,
            hits=hits,
            ancestors=len(np.unique(ancestors[last])),
            levels=tuple(levels),
        )


class _Paths:
    """The states and scores of particles at all stops."""

    def __init__(self, problem: Problem, count: int, rng: np.random.Generator):
        self._problem, self._particles = problem, problem.particles
        self._stops = (0, *(stop for stop in self._particles.sweep.stops if stop))
        noise = problem.fresh(count, rng)
        begun, self.steps = self._particles.begin(*noise), 0
        self._probes = noise.seeds.copy()
        shape = count, len(self._stops)
        self._states = jax.tree.map(lambda x: np.empty((*shape, *x.shape[1:]), x.dtype), begun)
        self.scores, self.events = np.full(shape, -np.inf), np.zeros(count, bool)
        self._put(np.arange(count), 0, begun)
        self._go_on(np.arange(count), np.zeros(count, int), noise.seeds)

    def clone(
        self, replaced: ndarray, parents: ndarray, threshold: float, rng: np.random.Generator
    ) -> None:
        """Replace particles by clones, which go on from their first stop above a threshold."""
        first = np.argmax(self.scores[parents] > threshold, axis=1)

        def copy(x: ndarray) -> None:
            x[replaced] = x[parents]

        jax.tree.map(copy, self._states)
        copy(self.scores)
        copy(self.events)
        # What a seed draws once is its past: were it drawn anew, a clone would not go on from what
        # raised its parent.
        copy(self._probes)
        seeds = rng.integers(2**64, size=len(replaced), dtype=np.uint64)
        self._go_on(replaced, first, seeds)

    def _go_on(self, which: ndarray, first: Int[ndarray, " particle"], seeds: ndarray) -> None:
        """Train particles from their first stop on to the end."""
        for place, (stop, following) in enumerate(zip(self._stops, self._stops[1:], strict=False)):
            due = which[first <= place]
            if not len(due):
                continue
            state = jax.tree.map(operator.itemgetter((due, place)), self._states)
            given = {"first": stop, "last": following, "probes": self._probes[due]}
            state, evidence = self._particles.advance(state, seeds[first <= place], **given)
            self._put(due, place + 1, state)
            self.steps += len(due) * (following - stop)
            self._measure(due, place + 1, {n: x[:, None] for n, x in evidence.items()})

    def _put(self, which: ndarray, place: int, state: Any) -> None:
        def put(x: ndarray, new: ndarray) -> None:
            x[which, place] = new

        jax.tree.map(put, self._states, state)

    def _measure(
        self, which: ndarray, place: int, evidence: dict[str, Float[ndarray, "particle stop"]]
    ) -> None:
        scores = self._problem.score.of(evidence, (self._stops[place],))
        if place == len(self._stops) - 1:
            self.events[which] = self._problem.events(evidence)
            scores = np.where(self.events[which], np.inf, scores)
        self.scores[which, place] = scores
