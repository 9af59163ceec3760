"""The committor of the double well at temperature 1/10: one start, many realizations of the noise.

Each cell has one initialization, and a seed decides the noise of training only. A seed settles
when it first reaches the bottom of a well. The discrete chain of steps has its own committor
(solved in tests/test_known_answers.py). It exceeds that of the diffusion by .002 at most, since a
path may cross a bottom unseen between two steps.
"""

import math

from scipy.integrate import quad

from basin_jax import Exact, Sweep, grid
from basin_jax.methods import EarlyStopping, Gradient
from basin_jax.organisms import DoubleWell


TEMPERATURE, RATE, TILT = 0.1, 5e-4, 0.2
LEFT, SEPARATRIX, RIGHT = -0.87888507, -0.20914885, 1.08803391  # roots of x³ - x - TILT
STARTS = (-0.4, SEPARATRIX, 0.0)
OF_THE_STEPS = (0.328685, 0.533838, 0.754709)


def density(x: float) -> float:
    return math.exp(((x**2 - 1) ** 2 / 4 - TILT * x) / TEMPERATURE)


def committor(start: float) -> float:
    return quad(density, LEFT, start)[0] / quad(density, LEFT, RIGHT)[0]


noisy = Gradient(learning_rate=RATE, noise=math.sqrt(2 * TEMPERATURE / RATE))
sweep = grid(
    Sweep(
        organism=DoubleWell(tilt=TILT, scale=0.0),
        method=EarlyStopping(method=noisy),
        num_steps=int(16 / RATE),
        vary="data",
    ),
    {"organism.mean": STARTS},
)
seeds = 100_000
known = [
    Exact(
        name=f"double well, T = {TEMPERATURE}: right from {start:.4g}, {of}",
        cell={"mean": start},
        fraction=fraction,
        source="committor",
    )
    for start, steps in zip(STARTS, OF_THE_STEPS, strict=True)
    for of, fraction in (("diffusion", committor(start)), ("steps", steps))
]
