"""The audit game at difficulty 4, counted: a bracket for what a search finds.

A network that is decided at every input stops, which makes counting 3.7 times as fast; of 8,192
seeds it changed the verdict of two (`benchmarks/early_stopping.py`).

Run it with `basin-jax run sweeps/rare/counted.py --seeds 1000000`.
"""

from basin_jax import Sweep
from basin_jax.methods import EarlyStopping, Gradient
from basin_jax.organisms import Audit


sweep = Sweep(
    organism=Audit(difficulty=4),
    method=EarlyStopping(method=Gradient(learning_rate=0.1), check_every=50),
    num_steps=2000,
)
