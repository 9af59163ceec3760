"""The target for CPUs: a seed in each lane of the vectors.

An element of an array is a vector with one seed in each lane: products of any size fill the
registers, where XLA leaves most of one empty at width 8. Nothing crosses lanes, so that a seed's
bits depend on no other seed.
"""

from basin_jax.compiler.cpu.build import compile_steps as compile_steps
from basin_jax.compiler.cpu.build import identity as identity
