"""Can honeypots correct networks that are already deceptive?

The parents are trained in the audit game, where 97.5 % end deceptive. Their children are trained
further with honeypots: episodes that look unwatched, but are watched. Defecting no longer pays if
the honeypot rate is above bonus / (1 + bonus + penalty) = 1/6. The control is a rate of 0.
"""

from basin_jax import Sweep, grid
from basin_jax.methods import Gradient
from basin_jax.organisms import Audit
from basin_jax.rules import Behavior
from basin_jax.starts import Trained


parent = Sweep(organism=Audit(difficulty=1), method=Gradient(learning_rate=0.1), num_steps=2000)
sweep = grid(
    parent.replace(start=Trained(of=parent)),
    {"organism.honeypot_rate": (0.0, 0.1, 0.2, 0.3, 0.5, 1.0)},
)
rule = Behavior()
