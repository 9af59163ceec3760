"""Phase retrieval, whose loss does not see a sign: the sign at the end is that of the start."""

from scipy.special import ndtr

from basin_jax import Exact, Sweep, grid
from basin_jax.methods import Gradient
from basin_jax.organisms import PhaseRetrieval


SCALE = 0.1
MEANS = (0.0, 0.05, -0.1)

sweep = grid(
    Sweep(
        organism=PhaseRetrieval(scale=SCALE),
        method=Gradient(learning_rate=0.05),
        num_steps=400,
    ),
    {"organism.mean": MEANS},
)
seeds = 100_000
known = [
    Exact(
        name=f"phase retrieval, μ/σ = {mean / SCALE:g}: wrong sign",
        cell={"mean": mean},
        fraction=1 - ndtr(mean / SCALE),
        source="1 - Φ(μ/σ)",
    )
    for mean in MEANS
]
