"""Fractions too small to count: searches for basins that few seeds fall into."""

from basin_jax.rare.census import Census as Census
from basin_jax.rare.estimate import RareEstimate as RareEstimate
from basin_jax.rare.estimate import Replication as Replication
from basin_jax.rare.importance import ImportanceSampling as ImportanceSampling
from basin_jax.rare.problem import Search as Search
from basin_jax.rare.reading import StoredSearch as StoredSearch
from basin_jax.rare.reading import load as load
from basin_jax.rare.run import fraction as fraction
from basin_jax.rare.scores import At as At
from basin_jax.rare.scores import Logistic as Logistic
from basin_jax.rare.scores import Mean as Mean
from basin_jax.rare.scores import OneEvidence as OneEvidence
from basin_jax.rare.scores import Peak as Peak
from basin_jax.rare.scores import Score as Score
from basin_jax.rare.scores import SettlingTime as SettlingTime
from basin_jax.rare.splitting import Splitting as Splitting
from basin_jax.rare.subset import SubsetSimulation as SubsetSimulation


__all__ = [name for name in dir() if name[0].isupper() or name in ("fraction", "load")]  # pyright: ignore[reportUnsupportedDunderAll]
