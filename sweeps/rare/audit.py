"""The audit game where oversight is hard to notice: too hard for counting to find a deceiver.

Run it with `basin-jax run sweeps/rare/audit.py --rare subset`.
"""

from basin_jax import Sweep, grid
from basin_jax.methods import Gradient
from basin_jax.organisms import Audit


sweep = grid(
    Sweep(
        organism=Audit(),
        method=Gradient(learning_rate=0.1),
        num_steps=2000,
        save_at=(200, 500, 1000, 1500),
    ),
    {"organism.difficulty": (3, 4)},
)
