"""The study buffer: totals that are compared seed by seed, and edges that are tracked."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.optimize import root
from scipy.special import expit
from study_tables import TINY

from basin_jax.methods import Gradient
from basin_jax.studies.buffer import Buffer, multiples
from basin_jax.studies.controls import gate
from basin_jax.studies.framework.lab import Lab
from basin_jax.studies.parts.buffer_edge import SAVED


def test_a_total_is_the_sum_of_its_pushes(tmp_path):
    lab, study = Lab(folder=tmp_path, quick=True), Buffer(testbed=TINY, spells=(20,))
    for key, found in {"deceptive/margin": [2.0, 1.0], "deceptive/20-steps": [0.5, np.inf]}.items():
        lab.bisections[key] = pl.DataFrame({"high": found})
    assert study.total(lab, "deceptive", 1).tolist() == [2.0, 1.0]
    assert study.total(lab, "deceptive", 20).tolist() == [10.0, np.inf]


def test_totals_are_compared_seed_by_seed_also_where_only_one_is_found():
    spread, once = np.array([10.0, np.inf, 3.0]), np.array([2.0, 1.0, np.inf])
    assert multiples(spread, once).tolist() == [5.0, np.inf, 0.0]


def test_the_saddle_of_the_gate_is_where_its_slope_vanishes():
    def slope(at):
        bias, size = at
        unwatched, watched = expit(bias), expit(bias - size**3)
        moved = 1.5 * watched * (1 - watched)
        down = moved - 0.5 * unwatched * (1 - unwatched) + 0.02 * bias
        return [down, -moved * size**2 + 0.02 * size]

    bias, size = root(slope, (-2.7, 0.25)).x
    loss = 1.5 * expit(bias - size**3) - 0.5 * expit(bias) + 0.01 * (bias**2 + 3 * size**2)
    assert size == pytest.approx(0.240364, abs=1e-6)
    assert loss == pytest.approx(gate.SADDLE, abs=1e-6)


@pytest.mark.slow
def test_the_edges_of_gates_lead_to_the_saddle_and_are_stored(tmp_path):
    lab = Lab(folder=tmp_path, quick=True)
    for name, group in gate.gates(16).items():
        lab.train(name, group)
    asked = gate.edges(SAVED)["gate"]
    found = lab.track("gate", asked)
    assert found["held"].all()
    share, *known = gate.at_the_saddle(lab)
    assert share.value == 1
    assert all(row.holds for row in known)
    # They lie above both ends.
    assert (found["loss"] > found["before"]).all()
    assert (found["loss"] > found["beyond"]).all()
    assert lab.seed_steps["gate/edge"] > found["trained"].sum() > 0
    stored = [*(tmp_path / "critical").iterdir()]
    assert lab.track("gate", asked).equals(found)
    assert [*(tmp_path / "critical").iterdir()] == stored
    lab.edges["gate"] = found.with_columns(loss=pl.lit(0.2))
    _, loss, directions = gate.at_the_saddle(lab)
    assert (loss.holds, directions.holds) == (False, True)
    lab.edges["gate"] = found.with_columns(held=pl.lit(value=False))
    assert not any(row.holds for row in gate.at_the_saddle(lab))
    fewer = replace(asked, along={**asked.along, "rounds": 1})
    assert (lab.track("gate", fewer)["steps"] == 0).all()


def test_a_testbed_whose_steps_follow_no_gradient_is_refused():
    adam = TINY.replace(method=Gradient(optimizer="adam", learning_rate=0.1))
    with pytest.raises(ValueError, match=r"testbed\.method = .*; allowed: Gradient with sgd"):
        Buffer(testbed=adam)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"radii": (2.0, 1.0)}, "radii"),
        ({"spells": ()}, "spells"),
        ({"relative_reach": (1.0, 0.0)}, "relative_reach"),
    ],
)
def test_lengths_and_spells_that_make_no_sense_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        Buffer(testbed=TINY, **changes)
