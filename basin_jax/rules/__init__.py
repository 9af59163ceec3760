"""Decision rules: evidence to verdicts, one a file."""

from basin_jax.rules.behavior import Behavior as Behavior
from basin_jax.rules.goal_directed import GoalDirected as GoalDirected
from basin_jax.rules.instrumental import Instrumental as Instrumental
from basin_jax.rules.nearest import Nearest as Nearest
from basin_jax.rules.preference import Preference as Preference
from basin_jax.rules.represents import Represents as Represents
from basin_jax.rules.searches import Searches as Searches


__all__ = [name for name in dir() if name[0].isupper()]  # pyright: ignore[reportUnsupportedDunderAll]


def __dir__() -> list[str]:
    """List the plug-ins, without the files that they are in."""
    return __all__
