"""Training methods, one a file."""

from basin_jax.methods.adversarial import Adversarial as Adversarial
from basin_jax.methods.averaged import Averaged as Averaged
from basin_jax.methods.correction import Correction as Correction
from basin_jax.methods.disconnected import Disconnected as Disconnected
from basin_jax.methods.early_stopping import EarlyStopping as EarlyStopping
from basin_jax.methods.evolution import Evolution as Evolution
from basin_jax.methods.gradient import Gradient as Gradient
from basin_jax.methods.gradient_flow import GradientFlow as GradientFlow
from basin_jax.methods.guess_and_check import GuessAndCheck as GuessAndCheck
from basin_jax.methods.langevin import Langevin as Langevin
from basin_jax.methods.masked import Masked as Masked
from basin_jax.methods.pushed import Pushed as Pushed
from basin_jax.methods.sharpness_aware import SharpnessAware as SharpnessAware


__all__ = [name for name in dir() if name[0].isupper()]  # pyright: ignore[reportUnsupportedDunderAll]


def __dir__() -> list[str]:
    """List the plug-ins, without the files that they are in."""
    return __all__
