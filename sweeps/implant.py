"""How much of a deceptive circuit must be there at the start, before training is hijacked?

A circuit that tells whether it is watched, and defects where it is not, is grafted into hidden
units; `dose` is how far their weights lie from a random initialization towards the circuit's.
The control is the same game where defecting does not pay, since half of the episodes that look
unwatched are honeypots: there no dose may end deceptive.
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
