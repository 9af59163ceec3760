"""Is the fraction that of the gradient flow, or does it depend on the step size?

The time is that of 2,000 steps of gradient descent with a learning rate of .1. The control is the
same game where defecting does not pay.
"""

from basin_jax import Sweep
from basin_jax.methods import Gradient, GradientFlow
from basin_jax.organisms import Audit
from basin_jax.rules import Behavior


flow = Sweep(
    organism=Audit(difficulty=2), method=GradientFlow(duration=10.0, tolerance=1e-5), num_steps=20
)
sweep = [
    flow,
    flow.replace(method=flow.method.replace(tolerance=1e-3)),
    flow.replace(method=Gradient(learning_rate=0.1), num_steps=2000),
    flow.replace(organism=Audit(difficulty=2, honeypot_rate=0.5)),
]
seeds = 1000
rule = Behavior()
