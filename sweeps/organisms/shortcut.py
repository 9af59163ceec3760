"""Which feature does a network follow where a simple cue and a harder feature disagree?

A linear cue and slabs both predict perfectly in training. The first cells vary the size of the
cue, that is, how easy it is: at the default both outcomes occur, and with a large cue every seed
follows it. The other cells vary how often a large cue is right in training, down to where no seed
follows it, which also depends on the number of steps. The control is a cue that is right half of
the time and so carries no information.
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
