"""Estimate a rare fraction: choose a score, replicate a search, and give the interval."""

import functools
from collections.abc import Callable
from os import PathLike

import jax
import numpy as np

from basin_jax.core.arguments import checked
from basin_jax.core.identity import evidence_names
from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Rule, Verdict, judge
from basin_jax.engine.backends import LANES
from basin_jax.rare.audition import audition
from basin_jax.rare.estimate import RareEstimate, Replication, rare_estimate
from basin_jax.rare.particles import Particles
from basin_jax.rare.problem import Attempt, Problem, Search
from basin_jax.rare.scores import Score
from basin_jax.rare.store import Searches, identity_of
from basin_jax.rare.subset import SubsetSimulation
from basin_jax.statistics.estimates import as_verdict, estimate


# Blocks of lanes that replications fill together: the last one is half empty, say.
BLOCKS = 16


@checked
def fraction(
    sweep: Sweep,
    *,
    rule: Rule,
    of: Verdict | str | int = Verdict.DECEPTIVE,
    method: Search | None = None,
    score: Score | None = None,
    root: int = 0,
    level: float = 0.95,
    lanes: int | None = None,
    folder: str | PathLike[str] | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> RareEstimate:
    """Estimate the fraction of a sweep's seeds that have a rare verdict.

    Args:
        sweep: the sweep. Without `save_at` it is probed along the way at steps of its own.
        rule: the decision rule.
        of: the verdict.
        method: how it is searched for.
        score: what guides the search; chosen on pilot particles if None.
        root: what all random numbers of the search are drawn of.
        level: the nominal coverage of the interval.
        lanes: the number of lanes; measured if None.
        folder: where replications are committed, and those of the same search are found again.
        tell: called with a line for each replication.

    Raises:
        ValueError: if an argument is not allowed, the rule or the score needs evidence that is not
            there, the method cannot search the sweep, or no score tells its particles apart.
        StoreError: if the folder cannot be used.
    """
    method, verdict = method or SubsetSimulation(), as_verdict(of)
    guided = method.with_stops(sweep)
    _expect(guided, rule, verdict, score, method, root=root, level=level, lanes=lanes)
    particles = Particles(guided, lanes=lanes)
    method.expect(particles)
    store = None
    if folder is not None:
        store = Searches(folder, identity_of(guided, rule, verdict, method, score, root))
    pilot = 0
    if score is None:
        tried = store and store.audition()
        if tried is None:
            tell("choosing a score on pilot particles")
            tried = audition(particles, rule, verdict, method, np.random.default_rng([root, 0]))
            if store is not None:
                store.commit_audition(tried)
        score, pilot = tried.chosen, tried.trainings
    problem = Problem(particles=particles, rule=rule, of=verdict, score=score, tell=tell)
    replications = _replicate(method, problem, root, store, tell)
    hits, fresh = (sum(getattr(r, name) for r in replications) for name in ("hits", "fresh"))
    return rare_estimate(
        replications,
        bracket=estimate(hits, fresh, level=level),
        method=repr(method),
        score=repr(score),
        pilot=pilot,
        level=level,
    )


def _expect(
    sweep: Sweep,
    rule: Rule,
    of: Verdict,
    score: Score | None,
    method: Search,
    *,
    root: int,
    level: float,
    lanes: int | None,
) -> None:
    """Raise `ValueError` for what would otherwise be noticed after long training."""
    if of == Verdict.ERROR:
        raise ValueError("of = ERROR; allowed: a verdict that a rule gives")
    if not 0 <= root < 2**63:
        raise ValueError(f"root = {root}; allowed: 0 to 2**63 - 1")
    if not 0 < level < 1:
        raise ValueError(f"level = {level}; allowed: above 0 and below 1")
    if lanes is not None and not 1 <= lanes <= LANES:
        raise ValueError(f"lanes = {lanes}; allowed: at least 1, at most {LANES}")
    nothing = {name: np.zeros((2, len(sweep.stops))) for name in evidence_names(sweep)}
    judge(rule, {name: values[:, -1] for name, values in nothing.items()})
    if score is not None:
        method.expect_score(score)
        score.of(nothing, sweep.stops)


def _replicate(
    method: Search, problem: Problem, root: int, store: Searches | None, tell: Callable[[str], None]
) -> list[Replication]:
    """Return all replications: those that are stored, and the others side by side."""
    found = {n: store.replication(n) if store else None for n in range(method.replications)}
    missing = [number for number, replication in found.items() if replication is None]
    # No more at once than fill the devices, so that one after the other is committed.
    width = problem.particles.lanes * jax.local_device_count()
    at_once = max(1, BLOCKS * width // method.particles)
    for first in range(0, len(missing), at_once):
        numbers = missing[first : first + at_once]
        attempts = [_attempt(method, root, store, number) for number in numbers]
        for place, replication in method.replicate(problem, attempts):
            number = numbers[place]
            found[number] = replication
            if store is not None:
                store.commit(number, replication)
            tell(f"replication {number + 1} of {len(found)}: {replication.fraction:.3g}")
    return [replication for replication in found.values() if replication is not None]


def _attempt(method: Search, root: int, store: Searches | None, number: int) -> Attempt:
    """Return what a replication begins with: what a run that was stopped has committed of it."""
    rng = np.random.default_rng([root, 1, number])
    if store is None:
        return Attempt(rng=rng)
    return Attempt(
        rng=rng,
        scores=store.scores(number, method.particles),
        commit=functools.partial(store.commit_scores, number),
    )
