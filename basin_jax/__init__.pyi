# The public names: `basin_jax/__init__.py` loads each from where this file has it.

from . import methods as methods
from . import networks as networks
from . import organisms as organisms
from . import rare as rare
from . import rules as rules
from . import starts as starts
from .core.contracts import Method as Method
from .core.contracts import Organism as Organism
from .core.contracts import Start as Start
from .core.identity import digest_of as digest_of
from .core.plugin import Plugin as Plugin
from .core.sweep import Child as Child
from .core.sweep import Parent as Parent
from .core.sweep import Sweep as Sweep
from .core.sweep import grid as grid
from .core.trial import trial as trial
from .core.verdict import Rule as Rule
from .core.verdict import Verdict as Verdict
from .core.wrappers import MethodWrapper as MethodWrapper
from .core.wrappers import OrganismWrapper as OrganismWrapper
from .engine.kernel import build_kernel as build_kernel
from .interrupts import GaveUp as GaveUp
from .report.dose_response import dose_response as dose_response
from .results.given import Given as Given
from .results.records import Records as Records
from .results.records import load as load
from .results.references import Exact as Exact
from .results.references import Independent as Independent
from .results.references import Limit as Limit
from .results.references import Published as Published
from .results.request import ChosenSeeds as ChosenSeeds
from .runs.isolation import TrainingError as TrainingError
from .runs.recheck import recheck as recheck
from .runs.replay import replay as replay
from .runs.run import run as run
from .statistics.dose_response import Threshold as Threshold
from .statistics.estimates import Difference as Difference
from .statistics.estimates import Estimate as Estimate
from .statistics.estimates import basin_fraction as basin_fraction
from .statistics.estimates import basin_fractions as basin_fractions
from .statistics.estimates import paired_difference as paired_difference
from .studies.published import published as published

__version__: str
