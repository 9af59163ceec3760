"""State beside parameters: what of a Flax module no method trains, and training would lose."""

import sys
from typing import Any

import jax


# Kinds of Flax's variables that a module changes itself, and not a gradient.
KINDS = ("BatchStat", "Cache", "Intermediate", "Perturbation", "RngState")
SHOWN = 3


def expect_trainable(organism: str, params: Any) -> None:
    """Raise `ValueError` where an organism's parameters hold state that its modules change."""
    nnx = sys.modules.get("flax.nnx")
    if nnx is None:
        return  # nobody has made a module
    kinds = tuple(getattr(nnx, kind) for kind in KINDS if hasattr(nnx, kind))
    leaves = jax.tree_util.tree_leaves_with_path(params, is_leaf=lambda x: isinstance(x, kinds))
    held = [
        f"{leaf_name(path)} ({type(leaf).__name__})"
        for path, leaf in leaves
        if isinstance(leaf, kinds)
    ]
    if held:
        more = f" and {len(held) - SHOWN} more" if len(held) > SHOWN else ""
        raise ValueError(
            f"{organism} has state beside its parameters, whose changes training would lose: "
            f"{', '.join(held[:SHOWN])}{more}; allowed: nnx.Param alone, as of nnx.split(model, "
            "nnx.Param, ...), with dropout by a key from the batch, and normalization by the batch "
            "itself or by LayerNorm (see docs/extending.md, State beside parameters)"
        )


def leaf_name(path: Any) -> str:
    """Name a leaf of a pytree by its path."""
    return jax.tree_util.keystr(path, simple=True, separator=".")
