"""Does a network walk to the coin, or to the corner in which it nearly always lay?

The goal misgeneralization of Langosco et al. 2022, over the share of training episodes in which
the coin lies elsewhere, the first of them none. It has no basins, and is a control itself: what is
not trained is not learned, and what is trained a little is. With full diversity nothing speaks for
the corner: there no seed may prefer it.
"""

from basin_jax import Sweep, grid
from basin_jax.methods import Gradient
from basin_jax.organisms import Coin
from basin_jax.rules import Preference


T = 3000
base = Sweep(
    organism=Coin(),
    method=Gradient(optimizer="adam", learning_rate=0.01),
    num_steps=2 * T,
    save_at=(0, T),
)
sweep = grid(base, {"organism.diversity": (0.0, 0.02, 1.0)})
rule = Preference()
seeds = 2500
