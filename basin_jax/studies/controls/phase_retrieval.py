"""Phase retrieval: its ends are a signal and its negative, and what lies between them is known."""

import numpy as np
from numpy import ndarray

from basin_jax.core.sweep import Sweep
from basin_jax.methods.gradient import Gradient
from basin_jax.organisms.phase_retrieval import PhaseRetrieval
from basin_jax.starts.between import Between
from basin_jax.statistics.barrier import loss_barrier
from basin_jax.studies.controls.double_well import RULE
from basin_jax.studies.framework.lab import Group, Lab
from basin_jax.studies.framework.rows import Row, largest_error, null


PHASE = Sweep(organism=PhaseRetrieval(), method=Gradient(learning_rate=0.1), num_steps=400)
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
SMALL = 0.01


def lines(seeds: int) -> dict[str, Group]:
    """Return points on the lines between the ends of pairs of seeds."""
    cells = {
        f"{weight:g}": PHASE.replace(start=Between(of=PHASE, weight=weight), num_steps=0)
        for weight in WEIGHTS
    }
    return {"phase": Group(cells=cells, seeds=seeds, rule=RULE)}


def barriers(lab: Lab) -> list[Row]:
    """Barriers between equal ends (expected: 0), and largest errors of all (expected: derived).

    At c times the signal the loss is (1 - c²)² of that at zero, which the line from the signal to
    its negative crosses; a line between equal ends does not move.
    """
    phase = lab["phase"]
    losses = np.stack([1 - phase.evidence(cell)["fit"] for cell in phase.cells], axis=1)
    ends = [np.sign(phase.evidence(f"{end:g}")["margin"]) for end in (0, 1)]
    found = loss_barrier(losses, WEIGHTS)

    def known(name: str, among: ndarray, barrier: float) -> Row:
        key = f"phase-retrieval/{name}"
        label = f"phase retrieval, barrier between {name} ends"
        return largest_error(key, label, found[among], barrier, within=1e-5)

    opposite = ends[0] != ends[1]
    key, label = "phase-retrieval/equal/above", "phase retrieval, barrier between equal ends"
    return [
        null(key, f"{label} above {SMALL:g}", found[~opposite] > SMALL),
        known("opposite", opposite, 1.0),
        known("equal", ~opposite, 0.0),
    ]
