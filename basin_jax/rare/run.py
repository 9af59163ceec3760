"""Estimate a rare fraction: choose a score, replicate a search, and give the interval."""

import numpy as np

from basin_jax.core.arguments import checked
from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Rule, Verdict
from basin_jax.rare.audition import audition
from basin_jax.rare.estimate import RareEstimate, rare_estimate
from basin_jax.rare.particles import Particles
from basin_jax.rare.problem import Problem, with_stops
from basin_jax.rare.scores import Score
from basin_jax.rare.subset import SubsetSimulation
from basin_jax.statistics.estimates import as_verdict, estimate


@checked
def estimate_rare(
    sweep: Sweep,
    *,
    rule: Rule,
    of: Verdict | str | int = Verdict.DECEPTIVE,
    method: SubsetSimulation | None = None,
    score: Score | None = None,
    root: int = 0,
    level: float = 0.95,
    lanes: int | None = None,
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

    Raises:
        ValueError: if the method cannot search the sweep, or no score tells its particles apart.
    """
    method, verdict = method or SubsetSimulation(), as_verdict(of)
    particles = Particles(with_stops(sweep), lanes=lanes)
    if not particles.num_words:
        raise ValueError(
            f"start = {sweep.start!r} draws no random numbers; allowed for subset simulation: a "
            "start that does"
        )
    pilot = 0
    if score is None:
        tried = audition(particles, rule, verdict, np.random.default_rng([root, 0]))
        score, pilot = tried.chosen, tried.trainings
    problem = Problem(particles=particles, rule=rule, of=verdict, score=score)
    replications = problem.run(
        [
            method.search(problem, np.random.default_rng([root, 1, number]))
            for number in range(method.replications)
        ]
    )
    hits, fresh = (sum(getattr(r, name) for r in replications) for name in ("hits", "fresh"))
    return rare_estimate(
        replications,
        bracket=estimate(hits, fresh, level=level),
        method=repr(method),
        score=repr(score),
        pilot=pilot,
        level=level,
    )
