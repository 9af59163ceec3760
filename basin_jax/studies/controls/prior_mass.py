"""Ticket races and perceptrons, of which the prior mass of either kind is known.

In a race of one deceptive ticket against one honest one, the prior's scale of the deceptive ticket
may be larger. Then the prior holds far more of it, while training chooses by the start's lead.
"""

import math
from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy import ndarray
from scipy.special import ndtr

from basin_jax.core.fresh import Fresh
from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import UNJUDGED
from basin_jax.methods.early_stopping import EarlyStopping
from basin_jax.methods.gradient import Gradient
from basin_jax.methods.guess_and_check import GuessAndCheck
from basin_jax.organisms.local_mass import LocalMass
from basin_jax.organisms.perceptron import Perceptron
from basin_jax.organisms.ticket_race import TicketRace
from basin_jax.rules.behavior import Behavior
from basin_jax.starts.trained import Trained
from basin_jax.studies.framework.lab import Group, Lab, Outcome
from basin_jax.studies.framework.rows import HALF, Row, median, ranked, share


SCALE, RATIO = 0.3, 2.0
FEW = 3  # honest tickets in the race of equal scales
LOSS = 0.02  # a race fits where f is within .2 of 1
NEAR = 0.2
RACES = {
    f"honest={FEW}": TicketRace(honest=FEW, scale=SCALE),
    f"ratio={RATIO:g}": TicketRace(scale=SCALE, ratio=RATIO),
}
SAID = {
    f"honest={FEW}": f"race of 1 deceptive ticket against {FEW}",
    f"ratio={RATIO:g}": f"race of a deceptive ticket with {RATIO:g} times the prior's scale",
}
# Of training, the largest start wins; of the prior, by symmetry one of equals.
TRAINED = {
    f"honest={FEW}": 1 / (1 + FEW),
    f"ratio={RATIO:g}": (math.pi - math.atan(1 / RATIO)) / (1.5 * math.pi),
}
# Of the weights of a perceptron of three bits that err nowhere where it is watched, those that
# err elsewhere and those that do not, as shares of the sphere.
ERR = 1 / 48
SOUND = 2 * math.atan(0.5 / (1.5 + math.sqrt(2))) / (4 * math.pi)
RIGHT = math.log(2) / 4  # the least loss with a wrong answer where it is watched
SCALES = (0.01, 1.0)  # of the starts of perceptrons
RULE = Behavior(deceptive_gap=0.2)
KINDS = {"deceptive": True, "honest": False}


def groups(seeds: int) -> dict[str, Group]:
    """Return races and perceptrons, trained and measured, and guessed."""
    # Rays cost little here.
    measured = {
        name: _measured(
            Sweep(organism=race, method=Gradient(learning_rate=0.1), num_steps=10_000),
            LocalMass(organism=race, bar=1 - NEAR**2, rays=512),
        )
        for name, race in RACES.items()
    }
    perceptrons = {
        f"scale={scale:g}": _measured(
            Sweep(
                organism=Perceptron(),
                start=Fresh(scale=scale),
                method=EarlyStopping(method=Gradient(learning_rate=0.1), threshold=RIGHT),
                num_steps=1000,
            ),
            LocalMass(organism=Perceptron(), bar=1.0, gap=0.2, rays=2048),
        )
        for scale in SCALES
    }
    guessed = {
        name: Sweep(organism=race, method=GuessAndCheck(threshold=LOSS), num_steps=2000)
        for name, race in RACES.items()
    }
    return {
        "races": Group(cells=measured, seeds=seeds, rule=Behavior()),
        "perceptrons": Group(cells=perceptrons, seeds=seeds, rule=RULE),
        "guessed": Group(cells=guessed, seeds=seeds, rule=Behavior()),
    }


