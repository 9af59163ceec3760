"""The number of the 2ⁿ inputs that an untrained perceptron answers with 1 is uniform.

A million seeds separate chance from error: in the first 10⁵ (`--seeds 100000`) one of the eight
classes is 3.9 standard errors too frequent, in all of them 1.7.
"""

import polars as pl

from basin_jax import Exact, Sweep
from basin_jax.methods import Gradient
from basin_jax.organisms import Perceptron


BITS = 3

sweep = Sweep(organism=Perceptron(bits=BITS), method=Gradient(learning_rate=0.1), num_steps=0)
seeds = 1_000_000
known = [
    Exact(
        name=f"perceptron of {BITS} bits: {ones} inputs answered 1",
        of=pl.col("ones") == ones,
        fraction=2**-BITS,
        source="2^-n",
    )
    for ones in range(2**BITS)
]
