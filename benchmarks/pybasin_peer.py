"""The pendulum by pybasin, the classical package for basins of attraction.

Imported only where pybasin and PyTorch are installed.
"""

import importlib
import logging
import math
from typing import Any

from basin_jax.bench.pendulum import HORIZON, SWEEP, TRIALS, WINDOW, Pendulum
from basin_jax.bench.timing import Prepared
from basin_jax.statistics.estimates import Estimate, estimate


torch: Any = importlib.import_module("torch")
solvers: Any = importlib.import_module("pybasin.solvers")

# It logs each step to the standard output, which is for results.
logging.getLogger("pybasin").setLevel(logging.WARNING)

# Its solver's defaults: times kept, and the share of the horizon from which on.
SAVED, STEADY = 1000, 0.85
# A point of each basin, by which its classifier knows them: those of its case study.
TEMPLATES = {"FP": [0.4, 0.0], "LC": [2.7, 0.0]}


class _Equations(solvers.ODESystem):
    """The pendulum's equations as pybasin wants them."""

    def ode(self, t: Any, y: Any, p: Any) -> Any:
        alpha, torque, stiffness = p[..., 0], p[..., 1], p[..., 2]
        theta, omega = y[..., 0], y[..., 1]
        pull = torque - alpha * omega - stiffness * torch.sin(theta)
        return torch.stack([omega, pull], dim=-1)


def pybasin_pendulum() -> Prepared:
    """Prepare pybasin's estimator: its default solver, and the classifier of its case study.

    The solver's cache on disk is off: initial conditions are drawn anew for each call, so
    that it could only cost time.
    """
    estimator = _estimator()
    torch.manual_seed(0)
    hits: list[int] = []

    def call() -> None:
        found = estimator.run()["basin_stability"]
        hits.append(round(found.get("LC", 0.0) * TRIALS))

    def basin() -> Estimate:
        return estimate(hits[-1], TRIALS)

    threads = torch.get_num_threads()
    return Prepared(work=TRIALS, call=call, note=f"dopri5, {threads} threads", basin=basin)


def _estimator() -> Any:
    organism = SWEEP.organism
    assert isinstance(organism, Pendulum)
    numbers = {name: getattr(organism, name) for name in ("alpha", "torque", "stiffness")}
    rest = math.asin(organism.torque / organism.stiffness)
    module = importlib.import_module
    return module("pybasin.basin_stability_estimator").BasinStabilityEstimator(
        n=TRIALS,
        ode_system=_Equations(numbers),
        sampler=module("pybasin.sampler").UniformRandomSampler(
            [rest - math.pi, -organism.reach], [rest + math.pi, organism.reach], device="cpu"
        ),
        solver=solvers.TorchDiffEqSolver(
            t_span=(0, HORIZON),
            t_steps=SAVED,
            t_eval=(STEADY * HORIZON, HORIZON),
            device="cpu",
            cache_dir=None,
        ),
        feature_extractor=module("pybasin.feature_extractors").TorchFeatureExtractor(
            time_steady=HORIZON - WINDOW,
            features=None,
            features_per_state={1: {"log_delta": None}},
            normalize=False,
        ),
        feature_selector=None,
        predictor=module("sklearn.neighbors").KNeighborsClassifier(n_neighbors=1),
        template_integrator=module("pybasin.template_integrator").TemplateIntegrator(
            template_y0=list(TEMPLATES.values()), labels=list(TEMPLATES), ode_params=numbers
        ),
    )
