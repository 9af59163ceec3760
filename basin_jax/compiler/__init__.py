"""What a method's step computes for one seed, as JAX traces it: from a graph to C++.

Programs of two kinds are written from it: `simd`, for the vectors of CPUs, and `fused`, for the
thread blocks of GPUs. Neither sees JAX's primitives.

    arrays    the graph of arrays
    rules     what each of JAX's primitives is in it; `draws`: the random ones
    lower     a traced step to that graph
    text      C++ for numbers and names
    storage   what has to be stored, and where
    loops     C++ loops over the elements of an array; `products`: of matrices
    emit      a loop for each array that is stored
    library   C++ to an operation that XLA calls

What has no rule is refused with the reason, and XLA trains it.
"""

from collections.abc import Callable, Sequence
from typing import Any

from basin_jax.compiler.ir import Unsupported as Unsupported


def why_not(
    compile_steps: Callable[..., Callable],
    step: Callable,
    fixed: Sequence[Any],
    state: Sequence[Any],
) -> str | None:
    """Return what of a step a target has no program for, or None where it has one.

    Args:
        compile_steps: of the target.
        step: and the others, as `compile_steps` takes them.
        fixed: shapes of what every step reads.
        state: shapes of the state.
    """
    try:
        compile_steps(step, fixed, state)
    except Unsupported as why:
        return str(why)
    return None
