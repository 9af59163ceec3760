"""Which units of a deep ReLU network live through training: a law without a limit.

At depth 2 it is exact for gradient descent, of every seed. Deeper, it is that of the gradient
flow at its end, of which some seeds in 10,000 fall short here.
"""

import numpy as np
import polars as pl
from scipy.integrate import quad
from scipy.stats import norm

from basin_jax import Exact, Limit, Sweep
from basin_jax.methods import Gradient
from basin_jax.organisms import TwoSides


# Units, layers of weights, ratio of the scales.
CASES = [(2, 2, 1.0), (3, 2, 1.0), (3, 2, 0.5), (3, 3, 1.0)]

sweep = [
    Sweep(
        organism=TwoSides(units=units, depth=depth, ratio=ratio),
        method=Gradient(learning_rate=0.1),
        num_steps=1000,
        save_at=(0,),
    )
    for units, depth, ratio in CASES
]
seeds = 100_000


def lives(depth: int, ratio: float) -> float:
    """Return the probability that a unit lives on a given side."""

    def density(size: float) -> float:  # of the smallest |w|
        return float(2 * norm.pdf(size) * (2 * norm.sf(size / ratio)) ** (depth - 1))

    return 0.5 - quad(density, 0, np.inf)[0] / 4


foretold = pl.col("covered").first().over("seed", order_by="step") == pl.col("sides")
known = []
for units, depth, ratio in CASES:
    name = f"two sides, {units} units, {depth} layers, ratio {ratio:g}"
    cell = {"units": units, "depth": depth, "ratio": ratio}
    one, both = 1 - lives(depth, ratio), 1 - 2 * lives(depth, ratio)
    fractions = {2: 1 - 2 * one**units + both**units, 0: both**units}
    known += [
        (Exact if depth == 2 else Limit)(
            name=f"{name}: {sides} fit",
            of=pl.col("sides") == sides,
            cell=cell,
            fraction=fraction,
            source="units that live",
        )
        for sides, fraction in fractions.items()
    ]
    if depth == 2:
        known.append(
            Exact(
                name=f"{name}: the weights at step 0 foretell it",
                of=foretold,
                cell=cell,
                fraction=1.0,
                source="every seed",
            )
        )
