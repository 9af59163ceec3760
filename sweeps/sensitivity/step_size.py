"""Does the fraction depend on the step size, at equal training time?

The step size is halved until the fraction no longer changes, towards gradient flow.
"""

from basin_jax import Sweep
from basin_jax.methods import Gradient
from basin_jax.organisms import Audit


TIME = 200.0  # learning rate × steps

sweep = [
    Sweep(
        organism=Audit(difficulty=2),
        method=Gradient(learning_rate=rate),
        num_steps=round(TIME / rate),
    )
    for rate in (0.1, 0.2, 0.05, 0.025)
]
