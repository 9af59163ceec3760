"""XOR by three rectified units, whose success the initialization decides."""

from dataclasses import replace

from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Verdict
from basin_jax.methods.gradient import Gradient
from basin_jax.organisms.relu_xor import ReluXor
from basin_jax.studies.controls.double_well import RULE
from basin_jax.studies.framework.lab import Group, Lab, only
from basin_jax.studies.framework.rows import Row, ranked


# Of `sweeps/known_answers/relu_xor.py`, in the small.
XOR = Sweep(
    organism=ReluXor(units=3, scale=0.01),
    method=Gradient(learning_rate=0.1),
    num_steps=1500,
    save_at=(0,),
)


def xor(seeds: int) -> dict[str, Group]:
    """Return networks of three units, probed at the start and at the end."""
    return {"xor": only(XOR, seeds, rule=RULE)}


def predicted(lab: Lab) -> Row:
    """AUC for success of the weaker side of the units at the start (expected 1)."""
    found = ranked(
        "relu-xor/AUC",
        "XOR by 3 units: AUC for success of the weaker side at step 0",
        lab["xor"].at("", 0)["weaker_side"].to_numpy(),
        lab["xor"].verdicts() == Verdict.INTENDED.name,
        kind="known",
        expected=1.0,
    )
    # No bound above it: a single pair that is ranked wrongly is too many.
    return replace(found, high=found.value)
