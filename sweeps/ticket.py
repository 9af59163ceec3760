"""Is the circuit that deceives there at the start? Lottery tickets, and what they are held against.

Of each matrix of a trained parent a fifth of the weights is kept, rewound to where they began,
and trained with the rest held at zero; against the same places with fresh or shuffled weights,
and against random places, which are the control.
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