def masses() -> tuple[float, float]:
    """Compute the prior mass of fitting races with a larger deceptive ticket: deceptive, honest.

    It is integrated over the weight of one ticket, on a grid, for all weights of the other.
    """
    grid = np.linspace(-8, 8, 160_001)
    found = []
    for own, other in ((RATIO * SCALE, SCALE), (SCALE, RATIO * SCALE)):
        smaller = other * grid  # the weight of the ticket that does not lead
        low, high = (np.cbrt(1 + way * NEAR - smaller**3) for way in (-1, 1))
        low = np.maximum(low, smaller)  # the leader's weight is larger
        inside = np.maximum(ndtr(high / own) - ndtr(low / own), 0)
        density = np.exp(-(grid**2) / 2) / math.sqrt(2 * math.pi)
        found.append(float((inside * density).sum() * (grid[1] - grid[0])))
    return found[0], found[1]


def prior_share(race: str) -> float:
    """Compute the share of the prior mass of fitting races that the deceptive ticket leads."""
    if race == f"honest={FEW}":
        return 1 / (1 + FEW)
    deceptive, honest = masses()
    return deceptive / (deceptive + honest)


def rows(lab: Lab) -> Iterator[Row]:
    """Yield who wins by training, by guessing and by local mass."""
    for race, said in SAID.items():
        frame = fitting(lab["races"], race)
        leads = frame["leader"].to_numpy() == 1
        key, label = f"ticket-race/{race}", f"{said}, trained: the deceptive one leads"
        yield share(f"{key}/trained", label, leads, kind="known", expected=TRAINED[race])
        found = lab["guessed"].at(race).filter(~pl.col("verdict").is_in(_LOST))
        label, expected = f"{said}, guessed: the deceptive one leads", prior_share(race)
        guessed = found["leader"].to_numpy() == 1
        yield share(f"{key}/guessed", label, guessed, kind="known", expected=expected)
        label = f"{said}: AUC of local mass, deceptive against honest ends"
        terms = {"kind": "known", "expected": HALF} if race == f"honest={FEW}" else {}
        log_mass = frame["bar_log_mass"].to_numpy()
        yield ranked(f"{key}/AUC", label, log_mass, leads, **terms)
        if race == f"honest={FEW}":
            continue
        for (kind, leading), mass in zip(KINDS.items(), masses(), strict=True):
            label = f"{said}, {kind} ends: log of local mass less that of all such races, median"
            beyond = log_mass[leads == leading] - math.log(mass)
            yield median(f"{key}/{kind}/local-less-all", label, beyond, num_intervals=len(KINDS))
    yield from _perceptrons(lab["perceptrons"])


def _perceptrons(trained: Outcome) -> Iterator[Row]:
    covered = []
    for scale in SCALES:
        frame = fitting(trained, f"scale={scale:g}", fit=1.0)
        errs = frame["unwatched"].to_numpy() > RULE.deceptive_gap
        label = f"perceptrons trained from scale {scale:g}: err where not watched"
        yield share(f"perceptron/scale={scale:g}/errs", label, errs, num_intervals=len(SCALES))
        low, high = (frame[f"bar_{end}"].to_numpy() for end in ("low", "high"))
        known = known_log_mass(errs)
        covered.append((low <= known) & (known <= high))
    yield share(
        "perceptron/covered",
        "perceptrons: 95 % interval of local mass contains the mass of all of the kind",
        np.concatenate(covered),
        kind="known",
        expected=0.95,
    )


def known_log_mass(errs: ndarray) -> ndarray:
    """Return the log of the prior mass of all fitting perceptrons of a kind: each is convex."""
    return np.where(errs, math.log(ERR), math.log(SOUND))


def fitting(trained: Outcome, cell: str, *, fit: float = 1 - NEAR**2) -> pl.DataFrame:
    """Return a cell's seeds that fit."""
    return trained.at(cell).filter(pl.col("fit") >= fit, ~pl.col("verdict").is_in(_LOST))


def _measured(sweep: Sweep, organism: LocalMass) -> Sweep:
    """Return the sweep that measures where another ends."""
    start = Trained(of=sweep)
    return sweep.replace(organism=organism, start=start, num_steps=0)


_LOST = [verdict.name for verdict in UNJUDGED]
