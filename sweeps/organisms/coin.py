"""Does a network walk to the coin, or to the corner where the coin lay in most of training?

The goal misgeneralization of Langosco et al. 2022, by the fraction of training episodes in which
the coin lies elsewhere; in the first cell there are none. This organism has no basins and serves
as a control: networks learn what is trained, even if it is rare, and nothing else. With full
diversity nothing favors the corner: there no seed may prefer it.
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
