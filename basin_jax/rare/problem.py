"""The problem of a search: an event of which particles are to be counted."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, UInt32, UInt64
from numpy import ndarray

from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Rule, Verdict, judge
from basin_jax.rare.particles import Particles
from basin_jax.rare.scores import Score


# Stops of a sweep that has none of its own, by which scores are graded.
NUM_STOPS = 64


class Request(NamedTuple):
    """Ask for the scores of particles."""

    words: UInt32[ndarray, "particle word"]
    seeds: UInt64[ndarray, " particle"]


# A search, as it asks for scores and returns what it found.
Search: TypeAlias = Generator[Request, Float[ndarray, " particle"], Any]


def with_stops(sweep: Sweep) -> Sweep:
    """Give a sweep stops along its way, unless it has its own: dense at first, as training is."""
    if sweep.save_at or sweep.num_steps < 2:
        return sweep
    steps = np.geomspace(1, sweep.num_steps, min(NUM_STOPS, sweep.num_steps))
    return sweep.replace(save_at=(0, *sorted({int(step) for step in steps} - {sweep.num_steps})))


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

    def scores(self, request: Request) -> Float[ndarray, " particle"]:
        """Train particles, and score them: infinite in the event."""
        evidence = self.particles.evidence(*request)
        scores = self.score.of(evidence, self.particles.sweep.stops)
        return np.where(self.events(evidence), np.inf, scores)

    def run(self, searches: Sequence[Search]) -> list[Any]:
        """Run searches side by side: what they ask for at once is trained at once."""
        asked = {place: next(search) for place, search in enumerate(searches)}
        results: dict[int, Any] = {}
        while asked:
            together = Request(*map(np.concatenate, zip(*asked.values(), strict=True)))
            ends = np.cumsum([len(request.seeds) for request in asked.values()])[:-1]
            answers = np.split(self.scores(together), ends)
            for place, answer in zip(list(asked), answers, strict=True):
                try:
                    asked[place] = searches[place].send(answer)
                except StopIteration as end:
                    results[place] = end.value
                    del asked[place]
        return [results[place] for place in range(len(searches))]
