"""A race of tickets: the deceptive circuit is there at the start, but outnumbered."""

from typing import NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Bool
from numpy import ndarray

from basin_jax.core.fresh import Fresh
from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Verdict
from basin_jax.methods.gradient import Gradient
from basin_jax.methods.guess_and_check import GuessAndCheck
from basin_jax.organisms.ticket_race import TicketRace
from basin_jax.rules.behavior import Behavior
from basin_jax.studies.framework.rows import Row, share
from basin_jax.studies.framework.study import Lab, is_fit


FEW = 3  # honest tickets that are guessed


class Races(NamedTuple):
    """How often the deceptive ticket wins, by number; whether it leads at the start and end."""

    wins: list[Row]
    leads: tuple[Bool[ndarray, " fit"], Bool[ndarray, " fit"]]

    @property
    def kept(self) -> Row:
        """How often the deceptive ticket leads at the end just if it did at the start: always."""
        what = "ticket race: the deceptive one leads, or not, as at the start"
        return share(what, self.leads[0] == self.leads[1], kind="known", expected=1.0)


def outnumbered(tickets: int) -> float:
    """Return how often one ticket of some wins, where one at least has to start above 0."""
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


def raced(lab: Lab, honest: tuple[int, ...], seeds: int, *, cells: int) -> Races:
    """Train races of one deceptive ticket against so many honest ones."""
    wins, leads = [], []
    for count in honest:
        cell = race(count)
        trained = lab.run(f"race_{count}", [cell], seeds, rule=Behavior())
        fit = is_fit(trained.verdicts(cell))
        first, last = (trained.evidence(cell, step)["leader"] == 1 for step in cell.stops)
        leads.append((first[fit], last[fit]))
        what = f"ticket race, 1 against {count}: the deceptive one wins"
        law = outnumbered(1 + count)
        wins.append(share(what, fit & last, cells=cells, kind="known", expected=law))
    first, last = (np.concatenate(labels) for labels in zip(*leads, strict=True))
    return Races(wins, (first, last))


def guessed(lab: Lab, seeds: int, *, cells: int) -> Row:
    """Return how often the deceptive ticket leads in races that guessing finds: as any other."""
    cell = race(FEW).replace(
        # A guess fits where f is within .2 of 1; it is drawn as large as that takes.
        method=GuessAndCheck(threshold=0.02, prior=Fresh(scale=3.0)),
        num_steps=1000,
        save_at=(),
    )
    found = lab.run("guessed", [cell], seeds, rule=Behavior()).at(cell)
    leads = found.filter(pl.col("verdict") != Verdict.DIVERGED.name)["leader"].to_numpy() == 1
    what = f"ticket race, 1 against {FEW}, found by guessing: the deceptive one leads"
    return share(what, leads, cells=cells, kind="known", expected=1 / (1 + FEW))
