"""The two-unit XOR networks of the tr_xor experiments, with every activation of their table.

Oursland 2025, "tr_xor" (GitHub, alanoursland/tr_xor: `src/configs.py`, `src/run.py`, and the
tables of `manuscript/relu1`): Adam, full batch, stopped at a loss below 1e-7 or after more than
10 epochs without an improvement of 1e-24. Success is 4 of 4 points on the right side of 1/2.
"""

import polars as pl

from basin_jax import Independent, Published, Sweep
from basin_jax.methods import EarlyStopping, Gradient
from basin_jax.organisms import ReluXor


SUCCESS = pl.col("competence") == 1
# Name, organism, epochs, learning rate, successes, runs, and a rate over 5,000 other runs.
TABLE = [
    ("ReLU", ReluXor(), 800, 0.01, 24, 50, 0.417),
    ("ReLU, N(0, .5²)", ReluXor(scale=0.5), 800, 0.01, 29, 50, 0.476),
    ("ReLU, N(0, .5²), mirrored", ReluXor(scale=0.5, mirrored=True), 800, 0.01, 984, 1000, None),
    ("leaky .8", ReluXor(slope=0.8), 800, 0.01, 44, 50, 0.832),
    ("leaky .1", ReluXor(slope=0.1), 800, 0.01, 47, 50, 0.859),
    ("leaky .01", ReluXor(slope=0.01), 800, 0.01, 38, 50, 0.705),
    ("leaky -.01", ReluXor(slope=-0.01), 5000, 0.01, 48, 50, None),
    ("leaky -.1", ReluXor(slope=-0.1), 5000, 0.1, 45, 50, None),
    ("leaky -.8", ReluXor(slope=-0.8), 5000, 0.1, 46, 50, None),
    ("ELU", ReluXor(activation="elu"), 5000, 0.01, 48, 50, None),
    ("PReLU", ReluXor(activation="prelu", slope=0.25), 5000, 0.01, 48, 50, None),
]

sweep, known = [], []
for name, organism, epochs, rate, hits, trials, other in TABLE:
    adam = Gradient(optimizer="adam", learning_rate=rate, options={"b2": 0.99})
    method = EarlyStopping(method=adam, patience=10, min_delta=1e-24, threshold=1e-7)
    sweep.append(Sweep(organism=organism, method=method, num_steps=epochs))
    of_this = {
        "name": f"XOR by two units, {name}: success",
        "of": SUCCESS,
        "cell": {f"organism.{n}": getattr(organism, n) for n in ("activation", "slope", "scale")}
        | {"organism.mirrored": organism.mirrored},
    }
    known.append(Published(**of_this, hits=hits, trials=trials, source="tr_xor"))
    if other is not None:
        known.append(Independent(**of_this, fraction=other, trials=5000, source="other code"))
seeds = 10_000
