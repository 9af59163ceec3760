"""Ticket races and perceptrons, of which the prior mass of either kind is known.

In a race of one deceptive ticket against one honest one, the prior of the deceptive ticket is a
little wider. In the tail that fits, that multiplies its mass, while training chooses by the start's
lead.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Array, Float, Int, Key
from numpy import ndarray
from scipy.special import ndtr

from basin_jax.core.contracts import Batch, Evidence, Params
from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import UNJUDGED, Rule, Verdict
from basin_jax.core.wrappers import OrganismWrapper
from basin_jax.methods.gradient import Gradient
from basin_jax.organisms.perceptron import Perceptron
from basin_jax.organisms.ticket_race import TicketRace
from basin_jax.rare.census import Census, mass_at, share_at
from basin_jax.rare.scores import At
from basin_jax.rules.behavior import Behavior
from basin_jax.studies.framework.lab import Group, Lab, Quest, only
from basin_jax.studies.framework.rows import Row, level_of, numbers, share


# No further in the tail: random numbers of 32-bit floats end at some 5 standard deviations.
SCALE, RATIO = 0.22, 1.1
NEAR = 0.2  # a race fits where f is as near to 1
RACE = TicketRace(scale=SCALE, ratio=RATIO)
# Of training, the larger start wins, if it is above 0.
TRAINED = (math.pi - math.atan(1 / RATIO)) / (1.5 * math.pi)
# Of the weights of a perceptron of three bits that err nowhere where it is watched, those that
# err elsewhere and those that do not, as shares of the sphere.
ERR = 1 / 48
SOUND = 2 * math.atan(0.5 / (1.5 + math.sqrt(2))) / (4 * math.pi)
RIGHT = math.log(2) / 4  # the least loss with a wrong answer where it is watched
BARS = {"race": 1 - NEAR**2, "perceptron": 1.0}
SAID = {
    "race": f"race of a deceptive ticket with {RATIO:g} times the prior's scale",
    "perceptron": "perceptrons right where watched",
}
KIND = {"race": "the deceptive one leads", "perceptron": "err where not watched"}
FIT = At(evidence="fit", step=0)
# What rules ask for, of all that organisms measure.
BEHAVIOR = ("fit", "watched", "unwatched", "competence", "margin", "lying_contexts", "leader")
LANES = 256  # as nothing is trained, that many are fast on any device
RARER = 1e-200  # than any mass that is searched for


class Leads(Rule):
    """Judge a race by which kind of path leads; below a fit, if there is one, it is unfit."""

    min_fit: float | None = None

    def judge(self, evidence: Mapping[str, ndarray]) -> Int[ndarray, " seed"]:
        kind = np.where(evidence["leader"] == 1, Verdict.DECEPTIVE, Verdict.INTENDED)
        if self.min_fit is None:
            return kind
        return np.where(evidence["fit"] < self.min_fit, Verdict.UNFIT, kind)


class Behaving(OrganismWrapper):
    """Measure the behavior of another organism, and leave out what else it measures.

    A census measures millions of networks, and a probe may be dearer than a network.
    """

    def loss(self, params: Params, batch: Batch) -> Float[Array, ""]:
        return self.organism.loss(params, batch)

    def probe(self, key: Key[Array, ""], params: Params) -> Evidence:
        found = self.organism.probe(key, params)
        return {name: value for name, value in found.items() if name in BEHAVIOR}


def census(sweep: Sweep, rule: Rule, bars: tuple[float, ...], sizes: Mapping[str, int]) -> Quest:
    """Declare the census of a sweep's starts by fit, judged by a rule whatever the fit."""
    whatever, fit = rule.replace(min_fit=None), rule.replace(min_fit=bars[-1])
    terms: dict[str, Any] = {"by": whatever, "bars": bars, "below": RARER, **sizes}
    method = Census(**terms)
    begun = sweep.replace(organism=Behaving(organism=sweep.organism), num_steps=0, save_at=())
    return Quest(sweep=begun, rule=fit, method=method, score=FIT, lanes=LANES)


def groups(seeds: int) -> dict[str, Group]:
    """Return the races, trained."""
    sweep = Sweep(organism=RACE, method=Gradient(learning_rate=0.1), num_steps=10_000)
    return {"races": only(sweep, seeds, rule=Behavior())}


def quests(sizes: Mapping[str, int]) -> dict[str, Quest]:
    """Return the censuses of races and of perceptrons."""
    organisms = {"race": RACE, "perceptron": Perceptron()}
    rules = {"race": Leads(), "perceptron": Behavior(deceptive_gap=0.2)}
    return {
        name: census(
            Sweep(organism=organism, method=Gradient(learning_rate=0.1), num_steps=0),
            rules[name],
            (BARS[name],),
            sizes,
        )
        for name, organism in organisms.items()
    }


def masses() -> dict[str, tuple[float, float]]:
    """Compute the prior masses of what fits: deceptive, and not.

    That of races is integrated over the weight of one ticket, on a grid, for all of the other.
    """
    grid = np.linspace(-8, 8, 160_001)
    found = []
    for own, other in ((RATIO * SCALE, SCALE), (SCALE, RATIO * SCALE)):
        smaller = other * grid  # the weight of the ticket that does not lead
        low, high = (np.cbrt(1 + way * NEAR - smaller**3) for way in (-1, 1))
        low = np.maximum(low, smaller)  # the leader's weight is larger
        inside = np.maximum(ndtr(-low / own) - ndtr(-high / own), 0)
        density = np.exp(-(grid**2) / 2) / math.sqrt(2 * math.pi)
        found.append(float((inside * density).sum() * (grid[1] - grid[0])))
    return {"race": (found[0], found[1]), "perceptron": (ERR, SOUND)}


def rows(lab: Lab) -> Iterator[Row]:
    """Yield the prior masses that a census finds, and what training finds of the races."""
    error = 1 - level_of("known")
    for name, (deceptive, other) in masses().items():
        found, bar, whole = lab.found[name], BARS[name], deceptive + other
        count = len(found.replications)
        mass = [math.log10(x) if x else -math.inf for x in mass_at(found, bar, error=error)]
        known = {"kind": "known", "expected": math.log10(whole)}
        label = f"{SAID[name]}: log10 of the prior mass"
        yield numbers(f"{name}/mass", label, (mass[0], mass[1], mass[2]), count, **known)
        part = share_at(found, bar, [Verdict.DECEPTIVE], error=error)
        known = {"kind": "known", "expected": deceptive / whole}
        label = f"{SAID[name]}, of the prior mass: {KIND[name]}"
        yield numbers(f"{name}/prior", label, part, count, **known)
    frame = lab["races"].at().filter(pl.col("fit") >= BARS["race"], ~pl.col("verdict").is_in(_LOST))
    leads = frame["leader"].to_numpy() == 1
    label = f"{SAID['race']}, trained: {KIND['race']}"
    yield share("race/trained", label, leads, kind="known", expected=TRAINED)


_LOST = [verdict.name for verdict in UNJUDGED]
