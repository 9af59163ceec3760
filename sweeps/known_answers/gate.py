"""P(deceptive) of the four-parameter gate, which must learn a detector of oversight.

The exact fractions are those of the steps taken here, to six digits, by quadrature over the
initializations (tests/gate_oracle.py). Those of the gradient flow are a little larger.
"""

from basin_jax import Exact, Independent, Sweep
from basin_jax.methods import Gradient
from basin_jax.organisms import Gate
from basin_jax.rules import Behavior
from basin_jax.studies.controls.gate import SHARES


# m, c_p, λ, σ; P(deceptive); and the fraction of 8,000 runs of other code.
TABLE = [
    (0.5, 3.0, 0.02, 0.3, SHARES[0.3], 0.579),
    (0.5, 3.0, 0.02, 0.5, SHARES[0.5], 0.823),
    (0.5, 3.0, 0.02, 0.8, SHARES[0.8], 0.934),
    (0.3, 2.0, 0.03, 0.5, 0.662573, None),
    (0.7, 4.0, 0.01, 0.4, 0.809729, None),
]

sweep, known = [], []
for oversight, penalty, decay, scale, exact, other in TABLE:
    organism = Gate(oversight=oversight, penalty=penalty, scale=scale)
    method = Gradient(learning_rate=0.05, l2=decay)
    sweep.append(Sweep(organism=organism, method=method, num_steps=8000))
    name = f"gate, m = {oversight}, c = {penalty:g}, λ = {decay}, σ = {scale}: deceptive"
    cell = {"oversight": oversight, "scale": scale}
    known.append(Exact(name=name, cell=cell, fraction=exact, source="quadrature"))
    if other is not None:
        known.append(
            Independent(name=name, cell=cell, fraction=other, trials=8000, source="other code")
        )
seeds = 100_000
rule = Behavior(deceptive_gap=0.5)
