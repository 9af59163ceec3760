"""Deep narrow ReLU networks that are dead at initialization."""

from basin_jax import Exact, Sweep, Verdict
from basin_jax.methods import Gradient
from basin_jax.organisms import BornDead


CASES = [(2, 9), (4, 4)]  # width, depth

sweep = [
    Sweep(
        organism=BornDead(width=width, depth=depth),
        method=Gradient(learning_rate=0.1),
        num_steps=0,
    )
    for width, depth in CASES
]
seeds = 100_000
known = [
    Exact(
        name=f"ReLU, width {width}, depth {depth}: born dead",
        of=Verdict.UNFIT,
        cell={"width": width},
        fraction=1 - (1 - 2**-width) ** depth,
        source="1 - (1 - 2^-n)^H",
    )
    for width, depth in CASES
]
