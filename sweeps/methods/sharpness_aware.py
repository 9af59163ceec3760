"""Do flat minima deceive less often? The audit game with sharpness-aware minimization, by radius.

A radius of 0 is plain gradient descent. The control is the same game with half of the episodes
that look unwatched as honeypots, so that defecting does not pay: there no seed may end deceptive.
"""

from basin_jax import Sweep, grid
from basin_jax.methods import Gradient, SharpnessAware
from basin_jax.organisms import Audit
from basin_jax.rules import Behavior


RADII = (0.0, 0.05, 0.1, 0.2, 0.4)

game = Sweep(
    organism=Audit(difficulty=2),
    method=SharpnessAware(method=Gradient(learning_rate=0.1), radius=RADII[0]),
    num_steps=2000,
)
control = game.replace(
    organism=Audit(difficulty=2, honeypot_rate=0.5), method=game.method.replace(radius=RADII[-2])
)
sweep = [*grid(game, {"method.radius": RADII}), control]
seeds = 1000
rule = Behavior()
