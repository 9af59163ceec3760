"""Decision rules: evidence to verdicts, one a file."""

from basin_jax.rules.behavior import Behavior
from basin_jax.rules.goal_directed import GoalDirected
from basin_jax.rules.instrumental import Instrumental
from basin_jax.rules.nearest import Nearest
from basin_jax.rules.preference import Preference
from basin_jax.rules.represents import Represents
from basin_jax.rules.searches import Searches


__all__ = [
    "Behavior",
    "GoalDirected",
    "Instrumental",
    "Nearest",
    "Preference",
    "Represents",
    "Searches",
]
