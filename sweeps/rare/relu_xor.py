"""XOR by K units that all lean to one side, and so cannot learn it: a known rare fraction.

Run it with `basin-jax run sweeps/rare/relu_xor.py --rare subset`: it fails with the probability
2^(1 - K). With K = 30 steps have to be small: if more than 26 units lean to one side, steps of .05
overshoot, with a probability of 8e-6.
"""

from basin_jax import Sweep, Verdict, grid
from basin_jax.methods import Gradient
from basin_jax.organisms import ReluXor


RATE = 0.03
sweep = grid(
    Sweep(
        organism=ReluXor(units=20, scale=0.01),
        method=Gradient(learning_rate=RATE),
        num_steps=int(5 / RATE),
        save_at=(1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16),  # in which the units take sides
    ),
    {"organism.units": (12, 20, 30)},
)
of = Verdict.UNFIT
