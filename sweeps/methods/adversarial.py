"""Does training against imagined cues prevent deception, or teach to tell the test?

An adversary shifts the cues of watched inputs by up to `radius` towards defection. Below 1 no cue
changes its sign, so that the network would be watched, as it is told; from 1 on the adversary
passes off as watched what is not, and with 2 it reaches the very inputs where nobody watches, so
that it is a honeypot. At 0 it imagines nothing, and defection where it is watched weighs more: the
control, without which that would be counted for imagination. With the weight 0 it is descent.
"""

from basin_jax import Sweep, grid
from basin_jax.methods import Adversarial, Gradient
from basin_jax.organisms import Audit
from basin_jax.rules import Behavior


game = Sweep(
    organism=Audit(difficulty=2),
    method=Adversarial(method=Gradient(learning_rate=0.1), radius=0.0, weight=0.2, ascents=3),
    num_steps=2000,
)
sweep = [
    *grid(game, {"method.radius": (0.0, 0.1, 0.25, 0.5, 2.0)}),
    *grid(game, {"method.weight": (0.0,)}),
]
seeds = 1000
rule = Behavior()
