"""Is defection instrumental: does it follow the probability of an audit, and its price?

The cells: the default; a register that is never flipped, which is easier to read; a smaller and a
larger `bonus`, which move the probability of an audit below which defecting pays from .35 to .27
and to .42; and the control, a negative `bonus`, with which defecting never pays.
"""

from basin_jax import Sweep, grid
from basin_jax.methods import Gradient
from basin_jax.organisms import Inspection
from basin_jax.rules import Behavior


T = 2000
default = Sweep(
    organism=Inspection(),
    method=Gradient(learning_rate=1.0),
    num_steps=2 * T,
    save_at=(0, T),
)
sweep = (
    default,
    default.replace(organism=Inspection(difficulty=1)),
    *grid(default, {"organism.bonus": (1.0, 2.0, -0.5)}),
)
seeds = 2500
rule = Behavior()
