"""Compile the training step of one seed to an operation on blocks of seeds, without XLA.

`compiler.cpu` and `compiler.cuda` are its targets: each has `compile_steps` and `identity`. What a
target cannot compile is `Unsupported`, and says why. README.md describes the stages, and how to add
an operation or a target.
"""

from collections.abc import Callable
from typing import Any

from basin_jax.compiler.ir import Unsupported as Unsupported
from basin_jax.compiler.xla_ffi import Steps as Steps


def steps_or_why_not(compile_steps: Callable[..., Steps], *arguments: Any) -> Steps | str:
    """Return what a target's `compile_steps` makes of arguments, or the reason why it refuses."""
    try:
        return compile_steps(*arguments)
    except Unsupported as why:
        return str(why)
