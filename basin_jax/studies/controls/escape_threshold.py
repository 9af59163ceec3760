"""Paths under decay: each grows into a circuit from a known weight on."""

import math
from collections.abc import Iterable

import numpy as np
from scipy.optimize import root_scalar
from scipy.special import ndtr

from basin_jax.core.fresh import Fresh
from basin_jax.core.sweep import Sweep
from basin_jax.methods.gradient import Gradient
from basin_jax.organisms.escape_threshold import EscapeThreshold
from basin_jax.studies.controls.double_well import RULE
from basin_jax.studies.framework.lab import FINE, Bisection, Group, Lab, only
from basin_jax.studies.framework.rows import HALF, Row, crossing, largest_error, row


# From the smaller root of 3w(1 - w³) = DECAY on a path's weight grows.
DECAY = 0.3
ROOT = root_scalar(lambda w: 3 * w * (1 - w**3) - DECAY, bracket=(0.01, 0.5)).root
# Of a single path, whose scale is bisected; beyond a weight of one a step is too long.
ONE = Sweep(
    organism=EscapeThreshold(paths=1, scale=1.0),
    start=Fresh(),
    method=Gradient(learning_rate=0.1, l2=DECAY),
    num_steps=2000,
)
LARGEST = 0.3
# Of many paths. Paths slow each other a little,
# so that the known crossing is the limit of few and weak ones.
PATHS = (8, 16, 24, 32, 48, 64)
SCALE = 0.05
KNOWN = math.log(HALF) / math.log(ndtr(ROOT / SCALE))


def starts(seeds: int) -> dict[str, Group]:
    """Return single paths as they start."""
    return {"escape": only(ONE.replace(num_steps=0), seeds, rule=RULE)}


def scales(seeds: int) -> dict[str, Bisection]:
    """Bisect the scale from which on each path grows."""
    return {
        "escape": Bisection(
            sweep=ONE,
            path="start.scale",
            seeds=seeds,
            between=(1e-3, LARGEST),
            rule=RULE,
            halvings=FINE,
        )
    }


def critical_weight(lab: Lab) -> Row:
    """Largest error of the critical weight of a single path."""
    scales = lab.bisections["escape"]["high"].to_numpy()
    found = (scales * lab["escape"].at()["strongest"].to_numpy())[np.isfinite(scales)]
    label = "escape threshold, critical weight of a path"
    return largest_error("escape-threshold/weight", label, found, ROOT, within=5e-4)


def paths(seeds: int) -> dict[str, Group]:
    """Return networks by number of paths: a circuit forms where one path grows."""
    method = Gradient(learning_rate=0.05, l2=DECAY)
    cells = {
        f"{count}": Sweep(
            organism=EscapeThreshold(paths=count, scale=SCALE), method=method, num_steps=2000
        )
        for count in PATHS
    }
    return {"escape": Group(cells=cells, seeds=seeds, rule=RULE)}


def formed(lab: Lab) -> list[Row]:
    """Fraction of circuits that form, by the number of paths."""
    return [
        row(
            f"escape-threshold/paths={count}",
            f"escape threshold, {count} paths: the circuit forms",
            lab["escape"].fraction(f"{count}", num_intervals=len(PATHS)),
        )
        for count in PATHS
    ]


def crosses(found: Iterable[Row]) -> Row:
    """Number of paths from which on most circuits form (expected: derived)."""
    return crossing(
        "escape-threshold/crossing",
        "escape threshold: number of paths from which on more than half of the circuits form "
        "(known for paths that do not slow each other)",
        dict(zip(PATHS, found, strict=True)),
        kind="known",
        expected=KNOWN,
    )
