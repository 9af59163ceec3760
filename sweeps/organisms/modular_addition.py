"""Clock or pizza on a small scale: does the algorithm depend on attention and on the seed?

`attention_rate` says how much the attention weights depend on the input; without any dependence a
clock is impossible. DECEPTIVE means memorized here, and INTENDED generalized. The evidence
`symmetricity` distinguishes the two algorithms: it is above .95 for a pizza. After 1,200 steps
every seed is right about 94 % or more of the pairs that it was not trained on, and pizzas are 32 of
32 at a rate of 0 (1 [.89, 1]), 9 at .5 (.28 [.14, .47]), and 2 at .7 and at 1 (.06 [.01, .21]).

In Zhong et al. 2023 (sweeps/gpu/modular_addition.py) the modulus is 59, the width 128, and training
takes 20,000 steps at a rate of 1e-3 after a warm-up, with a training set drawn for each run; there
pizzas are some 92 % at an attention rate of .5, and none of 100 at .9. So the transition is the
same in kind, and lies lower here. At .5 seeds still move: after 600 steps 15 of 32 are pizzas.
"""

from basin_jax import Sweep, grid
from basin_jax.methods import Gradient
from basin_jax.organisms import ModularAddition
from basin_jax.rules import Behavior


T = 600
sweep = grid(
    Sweep(
        organism=ModularAddition(modulus=23, width=32, heads=4),
        method=Gradient(
            optimizer="adamw", learning_rate=5e-3, options={"weight_decay": 2.0, "b2": 0.98}
        ),
        num_steps=2 * T,
        save_at=(0, T),
    ),
    {"organism.attention_rate": (0.0, 0.5, 0.7, 1.0)},
)
rule = Behavior()
seeds = 32
