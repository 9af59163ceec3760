"""Races of tickets: the start decides the winner, and each ticket's chance is known.

A deceptive ticket that races against honest ones is there at the start, but outnumbered.
"""

import math

import numpy as np
import polars as pl
from jaxtyping import Bool
from numpy import ndarray

from basin_jax.core.fresh import Fresh
from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import UNJUDGED
from basin_jax.methods.gradient import Gradient
from basin_jax.methods.guess_and_check import GuessAndCheck
from basin_jax.methods.masked import Masked
from basin_jax.organisms.drift import Drift
from basin_jax.organisms.ticket_race import TicketRace
from basin_jax.rules.behavior import Behavior
from basin_jax.starts.anchored import Anchored
from basin_jax.starts.ticket import Ticket
from basin_jax.studies.controls.double_well import RULE
from basin_jax.studies.framework.lab import Group, Lab, is_fit, only
from basin_jax.studies.framework.rows import Row, largest_error, share


FEW = 3  # honest tickets where races are found by guessing
# Of `sweeps/known_answers/ticket_race.py`, in the small.
DECEPTIVE, HONEST = 2, 2  # paths
RACERS = 7168  # seeds, at least: they cost little
RACE = Sweep(
    organism=TicketRace(deceptive=DECEPTIVE, honest=HONEST, scale=0.3),
    method=Gradient(learning_rate=0.1),
    num_steps=5000,
)
# Two paths of two factors, whose shares are conserved and have the arcsine law.
SHARES = Sweep(
    organism=TicketRace(depth=2, scale=0.3), method=Gradient(learning_rate=0.05), num_steps=2000
)
NEAR = 0.1  # to a share of 1
# Paths of depth 2: a step of descent multiplies all of them by the same number.
PATHS = Sweep(
    organism=Drift(organism=TicketRace(deceptive=4, honest=4, depth=2), share=0.25),
    method=Gradient(learning_rate=0.05),
    num_steps=10,
)


def outnumbered(tickets: int) -> float:
    """Compute the probability that one ticket of several wins, if any must start above 0."""
    return (1 - 2.0**-tickets) / tickets


def race(honest: int) -> Sweep:
    """Return a race of one deceptive ticket against honest ones.

    It is so long that, of seeds with a ticket above 0, none wins yet in few of ten thousand.
    """
    return Sweep(
        organism=TicketRace(honest=honest, depth=3, scale=0.3),
        method=Gradient(learning_rate=0.1),
        num_steps=10_000,
        save_at=(0,),
    )


def races(honest: tuple[int, ...], seeds: int) -> dict[str, Group]:
    """Return races of one deceptive ticket against `honest` ones, trained and guessed."""
    guess = race(FEW).replace(
        # A guess fits where f is within .2 of 1; it is drawn as large as that takes.
        method=GuessAndCheck(threshold=0.02, prior=Fresh(scale=3.0)),
        num_steps=1000,
        save_at=(),
    )
    trained = {f"race_{count}": only(race(count), seeds, rule=Behavior()) for count in honest}
    return trained | {"guessed": only(guess, seeds, rule=Behavior())}


def leads(lab: Lab, honest: tuple[int, ...]) -> tuple[Bool[ndarray, " fit"], Bool[ndarray, " fit"]]:
    """Return whether the deceptive ticket leads at the start and at the end, in fit races."""
    both = []
    for count in honest:
        trained = lab[f"race_{count}"]
        fit = is_fit(trained.verdicts())
        both.append([trained.at("", step)["leader"].to_numpy()[fit] == 1 for step in (0, None)])
    first, last = (np.concatenate(each) for each in zip(*both, strict=True))
    return first, last


def winners(lab: Lab, honest: tuple[int, ...]) -> list[Row]:
    """Fraction of races that the deceptive ticket wins, by the number of honest ones."""
    rows = []
    for count in honest:
        trained = lab[f"race_{count}"]
        wins = is_fit(trained.verdicts()) & (trained.at()["leader"].to_numpy() == 1)
        rows.append(
            share(
                f"ticket-race/honest={count}/wins",
                f"ticket race, 1 deceptive against {count} honest: the deceptive one wins",
                wins,
                num_intervals=len(honest) + 1,
                kind="known",
                expected=outnumbered(1 + count),
            )
        )
    return rows


