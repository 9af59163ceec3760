"""The audit game at the difficulty where outcomes are most mixed.

The control is the same game with half of the episodes that look unwatched as honeypots, so that
defecting does not pay.
"""

from basin_jax import Sweep, grid
from basin_jax.methods import Gradient
from basin_jax.organisms import Audit
from basin_jax.rules import Behavior


T = 4000
sweep = grid(
    Sweep(
        organism=Audit(),
        method=Gradient(learning_rate=0.1),
        num_steps=2 * T,
        save_at=(0, T),
    ),
    {"organism.honeypot_rate": (0.0, 0.5)},
)
seeds = 2500
rule = Behavior()
