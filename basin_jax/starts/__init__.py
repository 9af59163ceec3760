"""Starts: where a trial begins, one a file."""

from basin_jax.core.fresh import Fresh as Fresh
from basin_jax.starts.anchored import Anchored as Anchored
from basin_jax.starts.balanced import Balanced as Balanced
from basin_jax.starts.between import Between as Between
from basin_jax.starts.crossed import Crossed as Crossed
from basin_jax.starts.displaced import Displaced as Displaced
from basin_jax.starts.fork import Fork as Fork
from basin_jax.starts.implant import Implant as Implant
from basin_jax.starts.interpolated import Interpolated as Interpolated
from basin_jax.starts.perturbed import Perturbed as Perturbed
from basin_jax.starts.student import Student as Student
from basin_jax.starts.ticket import Ticket as Ticket
from basin_jax.starts.toward import Toward as Toward
from basin_jax.starts.trained import Trained as Trained


__all__ = [name for name in dir() if name[0].isupper()]  # pyright: ignore[reportUnsupportedDunderAll]


def __dir__() -> list[str]:
    """List the plug-ins, without the files that they are in."""
    return __all__
