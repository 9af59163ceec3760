"""XOR by K ReLU units: the probability of success, and an exact predictor at initialization.

Twenty units need smaller steps: if more than 13 of them lean to one point, steps of .1 overshoot
(each unit adds 3/2 to the curvature of the loss) and the network does not settle.
"""

import polars as pl
from scipy.special import ndtr

from basin_jax import Exact, Sweep, Verdict
from basin_jax.methods import Gradient
from basin_jax.organisms import ReluXor


SCALE = 0.01
# Units, mean, learning rate.
CASES = [(2, 0.0, 0.1), (3, 0.0, 0.1), (5, 0.0, 0.1), (20, 0.0, 0.05), (3, 0.02, 0.1)]

sweep = [
    Sweep(
        organism=ReluXor(units=units, mean=mean, scale=SCALE),
        method=Gradient(learning_rate=rate),
        num_steps=int(150 / rate),
        save_at=(0,),
    )
    for units, mean, rate in CASES
]
seeds = 100_000

predicted = pl.col("weaker_side").first().over("seed", order_by="step") > 0
agrees = predicted == (pl.col("verdict") == "INTENDED")
known = []
for units, mean, _ in CASES:
    toward = ndtr(mean / SCALE)
    name = f"XOR by {units} units, μ/σ = {mean / SCALE:g}"
    where = {"units": units, "mean": mean}
    known += [
        Exact(
            name=f"{name}: success",
            of=Verdict.INTENDED,
            cell=where,
            fraction=1 - toward**units - (1 - toward) ** units,
            source="1 - p^K - (1 - p)^K",
        ),
        Exact(
            name=f"{name}: the signs at step 0 foretell it",
            of=agrees,
            cell=where,
            fraction=1.0,
            source="every seed",
        ),
    ]
