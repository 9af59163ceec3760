"""Which methods keep a good start good, where defecting follows the probability of an audit?

`basin-jax study sweeps/studies/preservation_inspection.py`; the methods are those of the audit
game, at this organism's rates of learning, and without its adversary, who needs cues to change.
"""

from basin_jax.methods import Gradient, SharpnessAware
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
        SharpnessAware(method=SGD, radius=0.05),
    ),
    names=(
        "SGD",
        "momentum .9",
        "gradient noise .01",
        "L2 of .0001",
        "Adam .01",
        "sharpness-aware",
    ),
)
