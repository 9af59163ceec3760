"""Programs that train a seed in each lane of the CPU's vectors.

XLA multiplies one small matrix after the other, and for width 8 most of a vector register is
then empty. Here every element of an array is a vector with one seed in each lane: products of
any size fill the registers, nothing crosses lanes, and a seed's bits depend on no other. The
compiled steps are one operation of the XLA program around them.

    emit      a step's graph (`graph`) to C++ of vectors
    build     C++ to an operation that XLA calls
"""

from basin_jax.compiler.cpu.build import compile_steps as compile_steps
from basin_jax.compiler.cpu.build import identity as identity
