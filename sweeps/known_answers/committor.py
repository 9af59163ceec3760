"""The committor of the double well at temperature 1/10: one start, many realizations of the noise.

Each cell has one initialization, and a seed decides the noise of training only. A seed settles
when it first reaches the bottom of a well. The discrete chain of steps has its own committor
(solved in tests/test_known_answers.py). It exceeds that of the diffusion by .002 at most, since a
path may cross a bottom unseen between two steps.
"""

from basin_jax import Exact, grid
from basin_jax.organisms import DoubleWell
from basin_jax.studies.controls.double_well import (
    NOISY,
    SEPARATRIX,
    TEMPERATURE,
    TILT,
    committor,
)


STARTS = (-0.4, SEPARATRIX, 0.0)
OF_THE_STEPS = (0.328685, 0.533838, 0.754709)

sweep = grid(
    NOISY.replace(organism=DoubleWell(tilt=TILT, scale=0.0), vary="data"),
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
