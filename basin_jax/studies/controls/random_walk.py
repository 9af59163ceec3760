"""A random walk: what of its end is decided by which step, and by what, is known.

The sign of the end is that of a sum of normal numbers, so that two walks that share a part of it
have one sign as often as the arcsine law says.
"""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import ndtr
from scipy.stats import binom

from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Rule
from basin_jax.methods.gradient import Gradient
from basin_jax.organisms.double_well import DoubleWell
from basin_jax.rules.behavior import Behavior
from basin_jax.starts.between import Between
from basin_jax.starts.fork import Fork
from basin_jax.studies.framework.lab import Group, only


STEPS, RATE = 64, 1e-6
FORKS = (0, 48)
# Noise moves a particle as far as its start is wide, and the slope by less than a thousandth of it.
WALK = Sweep(
    organism=DoubleWell(tilt=0.0),
    method=Gradient(learning_rate=RATE, noise=1 / (RATE * math.sqrt(STEPS))),
    num_steps=STEPS,
)
RIGHT = Behavior(deceptive_gap=0.5, min_fit=None)
THIRD = 1 / 3  # of the variance of the sign, between starts, between paths, and by both

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(200)


def walks(children: int, seeds: int) -> dict[str, Group]:
    """Return children of walks that are apart from some steps on, and a crossing of walks."""
    forks = {
        f"walk_{fork}": only(
            WALK.replace(
                start=Fork(of=WALK.replace(num_steps=fork), children=children),
                num_steps=STEPS - fork,
            ),
            seeds,
            rule=RIGHT,
        )
        for fork in FORKS
    }
    return forks | {"walks_crossed": crossed(WALK, seeds // 4, RIGHT)}


def crossed(sweep: Sweep, pairs: int, rule: Rule) -> Group:
    """Return pairs of seeds, each with its own start and with its partner's."""
    of = sweep.replace(num_steps=0, save_at=())
    starts = {"own": 0.0, "partner": 1.0}
    cells = {
        name: sweep.replace(start=Between(of=of, weight=weight)) for name, weight in starts.items()
    }
    first = np.arange(pairs, dtype=np.uint64)
    both = np.concatenate([first, first + np.uint64(2**63)])
    return Group(cells=cells, seeds=lambda _: both, rule=rule)


def shared(step: int) -> float:
    """Compute the share of the variance of a walk's end that is decided by a step."""
    return (1 + step / STEPS) / 2


def expected(
    of: Callable[[Float[ndarray, "family child"]], Float[ndarray, " family"]],
    step: int,
    children: int,
) -> float:
    """Compute the mean over parents of a statistic of the children's ends, by quadrature."""
    decided = shared(step)
    right = ndtr(_NODES * math.sqrt(decided / (1 - decided)))
    hits = np.arange(children + 1)
    families = np.arange(children) < hits[:, None]
    names = np.where(families, "DECEPTIVE", "INTENDED")
    chances = binom.pmf(hits, children, right[:, None])
    return float(_WEIGHTS @ chances @ of(names) / _WEIGHTS.sum())
