"""Clock or pizza: the phase transition of Zhong et al. 2023 in the rate of attention.

Zhong et al. 2023, "The clock and the pizza" (GitHub, fjzzq2002/pizza: `code/train-main.py`, and
the one-layer runs of `result/1l_fixedwidth.csv` without another vocabulary or an equals sign). A
run is a pizza if its gradient symmetricity exceeds .95, whatever its circularity. They draw the
rate of attention uniformly, so each count is of their runs within .02 of our rate. This sweep
needs an accelerator: a step is about 3 GFLOP, and a run has 20,000 steps.
"""

import optax
import polars as pl

from basin_jax import Published, Sweep, grid
from basin_jax.methods import Gradient
from basin_jax.organisms import ModularAddition


# Rate of attention, pizzas, runs.
TABLE = [
    (0.2, 101, 101),
    (0.4, 93, 93),
    (0.5, 104, 113),
    (0.55, 72, 106),
    (0.6, 43, 95),
    (0.65, 10, 79),
    (0.7, 2, 98),
    (0.9, 0, 100),
]
adamw = optax.adamw(optax.linear_schedule(0.0, 1e-3, 10), b2=0.98, weight_decay=2.0)
sweep = grid(
    Sweep(
        organism=ModularAddition(modulus=59, width=128, heads=4),
        method=Gradient(optimizer=adamw),
        num_steps=20_000,
    ),
    {"organism.attention_rate": tuple(rate for rate, _, _ in TABLE)},
)
known = [
    Published(
        name=f"clock or pizza, rate of attention {rate}: pizza",
        of=pl.col("symmetricity") > 0.95,
        cell={"attention_rate": rate},
        hits=hits,
        trials=trials,
        source="Zhong et al. 2023",
    )
    for rate, hits, trials in TABLE
]
seeds = 500
