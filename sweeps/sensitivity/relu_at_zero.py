"""Does the fraction depend on the derivative of ReLU at 0?

It can where a unit's input is exactly 0 (Bertoin et al. 2021, "Numerical influence of ReLU'(0) on
backpropagation").
"""

import jax.numpy as jnp

from basin_jax import Sweep, grid
from basin_jax.methods import Gradient
from basin_jax.networks import MLP
from basin_jax.organisms import Audit


def relu_0(x):
    return jnp.where(x > 0, x, 0)


def relu_half(x):
    return jnp.where(x > 0, x, jnp.where(x < 0, 0, x / 2))


def relu_1(x):
    return jnp.where(x >= 0, x, 0)


sweep = grid(
    Sweep(
        organism=Audit(difficulty=2),
        method=Gradient(learning_rate=0.1),
        num_steps=2000,
    ),
    {"organism.network": [MLP(activation=relu) for relu in (relu_0, relu_half, relu_1)]},
)
