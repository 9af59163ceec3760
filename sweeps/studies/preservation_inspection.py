"""Which methods keep a good start good, in the inspection game?

Run it with `basin-jax study sweeps/studies/preservation_inspection.py`. The methods are those of
the audit game with this organism's learning rates, noise and penalty.
"""

from basin_jax.methods import Gradient
from basin_jax.studies.framework.testbed import INSPECTION
from basin_jax.studies.preservation import Preservation


SGD = Gradient(learning_rate=1.0)
study = Preservation(
    testbed=INSPECTION,
    made_under=0.75,  # a bonus of 0: defecting never pays
    methods=(
        SGD,
        Gradient(learning_rate=1.0, options={"momentum": 0.9}),
        Gradient(learning_rate=1.0, noise=0.01),
        Gradient(learning_rate=1.0, l2=1e-4),
        Gradient(optimizer="adam", learning_rate=0.01),
    ),
)
