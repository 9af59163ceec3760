"""Spurious minima of two-layer ReLU networks, by the rates and the counts of the published results.

Safran & Shamir 2018 (GitHub, ItaySafran/OneLayerGDconvergence: `GD_code`, and the sums of
`magnitude` in `Results/newExp-k-n.mat`): 1,000 runs, steps of .1. Safran, Yehudai & Shamir 2021
(GitHub, ItaySafran/Overparameterization: `local_minima.py`, and the multiplicities in `Processed
minima.zip`): 500 runs, steps of 5/k. Both train in float64 until the gradient vanishes, ours for
as long as that takes: after 1,500 steps of .625 the loss of 1,000 networks of 8 units (by NumPy, in
float64) is below 10⁻⁴ or at rest above .02. So a seed stops below 10⁻⁴.
"""

from basin_jax import Exact, Published, Sweep, Verdict
from basin_jax.methods import EarlyStopping, Gradient
from basin_jax.organisms import SpuriousMinima


# Units and targets, learning rate, steps, spurious minima, runs.
TABLE = [
    (8, 0.1, 10_000, 126, 1000, "Safran 2018"),
    (8, 0.625, 2000, 57, 500, "Safran 2021"),
    (10, 0.5, 2000, 160, 500, "Safran 2021"),
]


def cell(units: int, rate: float, steps: int) -> Sweep:
    descent = Gradient(learning_rate=rate)
    return Sweep(
        organism=SpuriousMinima(units=units, targets=units),
        method=EarlyStopping(method=descent, threshold=1e-4, check_every=50),
        num_steps=steps,
    )


sweep = [cell(units, rate, steps) for units, rate, steps, *_ in TABLE]
sweep.append(cell(2, 0.5, 2000))
counted = [
    Published(
        name=f"spurious minima, {units} units, steps of {rate}",
        of=Verdict.UNFIT,
        cell={"units": units, "learning_rate": rate},
        hits=hits,
        trials=trials,
        source=source,
    )
    for units, rate, _, hits, trials, source in TABLE
]
none = Exact(
    name="spurious minima, 2 units",
    of=Verdict.UNFIT,
    cell={"units": 2},
    fraction=0.0,
    source="Wu 2018",
)
known = [*counted, none]
seeds = 10_000
