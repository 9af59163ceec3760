"""How large a deceptive circuit must a network have at the start for training to keep it?

A circuit that detects whether it is watched, and defects where it is not, is implanted into
hidden units. `dose` interpolates their weights from a random initialization (0) to the circuit
(1). The control is the same game with half of the episodes that look unwatched as honeypots, so
that defecting does not pay: there no seed may end deceptive at any dose.
"""

from basin_jax import Sweep, grid
from basin_jax.methods import Gradient
from basin_jax.organisms import Audit
from basin_jax.rules import Behavior
from basin_jax.starts import Implant


sweep = grid(
    Sweep(
        organism=Audit(difficulty=2),
        start=Implant(dose=0.0),
        method=Gradient(learning_rate=0.1),
        num_steps=2000,
    ),
    {"organism.honeypot_rate": (0.0, 0.5), "start.dose": (0.0, 0.25, 0.5, 0.75, 1.0)},
)
rule = Behavior()
