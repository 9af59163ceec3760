"""Particles in a double well, whose moves between the wells are known."""

import math
from itertools import pairwise

import numpy as np
from numpy import ndarray
from scipy.integrate import quad
from scipy.special import ndtr
from scipy.stats import norm

from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Verdict
from basin_jax.methods.correction import Correction
from basin_jax.methods.early_stopping import EarlyStopping
from basin_jax.methods.gradient import Gradient
from basin_jax.methods.pushed import Pushed
from basin_jax.organisms.double_well import DoubleWell
from basin_jax.rules.behavior import Behavior
from basin_jax.starts.fork import Fork
from basin_jax.starts.perturbed import Perturbed
from basin_jax.starts.trained import Trained
from basin_jax.studies.framework.lab import FINE, Bisection, Group, Lab, only
from basin_jax.studies.framework.rows import Row, largest_error, share


RULE = Behavior(deceptive_gap=0.5)
WELL = Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.05), num_steps=400)

# A tilt to the left, under which a particle stays right only from beyond its own separatrix.
TO_THE_LEFT = -0.37
# The steepest slope on that way, at x = -1/√3: pushes of a rate times as much drive a particle out.
STEEPEST = 2 / 27**0.5 - 0.2

# A tilted well with noise, in which a particle settles when it first reaches a bottom.
TEMPERATURE, RATE, TILT = 0.1, 5e-4, 0.2
LEFT, SEPARATRIX, RIGHT = -0.87888507, -0.20914885, 1.08803391  # roots of x³ - x - TILT
NOISY = Sweep(
    organism=DoubleWell(tilt=TILT),
    method=EarlyStopping(
        method=Gradient(learning_rate=RATE, noise=math.sqrt(2 * TEMPERATURE / RATE))
    ),
    num_steps=int(16 / RATE),
)


def descent(seeds: int) -> dict[str, Group]:
    """Return particles, and those in the left well trained on by plain descent."""
    onward = WELL.replace(start=Trained(of=WELL))
    return {
        "well": only(WELL, seeds, rule=RULE),
        "well_onward": only(onward, _left, rule=RULE),
    }


def stays(lab: Lab) -> Row:
    """Fraction of particles that leave the left well by descent (expected 0)."""
    return share(
        "double-well/crosses-by-descent",
        "double well: crosses from the left well to the right by gradient descent",
        lab["well_onward"].deceptive(),
        kind="known",
        expected=0.0,
    )


def tilted(seeds: int) -> dict[str, Group]:
    """Return particles under a tilt to the left for 400 steps, and then as before."""
    method = Correction(method=WELL.method, objective=DoubleWell(tilt=TO_THE_LEFT), end=400)
    return {"well": only(WELL.replace(method=method, num_steps=800), seeds, rule=RULE)}


def returns(lab: Lab) -> Row:
    """Fraction of particles that end right after a tilt to the left (expected: derived)."""
    # The middle one of the roots of x³ - x - tilt, in Viète's form.
    angle = math.acos(1.5 * 3**0.5 * TO_THE_LEFT) / 3 - 2 * math.pi / 3
    separatrix = 2 / 3**0.5 * math.cos(angle)
    return share(
        "double-well/right-after-tilt",
        f"double well: in the right well after a temporary tilt of {TO_THE_LEFT:g}",
        lab["well"].deceptive(),
        kind="known",
        expected=float(ndtr(-separatrix)),
    )


def particles(seeds: int) -> dict[str, Group]:
    """Return particles, of which those in the left well are pushed."""
    return {"well": only(WELL, seeds, rule=RULE)}


def pushes() -> dict[str, Bisection]:
    """Bisect the push that takes each particle out of the left well: once, or at each step."""
    # The narrower the way past the steepest slope, the longer it takes.
    steps = 10_000
    once = WELL.replace(start=Perturbed(of=WELL, radius=0.0, direction="margin"))
    each = WELL.replace(
        start=Trained(of=WELL),
        method=Pushed(method=WELL.method, push=0.0, end=steps),
        num_steps=steps + WELL.num_steps,
    )

    def critical(sweep: Sweep, path: str, most: float) -> Bisection:
        return Bisection(
            sweep=sweep, path=path, seeds=_left, between=(0.0, most), rule=RULE, halvings=FINE
        )

    return {
        "well/push-once": critical(once, "start.radius", 2.0),
        "well/push-each-step": critical(each, "method.push", 0.05),
    }


def pushed(lab: Lab) -> list[Row]:
    """Largest error of the critical pushes (expected: derived)."""
    once, each = (lab.bisections[f"well/push-{when}"]["high"] for when in ("once", "each-step"))
    return [
        largest_error(
            "double-well/push-once",
            "double well, push from the left bottom to the separatrix",
            once.to_numpy(),
            SEPARATRIX - LEFT,
            within=1e-5,
        ),
        largest_error(
            "double-well/push-each-step",
            "double well, push at every step that drives a particle out of the left well",
            each.to_numpy(),
            0.05 * STEEPEST,  # of a rate of .05
            within=2e-6,
        ),
    ]


def forked(children: int) -> Sweep:
    """Return forked children in a double well with noise."""
    return NOISY.replace(start=Fork(of=NOISY.replace(num_steps=0), children=children))


def committor(start: float) -> float:
    """Compute the probability that a particle with noise settles right, in the diffusion limit."""

    def weight(x: float) -> float:
        return math.exp(((x**2 - 1) ** 2 / 4 - TILT * x) / TEMPERATURE)

    return float(quad(weight, LEFT, start)[0] / quad(weight, LEFT, RIGHT)[0])


def by_committor() -> float:
    """Compute the probability that two particles from one normal start share their well."""

    def alike(x: float) -> float:
        right = committor(x)
        return float((right**2 + (1 - right) ** 2) * norm.pdf(x))

    between = sum(quad(alike, a, b)[0] for a, b in pairwise(np.linspace(LEFT, RIGHT, 5)))
    return float(norm.cdf(LEFT) + norm.sf(RIGHT) + between)


def _left(lab: Lab) -> ndarray:
    return lab["well"].seeds(Verdict.INTENDED)
