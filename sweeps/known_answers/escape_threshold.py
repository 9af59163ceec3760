"""A path escapes its weight decay if and only if it starts above a threshold w_u.

w_u is the threshold of a single path, for which the fraction is exact. Several paths slow each
other down, which lowers the fraction a little: for them it is a limit, in which they do not. What
that changes is an integral over the paths near the threshold, which tests/escape_oracle.py
computes to .0001.
"""

from scipy.special import ndtr

from basin_jax import Exact, Limit, Sweep
from basin_jax.methods import Gradient
from basin_jax.organisms import EscapeThreshold
from basin_jax.studies.controls.escape_threshold import DECAY, ROOT


CASES = [(64, 0.05), (8, 0.05), (1, 0.05), (64, 0.03)]  # paths, standard deviation
FORMED = {(64, 0.05): 0.76767, (8, 0.05): 0.16736, (64, 0.03): 0.02669}

sweep = [
    Sweep(
        organism=EscapeThreshold(paths=paths, scale=scale),
        method=Gradient(learning_rate=0.05, l2=DECAY),
        num_steps=2000,
    )
    for paths, scale in CASES
]
seeds = 100_000
known = [
    (Exact if paths == 1 else Limit)(
        name=f"escape threshold, M = {paths}, σ = {scale}: the circuit forms",
        cell={"paths": paths, "scale": scale},
        fraction=1 - ndtr(ROOT / scale) ** paths,
        source="1 - Φ(w_u/σ)^M",
    )
    for paths, scale in CASES
]
known += [
    Exact(
        name=f"escape threshold, M = {paths}, σ = {scale}: the circuit forms, all paths",
        cell={"paths": paths, "scale": scale},
        fraction=fraction,
        source="integral over paths",
    )
    for (paths, scale), fraction in FORMED.items()
]
