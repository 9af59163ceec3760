"""Clock or pizza, in the small: does the algorithm hang on attention, and does it on the seed?

`attention_rate` is how much of a weight of attention depends on the input; without any, a clock
is impossible. By the rule DECEPTIVE is memorized and INTENDED is generalized; the two
algorithms are told by the evidence `symmetricity`, above .95 for a pizza. The paper's own
setting is sweeps/gpu/modular_addition.py.
"""

from basin_jax import Sweep, grid
from basin_jax.methods import Gradient
from basin_jax.organisms import ModularAddition
from basin_jax.rules import Behavior


T = 1000
sweep = grid(
    Sweep(
        organism=ModularAddition(),
        method=Gradient(
            optimizer="adamw", learning_rate=1e-2, options={"weight_decay": 2.0, "b2": 0.98}
        ),
        num_steps=2 * T,
        save_at=(0, T),
    ),
    {"organism.attention_rate": (0.0, 0.25, 0.5, 0.75, 1.0)},
)
rule = Behavior()
seeds = 100
