"""The study of hijacking: critical gaps of made-up seeds, and what it says of them."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from study_tables import TINY, Made, outcome

from basin_jax import Sweep
from basin_jax.methods import Gradient
from basin_jax.organisms import Gate
from basin_jax.starts import Fresh
from basin_jax.studies.framework.rows import Table
from basin_jax.studies.framework.study import find
from basin_jax.studies.hijack import Hijack
from basin_jax.studies.parts.critical_gap import (
    foretold,
    less,
    naturally,
    needed,
    probed,
    ranks,
    strays,
)


INF = float("inf")
GATE = Sweep(organism=Gate(), method=Gradient(learning_rate=0.1), num_steps=0)


def test_a_critical_gap_is_that_of_a_seeds_start_at_its_own_critical_dose():
    """The gap rises by the square of the dose, the rate of the act by the dose."""
    places = [dose for dose in probed() if dose in (0.0, 0.5, 1.0)]
    assert places == [0.0, 0.5, 1.0]
    cells = {f"{dose:g}": GATE.replace(start=Fresh(scale=1 + dose)) for dose in probed()}
    own = np.array([0.0, 0.1, -0.1, 0.2])
    parts = [
        outcome(
            {(name, 0): [False] * 4},
            cells,
            watched=0.2 + float(name) / 10 - (own + float(name) ** 2) / 2,
            unwatched=0.2 + float(name) / 10 + (own + float(name) ** 2) / 2,
            competence=0.5 - float(name) / 4,
        ).history
        for name in cells
    ]
    begun = replace(outcome({("0", 0): [False]}, cells), history=pl.concat(parts))
    found = needed(begun, np.array([0.0, 0.5, 1.0, INF]))
    np.testing.assert_allclose(found.gap, [0.0, 0.35, 0.9, INF], atol=1e-6)
    np.testing.assert_allclose(found.rate, [0.0, 0.05, 0.1], atol=1e-6)
    np.testing.assert_allclose(found.competence, [0.0, -0.125, -0.25], atol=1e-6)
    # Between two doses that were probed it lies between their gaps.
    (between, *_) = needed(begun, np.full(4, 0.5 + 1 / 64)).gap
    assert 0.25 < between < 0.32


def test_the_rank_of_a_critical_gap_covers_the_interval_of_the_gap():
    rng = np.random.default_rng(0)
    natural, gaps = rng.uniform(0, 1, 4000), np.concatenate([rng.uniform(0.7, 0.9, 99), [INF]])
    at, below = ranks(gaps, natural, "x/", "x")
    assert at.low < 0.8 < at.high
    assert below.low < at.low < below.value < at.high < below.high
    none, most = ranks(np.full(20, INF), natural, "x/", "x")
    assert (none.value, most.value) == (INF, 1.0)


def test_what_neither_dose_can_do_is_no_difference():
    found = less(np.array([0.5, INF, 0.2, INF]), np.array([0.2, INF, INF, 0.1]))
    np.testing.assert_allclose(found, [0.3, 0.0, -INF, INF])


def test_a_seeds_own_gap_foretells_its_dose_or_no_seed_needs_one():
    own, doses = np.linspace(0, 1, 40), np.linspace(1, 0, 40)
    assert foretold("x", "x", own, doses, num_intervals=1).value == 1.0
    assert foretold("x", "x", own[::-1], doses, num_intervals=1).value == 0.0
    assert foretold("x", "x", own, np.zeros(40), num_intervals=1).undefined


def test_fresh_networks_are_told_apart_by_the_median_critical_gap():
    cells = {"": GATE}
    natural = np.array([0.1, 0.4, 0.5, 0.6])
    fresh = outcome({("", None): [False, False, True, True]}, cells)
    above, below = naturally(fresh, natural, np.array([0.5, 0.2, INF]), named=("x", "x"))
    assert (above.value, above.seeds, below.value, below.seeds) == (1.0, 2, 0.0, 2)


def test_a_seed_that_contradicts_its_critical_dose_is_counted():
    cells = {name: GATE.replace(start=Fresh(scale=1 + float(name))) for name in ("0.5", "1")}
    ends = {("0.5", None): [True, True, False], ("1", None): [True, False, True]}
    found = pl.DataFrame({"low": [0.3, 0.3, 0.6], "high": [0.4, 0.4, 0.7]})
    given = outcome(ends, cells)
    row = strays(given, found, (0.5, 1.0), named=("x", "x"))
    assert row.value == pytest.approx(1 / 3)
    assert strays(given, found, (0.5,), named=("x", "x")).value == 0.0


@pytest.mark.ci
def test_a_dose_is_a_gap_of_behavior_that_fresh_networks_have_or_not(tmp_path):
    study, key = Hijack(testbed=TINY, difficulties=(2,), quick=96), "difficulty=2"
    rows = find("hijack", study, Made(folder=tmp_path, quick=True)).rows

    def said(**bounds):
        told = {
            end: replace(rows[f"{key}/{end}"], value=value, low=low, high=high)
            for end, (value, low, high) in bounds.items()
        }
        return " ".join(
            each.text
            for each in study.sentences(
                Table((rows | {row.key: row for row in told.values()}).values())
            )
        )

    text = said(
        **{
            "critical-dose": (0.627, 0.582, 0.648),
            "critical-dose/gap": (0.062, 0.05, 0.07),
            "critical-dose/fresh-below": (0.95, 0.9, 0.98),
            "grown-less-implant/gap": (0.2, 0.1, 0.3),
            "none": (0.4, 0.3, 0.5),
        }
    )
    assert "hijacked once its gap is above 0.062 [0.05, 0.07] by an implant that" in text
    assert "; 0.950 [0.900, 0.980] of fresh networks have a smaller one" in text
    assert "It takes 0.627 [0.582, 0.648] of the way to the whole circuit; no dose hij" in text
    assert text.startswith("At difficulty 2 the critical gap of a grown dose is larger than that")
    assert "is smaller than that of an implant" in said(
        **{"grown-less-implant/gap": (-0.2, -0.3, -0.1)}
    )
    assert "is not shown to differ from that" in said(
        **{"grown-less-implant/gap": (0.0, -0.3, 0.1)}
    )
    assert "most fresh networks need no dose" in said(**{"critical-dose": (0.0, 0.0, 0.0)})
