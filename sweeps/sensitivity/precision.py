"""Does the fraction depend on floating-point precision?"""

from basin_jax import Sweep, grid
from basin_jax.methods import Gradient
from basin_jax.organisms import Audit


sweep = grid(
    Sweep(
        organism=Audit(difficulty=2),
        method=Gradient(learning_rate=0.1),
        num_steps=2000,
    ),
    {"precision": ("float32", "float64")},
)
