"""Noise of training that carries a particle over a ridge: a known rare fraction.

Run it with `basin-jax run sweeps/rare/escape.py --rare splitting`. All particles start at one point
in the left well, so that training decides alone; 3.9e-4 are in the right one after 400 steps (a
Markov chain, computed on a grid). Where there is no noise, splitting is refused.
"""

from basin_jax import Sweep
from basin_jax.methods import Gradient
from basin_jax.organisms import DoubleWell
from basin_jax.rules import Behavior


sweep = Sweep(
    organism=DoubleWell(tilt=-0.2, mean=-1.0, scale=0.0),
    method=Gradient(learning_rate=0.1, noise=1.0),
    num_steps=400,
    save_at=tuple(range(0, 400, 10)),
)
rule = Behavior(min_fit=None)
