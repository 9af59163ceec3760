"""Programs that train a seed in each thread block of a GPU.

XLA's vmapped training moves parameters, optimizer state and activations through memory at each
step, in some forty kernels. Here one kernel takes all steps of a call: a block keeps a seed's
state and all that a step needs in the memory of its multiprocessor, and its threads share each
array's elements. What does not fit there is refused, and XLA trains it.

    emit      a step's graph (`graph`) to CUDA C++ of a thread block
    build     CUDA C++ to an operation that XLA calls, by NVRTC

Without a GPU the same text runs on a CPU, a thread after the other between barriers
(`emulate.h`): slowly, and only for tests.
"""

from basin_jax.compiler.cuda.build import compile_steps as compile_steps
from basin_jax.compiler.cuda.build import identity as identity
