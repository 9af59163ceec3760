"""Does deception choose among features of the initialization, or must it learn new ones?

Each network is compared with its linearization, which starts with the same function and keeps the
features of its initialization. The learning rate shrinks with the width, so that functions change
at the same speed: with growing width both should agree, seed by seed. The control is the same
game with half of the episodes that look unwatched as honeypots, so that defecting does not pay.
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
