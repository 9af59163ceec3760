"""Networks that organisms are made of."""

from basin_jax.networks.linearized import Linearized
from basin_jax.networks.mlp import MLP, Residual
from basin_jax.networks.transformer import Transformer


__all__ = [
    "MLP",
    "Linearized",
    "Residual",
    "Transformer",
]
