"""The smallest landscape with two basins: the share that starts right of the separatrix."""

from scipy.special import ndtr

from basin_jax import DoubleWell, Exact, Gradient, Sweep, grid


# The middle root of x³ - x - tilt.
SEPARATRIX = {0.0: 0.0, 0.2: -0.20914885}

sweep = grid(
    Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.05), num_steps=400),
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
