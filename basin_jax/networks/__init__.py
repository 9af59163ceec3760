"""Networks that organisms are made of."""

from basin_jax.networks.cnn import CNN as CNN
from basin_jax.networks.linearized import Linearized as Linearized
from basin_jax.networks.mlp import MLP as MLP
from basin_jax.networks.mlp import Residual as Residual
from basin_jax.networks.transformer import Transformer as Transformer


__all__ = [name for name in dir() if name[0].isupper()]  # pyright: ignore[reportUnsupportedDunderAll]


def __dir__() -> list[str]:
    """List the networks, without the files that they are in."""
    return __all__
