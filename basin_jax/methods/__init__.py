"""Training methods, one a file."""

from basin_jax.methods.adversarial import Adversarial
from basin_jax.methods.averaged import Averaged
from basin_jax.methods.correction import Correction
from basin_jax.methods.early_stopping import EarlyStopping
from basin_jax.methods.evolution import Evolution
from basin_jax.methods.gradient import Gradient
from basin_jax.methods.gradient_flow import GradientFlow
from basin_jax.methods.guess_and_check import GuessAndCheck
from basin_jax.methods.langevin import Langevin
from basin_jax.methods.masked import Masked
from basin_jax.methods.pushed import Pushed
from basin_jax.methods.sharpness_aware import SharpnessAware


__all__ = [
    "Adversarial",
    "Averaged",
    "Correction",
    "EarlyStopping",
    "Evolution",
    "Gradient",
    "GradientFlow",
    "GuessAndCheck",
    "Langevin",
    "Masked",
    "Pushed",
    "SharpnessAware",
]
