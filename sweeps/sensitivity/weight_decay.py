"""Does the fraction depend on whether weight decay is coupled to Adam's step?

Coupled decay adds λ/2 |w|² to the loss, so that Adam also rescales its gradient. Decoupled decay
shrinks weights by rate × λ per step (Loshchilov & Hutter 2019, "Decoupled weight decay
regularization").
"""

from basin_jax import Sweep
from basin_jax.methods import Gradient
from basin_jax.organisms import Audit


RATE, STEPS = 3e-3, 2000

none = Gradient(optimizer="adam", learning_rate=RATE)
methods = [none]
for decay in (1e-4, 1e-3, 1e-2):
    decoupled = Gradient(optimizer="adamw", learning_rate=RATE, options={"weight_decay": decay})
    methods += [none.replace(l2=decay), decoupled]

sweep = [Sweep(organism=Audit(difficulty=2), method=method, num_steps=STEPS) for method in methods]
