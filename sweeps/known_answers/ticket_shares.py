"""Paths of two factors keep their shares: not bimodal, so the rule must say OTHER."""

import math

import polars as pl

from basin_jax import Exact, Sweep, Verdict
from basin_jax.methods import Gradient
from basin_jax.organisms import TicketRace
from basin_jax.rules import Behavior


RATIO = 0.5

sweep = Sweep(
    organism=TicketRace(depth=2, ratio=RATIO, scale=0.3),
    method=Gradient(learning_rate=0.05),
    num_steps=2000,
)
seeds = 100_000
rule = Behavior(deceptive_gap=0.5)


def above(share: float) -> float:
    return 2 / math.pi * math.atan(RATIO * math.sqrt((1 - share) / share))


known = [
    Exact(
        name="ticket race, two factors: share > .5",
        fraction=above(0.5),
        source="conserved shares",
    ),
    Exact(
        name="ticket race, two factors: share > .9",
        of=pl.col("share") > 0.9,
        fraction=above(0.9),
        source="conserved shares",
    ),
    Exact(
        name="ticket race, two factors: in between",
        of=Verdict.OTHER,
        fraction=above(0.1) - above(0.5),
        source="conserved shares",
    ),
]
