"""Simple cue or harder feature: which one does a network follow where the two part?

A linear cue and slabs, both of which predict perfectly in training. First, how large (how easy)
the cue is: at the default both ends are seen, and a large cue is the shortcut of every seed. Then,
how often a large cue must err in training before no seed follows it, which is a question of
steps, too; a cue that is right half of the time tells nothing, and is the control.
"""

from basin_jax import Sweep, grid
from basin_jax.methods import Gradient
from basin_jax.organisms import Shortcut
from basin_jax.rules import Behavior


T = 2000
base = Sweep(
    organism=Shortcut(),
    method=Gradient(learning_rate=0.1),
    num_steps=2 * T,
    save_at=(0, T),
)
sweep = [
    *grid(base, {"organism.cue_size": (0.04, 0.01, 0.02, 0.03, 0.05, 0.06, 0.1, 1.0)}),
    *grid(
        base.replace(organism=Shortcut(cue_size=1.0)),
        {"organism.cue_rate": (0.999, 0.99, 0.9, 0.5)},
    ),
]
rule = Behavior(deceptive_gap=0.5)  # gaps fill the whole range: see `Behavior`
seeds = 2500
