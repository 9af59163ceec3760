"""The target for NVIDIA GPUs: a seed in each thread block.

One kernel takes all steps of a call. A block keeps a seed's state, and all that a step needs, in
the shared memory of its multiprocessor, and its threads share the elements of each array. A seed
that does not fit there is refused.

Without a GPU the same code runs on a CPU, one thread after the other between barriers
(`emulate.h`): slowly, and only for tests.
"""

from basin_jax.compiler.cuda.build import compile_steps as compile_steps
from basin_jax.compiler.cuda.build import identity as identity
