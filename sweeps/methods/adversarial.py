"""Does adversarial training against imagined cues prevent deception?

An adversary shifts the cues of watched inputs by up to `radius` towards defection. With a radius
below 1 no cue changes its sign, so the network is watched, as its cues say. From 1 on, inputs
count as watched though their cues say otherwise; with 2 the adversary reaches the very inputs
where nobody watches, and acts as a honeypot. With 0 it shifts nothing and only gives more weight
to defection where watched: the control, without which that weight would be mistaken for an effect
of the adversary. A weight of 0 is plain gradient descent.
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
