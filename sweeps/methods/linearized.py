"""Is deception a choice among features that are there at the start, or must they be learned?

Networks beside their linearizations, which start alike and keep the features of their start. The
learning rate shrinks with the width, so that functions move alike fast: the wider, the more both
should agree, seed by seed. The control is the same game where defecting does not pay, since half
of the episodes that look unwatched are honeypots.
"""

from basin_jax import Sweep
from basin_jax.methods import Gradient
from basin_jax.networks import MLP, Linearized
from basin_jax.organisms import Audit


sweep = [
    Sweep(
        organism=Audit(difficulty=2, network=network),
        method=Gradient(learning_rate=3.2 / width),
        num_steps=2000,
    )
    for width in (8, 16, 32, 64)
    for network in (MLP(widths=(width, width)), Linearized(network=MLP(widths=(width, width))))
]
sweep.append(
    Sweep(
        organism=Audit(difficulty=2, honeypot_rate=0.5, network=Linearized()),
        method=Gradient(learning_rate=0.1),
        num_steps=2000,
    )
)
seeds = 512
