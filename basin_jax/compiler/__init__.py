"""Compile the training step of one seed to an operation on blocks of seeds, without XLA.

`compiler.cpu` and `compiler.cuda` are its targets: each has `compile_steps` and `identity`. What a
target cannot compile is `Unsupported`, and `why_not` says why. README.md describes the stages, and
how to add an operation or a target.
"""

from collections.abc import Callable
from typing import Any

from basin_jax.compiler.ir import Unsupported as Unsupported


def why_not(compile_steps: Callable[..., Callable], *arguments: Any) -> str | None:
    """Return the reason why a target's `compile_steps` refuses these arguments, or None."""
    try:
        compile_steps(*arguments)
    except Unsupported as why:
        return str(why)
    return None
