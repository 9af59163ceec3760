"""Does an evolution strategy, which sees losses and no gradient, find the same basins?

Each cell takes the steps of the gradient's in the mean, with as much noise as its population leaves
and as much smoothing as its members are apart. The control is the same game where defecting does
not pay, since half of the episodes that look unwatched are honeypots.
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
