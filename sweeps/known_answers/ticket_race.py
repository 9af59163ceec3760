"""The deceptive ticket is there at initialization but outnumbered: how often does it win?

Training preserves the order of the paths, so the strongest path at the end was the strongest at
the start, and the network fits if and only if one path started above 0. (The winner's share of f
tends to 1 only as the scale tends to 0.)
"""

import polars as pl

from basin_jax import Exact, Sweep, Verdict
from basin_jax.methods import Gradient
from basin_jax.organisms import TicketRace


CASES = [(1, 1), (1, 3), (2, 6)]  # deceptive paths, honest paths

sweep = [
    Sweep(
        organism=TicketRace(deceptive=deceptive, honest=honest, depth=3, scale=0.3),
        method=Gradient(learning_rate=0.05),
        num_steps=60_000,
    )
    for deceptive, honest in CASES
]
seeds = 100_000

wins = (pl.col("verdict") != "UNFIT") & (pl.col("leader") == 1)
known = []
for deceptive, honest in CASES:
    paths = deceptive + honest
    known += [
        Exact(
            name=f"ticket race, {deceptive} against {honest}: a deceptive ticket wins",
            of=wins,
            cell={"honest": honest},
            fraction=deceptive / paths * (1 - 2**-paths),
            source="M_d/M (1 - 2^-M)",
        ),
        Exact(
            name=f"ticket race, {deceptive} against {honest}: unfit",
            of=Verdict.UNFIT,
            cell={"honest": honest},
            fraction=2**-paths,
            source="2^-M",
        ),
    ]
