"""Does a network that lies also search: does it seek a goal it meets at fixed weights?

The cells: the default; one cue bit instead of two, with which all lie and some search, the goal
being either arm alike, or arm 0 more and more often; and the controls: arms that are alike, of
which there is nothing to learn within an episode, and a forbidden arm that never pays. Read it
by `Behavior` for lies, and by `Searches` for those that also search.
"""

from basin_jax import Sweep, grid
from basin_jax.methods import Gradient
from basin_jax.organisms import MetaLearner
from basin_jax.rules import Behavior


T = 1000
default = Sweep(
    organism=MetaLearner(),
    method=Gradient(learning_rate=1.0),
    num_steps=2 * T,
    save_at=(0, T),
)
easy = default.replace(organism=MetaLearner(difficulty=1))
sweep = (
    default,
    *grid(easy, {"organism.favored": (0.5, 0.6, 0.7)}),
    *grid(default, {"organism.spread": (0.0,)}),
    *grid(default, {"organism.bonus": (-1.0,)}),
)
seeds = 2500
rule = Behavior()
