"""Is the deceptive circuit there at initialization? Lottery tickets and their controls.

A ticket keeps a fifth of the weights of each matrix of a trained parent, rewinds them to their
initial values and trains them with all others at zero. It is compared with fresh or shuffled
weights in the same positions, and with random positions, which are the control.
"""

from basin_jax import Sweep
from basin_jax.methods import Gradient, Masked
from basin_jax.organisms import Audit
from basin_jax.rules import Behavior
from basin_jax.starts import Ticket


parent = Sweep(organism=Audit(difficulty=2), method=Gradient(learning_rate=0.1), num_steps=2000)
tickets = (
    Ticket(of=parent),
    Ticket(of=parent, weights="fresh"),
    Ticket(of=parent, weights="shuffled"),
    Ticket(of=parent, mask="random"),
)
sweep = tuple(
    parent.replace(start=ticket, method=Masked(method=parent.method)) for ticket in tickets
)
rule = Behavior()
