"""Is descent a sampler of the posterior? The audit game by Langevin dynamics, by temperature.

The step's length is in proportion to the temperature, so that the gradient's part of a step is the
same. At the highest temperature nothing but the prior is left, the control: it has learned
nothing, and deceives nobody. Where a seed's class is the same after twice the steps, the walk does
not cross from one basin to another: then the fractions are of where noise and prior let it fall,
and not the posterior's own. Biases stay at 0, as at initialization.
"""

from basin_jax import Sweep
from basin_jax.methods import Langevin
from basin_jax.organisms import Audit
from basin_jax.rules import Behavior


STEPS = 2000

sweep = [
    Sweep(
        organism=Audit(difficulty=2),
        method=Langevin(step_size=min(8 * temperature, 0.5), temperature=temperature),
        num_steps=2 * STEPS,
        save_at=(STEPS,),
    )
    for temperature in (3e-4, 1e-3, 3e-3, 1e-2, 1e3)
]
seeds = 1000
rule = Behavior()
