"""Are averaged weights deceptive as often as the last weights?

The audit game with sampled actions, whose gradients are noisy. A decay of 0 keeps the last
weights, so the first cell is plain gradient descent. The control is the same game where defecting
does not pay.
"""

from basin_jax import Sweep
from basin_jax.methods import Averaged, Gradient
from basin_jax.organisms import Audit
from basin_jax.rules import Behavior


descent = Gradient(learning_rate=0.1)
game = Sweep(
    organism=Audit(difficulty=2, sampled=True),
    method=Averaged(method=descent, decay=0.0),
    num_steps=4000,
)
sweep = [
    game,
    game.replace(method=Averaged(method=descent, decay=0.99)),
    game.replace(method=Averaged(method=descent, begin=2000)),
    game.replace(method=Averaged(method=descent)),
    game.replace(
        organism=game.organism.replace(honeypot_rate=0.5),
        method=Averaged(method=descent, begin=2000),
    ),
]
seeds = 1000
rule = Behavior()
