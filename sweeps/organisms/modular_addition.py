"""Clock or pizza on a small scale: does the algorithm depend on attention and on the seed?

`attention_rate` says how much the attention weights depend on the input; without any dependence a
clock is impossible. DECEPTIVE means memorized here, and INTENDED generalized. The evidence
`symmetricity` distinguishes the two algorithms: it is above .95 for a pizza. The paper's own
setting is in sweeps/gpu/modular_addition.py.
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
