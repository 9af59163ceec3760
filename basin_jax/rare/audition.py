"""Choose the score of a search on pilot particles, which never enter an estimate."""

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.stats import rankdata

from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Rule, Verdict
from basin_jax.rare.estimate import Replication
from basin_jax.rare.particles import Particles
from basin_jax.rare.problem import Attempt, Problem, Search
from basin_jax.rare.scores import At, Mean, Peak, Score, SettlingTime, Side, fit_logistic


# Fresh particles of a pilot, and the events among them from which on they judge the scores.
FRESH, EVENTS = 1000, 20
# Particles of a pilot's search.
CHAINS = 100
# The rank correlation from which on two scores are one.
ALIKE = 0.99


@dataclass(frozen=True, kw_only=True)
class Audition:
    """The scores that were tried on pilot particles.

    Attributes:
        chosen: the best of them.
        by: "top decile" if the fresh particles held enough events, and else "chains".
        merits: of each score, the share of its top decile in the event; or how many trainings a
            small search took to the event, negative, and None if it did not come to it.
        trainings: what it cost.
    """

    chosen: Score
    by: str
    merits: tuple[tuple[Score, float | None], ...]
    trainings: int


def candidates(sweep: Sweep, problem: Problem, evidence: dict[str, np.ndarray]) -> list[Score]:
    """Return the scores that a sweep's evidence allows, each of which tells particles apart."""
    stops = sweep.stops
    events = problem.events(evidence)
    calm = ~events
    found: list[Score] = []
    for name, threshold in (("margin", 0.0), ("fit", 0.5), ("unwatched", 0.5)):
        if name not in evidence:
            continue
        high = np.nanmedian(evidence[name][calm, -1]) > threshold
        side: Side = "below" if high else "above"
        found += [
            SettlingTime(evidence=name, harmful=side, threshold=threshold),
            Peak(evidence=name, harmful=side),
            Mean(evidence=name, harmful=side),
            *(
                At(evidence=name, harmful=side, step=stops[int(len(stops) * share)])
                for share in (0.5, 0.75)
            ),
        ]
    if found:
        near = events if events.sum() >= EVENTS else _top_decile(found[0].read(evidence)[:, -1])
        # Fitted on half of the particles: the other half judges it.
        half = {name: values[::2] for name, values in evidence.items()}
        fitted = fit_logistic(half, near[::2], max(len(stops) // 2, 1))
        found += [fitted] if fitted is not None else []
    graded: list[Score] = []
    ranks: list[np.ndarray] = []
    for score in found:
        values = score.of(evidence, stops)
        # A score that cannot tell half of the particles from the rest makes no level.
        if 2 * np.unique(values, return_counts=True)[1].max() > len(values):
            continue
        places = rankdata(values)
        if all(np.corrcoef(places, other)[0, 1] < ALIKE for other in ranks):
            graded.append(score)
            ranks.append(places)
    return graded


def audition(
    particles: Particles,
    rule: Rule,
    of: Verdict,
    method: Search,
    rng: np.random.Generator,
) -> Audition:
    """Try scores on pilot particles.

    Args:
        particles: trains the particles.
        rule, of: the event.
        method: the search that a score is to guide.
        rng: draws the pilot particles.

    Raises:
        ValueError: if no score tells the particles apart.
    """
    problem = Problem(particles=particles, rule=rule, of=of, score=Peak())
    evidence = particles.evidence(*problem.fresh(FRESH, rng))
    events = problem.events(evidence)
    tried = [s for s in candidates(particles.sweep, problem, evidence) if method.accepts(s)]
    if not tried:
        raise ValueError(
            "no score tells the particles apart: margin, fit and unwatched have one value along "
            "the way; allowed: a score of other evidence, or save_at with steps in which it moves"
        )
    if events.sum() >= EVENTS:
        judges = {name: values[1::2] for name, values in evidence.items()}
        scores = [score.of(judges, particles.sweep.stops) for score in tried]
        merits = [float(events[1::2][_top_decile(values)].mean()) for values in scores]
        by, trainings = "top decile", FRESH
    else:
        small = method.replace(particles=CHAINS)
        problems = [replace(problem, score=score) for score in tried]
        ran = [_once(small, guided, rng.spawn(1)[0]) for guided in problems]
        merits = [-float(r.trainings) if r.fraction else None for r in ran]
        by, trainings = "chains", FRESH + sum(r.trainings for r in ran)
    ranks = [-math.inf if merit is None else merit for merit in merits]
    chosen = tried[int(np.argmax(ranks))]
    return Audition(
        chosen=chosen, by=by, merits=tuple(zip(tried, merits, strict=True)), trainings=trainings
    )


def _once(search: Search, problem: Problem, rng: np.random.Generator) -> Replication:
    ((_, replication),) = search.replicate(problem, [Attempt(rng=rng)])
    return replication


def _top_decile(values: Float[ndarray, " particle"]) -> Bool[ndarray, " particle"]:
    """Return which particles have the highest values."""
    top = np.zeros(len(values), bool)
    top[np.argsort(values, kind="stable")[-len(values) // 10 :]] = True
    return top
