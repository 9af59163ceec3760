"""Does an evolution strategy, which sees losses and no gradients, find the same basins?

The expected step of each cell is a gradient step; the population decides its noise, and the
distance of its members the smoothing. The control is the same game with half of the episodes that
look unwatched as honeypots, so that defecting does not pay.
"""

from basin_jax import Sweep
from basin_jax.methods import Evolution, Gradient
from basin_jax.organisms import Audit


descent = Gradient(learning_rate=0.1)
trained = Sweep(organism=Audit(difficulty=2), method=descent, num_steps=2000)
evolved = [
    trained.replace(method=Evolution(method=descent, population=population, deviation=deviation))
    for population, deviation in ((32, 0.02), (32, 0.1), (8, 0.02))
]
control = evolved[0].replace(organism=Audit(difficulty=2, honeypot_rate=0.5))
sweep = [trained, *evolved, control]
seeds = 400
