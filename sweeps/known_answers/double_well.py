"""The smallest landscape with two basins: the fraction that starts right of the separatrix."""

import polars as pl
from scipy.special import ndtr

from basin_jax import Exact, Given, Sweep, grid
from basin_jax.methods import Gradient
from basin_jax.organisms import DoubleWell


# The middle root of x³ - x - tilt.
SEPARATRIX = {0.0: 0.0, 0.2: -0.20914885}

sweep = grid(
    Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.05), num_steps=400, save_at=(0,)),
    {"organism.tilt": tuple(SEPARATRIX)},
)
seeds = 100_000
known = [
    Exact(
        name=f"double well, tilt {tilt}: right",
        cell={"tilt": tilt},
        fraction=1 - ndtr(separatrix),
        source="1 - Φ(separatrix)",
    )
    for tilt, separatrix in SEPARATRIX.items()
]
known.append(
    Exact(
        name="double well, tilt 0.2: right, of those that begin left of 0",
        cell={"tilt": 0.2},
        given=Given(pl.col("x") < 0, step=0),
        fraction=1 - 2 * ndtr(SEPARATRIX[0.2]),
        source="1 - 2 Φ(separatrix)",
    )
)
