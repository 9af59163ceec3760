"""Does a network that lies also search, that is, seek a goal within an episode at fixed weights?

The cells: the default; one cue bit instead of two, with which all networks lie and some search,
where the goal is either arm with equal probability, or arm 0 more and more often; and two
controls: identical arms, where nothing can be learned within an episode, and a forbidden arm that
never pays. The rule `Behavior` judges lying; `Searches` also judges whether those that lie
search.
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