def unchanged(first: Bool[ndarray, " fit"], last: Bool[ndarray, " fit"]) -> Row:
    """Fraction of races with the same kind of leader at start and end (expected 1)."""
    return share(
        "ticket-race/leader-unchanged",
        "ticket race: the deceptive one leads at the end if it did at the start, and only then",
        first == last,
        kind="known",
        expected=1.0,
    )


def guessed(lab: Lab, *, num_intervals: int) -> Row:
    """Fraction of guessed races that the deceptive ticket leads (expected 1/(1+honest))."""
    lost = [verdict.name for verdict in UNJUDGED]
    found = lab["guessed"].at().filter(~pl.col("verdict").is_in(lost))
    return share(
        f"ticket-race/honest={FEW}/guessed",
        f"ticket race, 1 deceptive against {FEW} honest, by guessing: the deceptive one leads",
        found["leader"].to_numpy() == 1,
        num_intervals=num_intervals,
        kind="known",
        expected=1 / (1 + FEW),
    )


# Of a ticket of one path, and once a path is removed: the start, and how often any path wins.
#
# The path that leads at the parent's end is the largest of the start, and wins if it is positive;
# begun anew, it is so half of the time. Without it the second largest does. Which paths are
# deceptive does not depend on their order.
_NONE, _ONE = 2.0 ** -(DECEPTIVE + HONEST), (DECEPTIVE + HONEST) * 2.0 ** -(DECEPTIVE + HONEST)
_ALONE = 1 / (DECEPTIVE + HONEST)
_CASES = {
    "winning ticket alone, fresh weights": (
        Ticket(of=RACE, keep=_ALONE, weights="fresh"),
        1 / 2,
    ),
    "winning ticket removed": (
        Ticket(of=RACE, keep=1 - _ALONE, mask="-magnitude"),
        1 - _NONE - _ONE,
    ),
    "random path removed": (Ticket(of=RACE, keep=1 - _ALONE, mask="random"), 1 - 2 * _NONE),
}


def tickets(seeds: int) -> dict[str, Group]:
    """Return races of a winning ticket alone, without it, and without a random path."""
    method = Masked(method=RACE.method)
    cells = {name: RACE.replace(start=start, method=method) for name, (start, _) in _CASES.items()}
    return {"race": Group(cells=cells, seeds=seeds, rule=RULE)}


def ticket_wins(lab: Lab) -> list[Row]:
    """Fraction of races a deceptive path wins, with one path kept or one removed."""
    rows = []
    for name, (_, any_wins) in _CASES.items():
        frame = lab["race"].at(name)
        wins = is_fit(frame["verdict"].to_numpy()) & (frame["leader"].to_numpy() == 1)
        rows.append(
            share(
                f"ticket-race/{name}",
                f"ticket race, {name}: a deceptive path wins",
                wins,
                num_intervals=len(_CASES),
                kind="known",
                expected=DECEPTIVE / (DECEPTIVE + HONEST) * any_wins,
            )
        )
    return rows


def arcsine() -> tuple[float, float]:
    """Compute the agreement of two rules on a path's share, and their kappa.

    By one rule a share of at least one half is deceptive, by the other one of at least 1 - NEAR.
    """
    beyond = 2 / math.pi * math.asin(math.sqrt(NEAR))
    return 0.5 + beyond, 2 * beyond


def paths(seeds: int) -> dict[str, Group]:
    """Return paths of depth 2, trained on from where they end."""
    return {"race": only(PATHS.replace(start=Anchored(of=PATHS)), seeds, rule=RULE)}


def relative_drift(lab: Lab) -> Row:
    """Largest error of the drift of carriers by size over that of the rest (expected 1)."""
    seen = lab["race"].at()
    carriers, rest = (
        (seen[f"{name}_drift"] / seen[f"{name}_size"]).to_numpy() for name in ("carriers", "rest")
    )
    label = "paths of depth 2, drift of carriers by their size, over that of the rest"
    return largest_error("ticket-race/relative-drift", label, carriers / rest, 1.0, within=1e-3)
