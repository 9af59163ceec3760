"""Does training sample from the posterior? The audit game by Langevin dynamics, by temperature.

The step size is proportional to the temperature, so that the gradient's part of a step is the
same in all cells. At the highest temperature only the prior is left: the control, which has
learned nothing and must not be deceptive. If a seed has the same verdict after twice the steps,
the walk does not cross between basins; then the fractions are those of where noise and prior let
it fall, and not the posterior's. Biases stay at 0, as at initialization.
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
