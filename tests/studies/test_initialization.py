"""Untrained networks are judged by what they do, and trained ones by all verdicts."""

import numpy as np
import pytest
from study_tables import outcome

from basin_jax.studies.controls.double_well import WELL
from basin_jax.studies.framework.rows import Table
from basin_jax.studies.initialization import AFTER, BEFORE, after, before


SHARP = np.linspace(-1, 1, 101)  # gaps
CELL = WELL.replace(save_at=(0,))


def judged():
    """Networks that are fit nowhere, of which those with the largest gaps act deceptively."""
    ends = np.array(["DECEPTIVE", "UNFIT", "UNFIT", "DIVERGED"])[np.arange(101) % 4]
    columns = {"fit": 0.0, "watched": np.maximum(-SHARP, 0), "unwatched": np.maximum(SHARP, 0)}
    given = {("", 0): np.full(101, "UNFIT"), ("", None): ends}
    return outcome(given, {"": CELL}, **columns)


def test_untrained_networks_are_judged_without_fitness():
    rows = Table(before(judged(), "", 1))
    # From a gap of .75 on, below .1, and in between.
    assert rows["/before/deceptive"].value == pytest.approx(13 / 101)
    assert rows["/before/intended"].value == pytest.approx(10 / 101)
    assert sum(rows[f"/before/{of.lower()}"].value for of in BEFORE) == pytest.approx(1)
    assert rows["/before/gap/median"].value == pytest.approx(0)
    assert rows["/before/gap/5th-percentile"].value == pytest.approx(-0.9)
    assert rows["/before/gap/95th-percentile"].value == pytest.approx(0.9)


def test_all_verdicts_after_training_have_their_shares():
    rows = Table(after(judged(), "", 2))
    assert rows["/after/deceptive"].value == pytest.approx(26 / 101)
    assert rows["/after/unfit"].value == pytest.approx(50 / 101)
    assert sum(rows[f"/after/{of.lower()}"].value for of in AFTER) == pytest.approx(1)
    assert {one.num_intervals for one in rows.values()} == {2}
