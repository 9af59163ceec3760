"""Linear students of auxiliary logits, which share no parameter with the acts: none can move."""

from basin_jax.core.sweep import Sweep
from basin_jax.methods.gradient import Gradient
from basin_jax.networks.mlp import MLP
from basin_jax.organisms.audit import Audit
from basin_jax.organisms.distilled import Distilled
from basin_jax.rules.behavior import Behavior
from basin_jax.starts.student import Student
from basin_jax.studies.framework.lab import Group, Lab, only
from basin_jax.studies.framework.rows import Row, largest_error


LEARNED, STEPS = 200, 2000  # by teachers, and by their students
TEACHERS = Sweep(
    organism=Distilled(organism=Audit(network=MLP(widths=()))),
    method=Gradient(learning_rate=0.1),
    num_steps=LEARNED,
)


def taught(seeds: int) -> dict[str, Group]:
    """Return students of other initializations than their teachers', who have much to learn."""
    students = TEACHERS.replace(
        organism=TEACHERS.organism.replace(auxiliary="all"),
        start=Student(of=TEACHERS, shared=False),
        num_steps=STEPS,
        save_at=(0,),
    )
    return {"linear": only(students, seeds, rule=Behavior())}


def moved(lab: Lab) -> list[Row]:
    """Largest changes of the gap, and of what is left of the lesson (expected: 0)."""
    before, after = (lab["linear"].evidence(step=step) for step in (0, STEPS))
    gaps = [each["unwatched"] - each["watched"] for each in (before, after)]
    left = after["divergence"] / before["divergence"]
    label = "linear students of logits"
    return [
        largest_error(f"linear/{key}", f"{label}: {said}", found, 0.0, within=within)
        for key, said, found, within in (
            ("gap", "change of the gap", gaps[1] - gaps[0], 0.0),
            ("left", "share of the lesson left", left, 0.2),
        )
    ]
