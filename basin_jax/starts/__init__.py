"""Starts: where a trial begins, one a file."""

from basin_jax.core.fresh import Fresh
from basin_jax.starts.anchored import Anchored
from basin_jax.starts.fork import Fork
from basin_jax.starts.implant import Implant
from basin_jax.starts.interpolated import Interpolated
from basin_jax.starts.perturbed import Perturbed
from basin_jax.starts.ticket import Ticket
from basin_jax.starts.trained import Trained


__all__ = [
    "Anchored",
    "Fork",
    "Fresh",
    "Implant",
    "Interpolated",
    "Perturbed",
    "Ticket",
    "Trained",
]
