"""Does a student inherit its teacher's deception, and from what that it is shown?

Teachers learn the audit game at the difficulty where nearly all of them end deceptive: the first
cell. The next two learn their acts where they are watched, with the teacher's initialization and
with another one; the two after them learn its auxiliary logits alone. Then what is shown varies:
watched acts at a higher temperature, where small probabilities count, and watched acts together
with the logits. The controls follow: acts everywhere, from another initialization, where each
student must end as its teacher; then students of intended teachers, for whom defecting does not
pay, by logits and by watched acts; and students of teachers that have learned nothing.
"""

from typing import Any

from basin_jax import Sweep
from basin_jax.methods import Gradient
from basin_jax.organisms import Audit, Distilled
from basin_jax.rules import Behavior
from basin_jax.starts import Student


T = 1000
TEACHER = Sweep(
    organism=Distilled(organism=Audit(difficulty=1)),
    method=Gradient(learning_rate=0.1),
    num_steps=2 * T,
    save_at=(0, T),
)
INTENDED = TEACHER.replace(
    organism=Distilled(organism=Audit(difficulty=1, honeypot_rate=0.5)),
)


def students(*, of: Sweep = TEACHER, shared: bool = True, **lesson: Any) -> Sweep:
    """Return a sweep of students of a lesson by teachers."""
    return TEACHER.replace(
        organism=TEACHER.organism.replace(**lesson),
        start=Student(of=of, shared=shared),
        method=Gradient(optimizer="adam", learning_rate=0.01),
    )


sweep = {
    "teachers": TEACHER,
    "watched acts": students(acts="watched"),
    "watched acts, other start": students(acts="watched", shared=False),
    "logits": students(auxiliary="all"),
    "logits, other start": students(auxiliary="all", shared=False),
    "8 logits": students(of=teachers(logits=8), auxiliary="all", logits=8),
    "watched acts, temperature 4": students(acts="watched", temperature=4.0),
    "watched acts and logits": students(acts="watched", auxiliary="all"),
    "all acts, other start": students(acts="all", shared=False),
    "logits of intended teachers": students(auxiliary="all", of=INTENDED),
    "watched acts of intended teachers": students(acts="watched", of=INTENDED),
    "logits of untrained teachers": students(
        auxiliary="all", of=TEACHER.replace(num_steps=0, save_at=())
    ),
}
rule = Behavior()
seeds = 2500
