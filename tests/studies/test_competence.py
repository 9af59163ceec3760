"""The study of competence: the crossing, and which comes first."""

import math
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
from study_tables import outcome

from basin_jax.statistics.estimates import estimate
from basin_jax.studies.competence import Competence, crossing_sentence, first, order
from basin_jax.studies.controls.double_well import WELL
from basin_jax.studies.controls.escape_threshold import KNOWN, PATHS
from basin_jax.studies.framework.rows import Table, crossing, difference, row
from basin_jax.studies.framework.testbed import AUDIT
from basin_jax.studies.registry import make


def counted(*hits, trials=40):
    return [
        row(f"x={place}/deceptive", "some", estimate(hit, trials, num_intervals=len(hits)))
        for place, hit in enumerate(hits)
    ]


@pytest.mark.parametrize(
    ("hits", "expected"),
    [
        ((0, 2, 18, 22, 38, 40), (40, 20, 50)),
        ((40, 40, 40, 40, 40, 40), (10, -math.inf, 10)),
        ((18, 22, 18, 22, 18, 22), (20, -math.inf, math.inf)),
        ((0, 0, 0, 0, 0, 0), (math.inf, 60, math.inf)),
        # What comes down again is below one half only up to where it first is not.
        ((0, 20, 0, 40, 0, 40), (40, 10, 40)),
    ],
)
def test_the_crossing_lies_between_what_is_surely_below_and_surely_above(hits, expected):
    found = crossing("", "", dict(zip(range(10, 70, 10), counted(*hits), strict=True)))
    assert (found.value, found.low, found.high) == expected


@pytest.mark.ci
def test_the_crossings_interval_covers_it_and_one_without_bounds_does_not():
    random, places = np.random.default_rng(0), range(1, 11)
    true, draws, seeds = 5.4, 2000, 60
    missed, guessed, widths = 0, 0, []
    for _ in range(draws):
        # A seed turns at a step of its own, and is the same seed at every step.
        own = true * np.exp(random.normal(0, 0.5, seeds))
        found = counted(*[int((own <= place).sum()) for place in places], trials=seeds)
        one = crossing("", "", dict(zip(places, found, strict=True)))
        missed += not one.low <= true <= one.high
        guessed += not one.value - 1 <= true <= one.value
        widths.append(one.high - one.low)
    assert missed / draws <= 0.05
    assert guessed / draws > 0.2
    assert np.median(widths) <= 4


def said_of(places, found, moved):
    """Return the sentence on some fractions along steps, and on their change."""
    named = dict(zip(places, found, strict=True))
    rows = [replace(one, key=f"x={place}/deceptive") for place, one in named.items()]
    rows += [
        crossing("x/crossing", "", dict(zip(places, found, strict=True))),
        replace(moved, key="x/last-less-first"),
    ]
    return crossing_sentence("Here", "steps", places, "x", Table(rows)).text


def test_what_is_said_of_a_crossing_is_what_the_grid_tells():
    def said(*hits):
        moved = difference("", "some", *(np.arange(40) < hits[place] for place in (0, -1)))
        return said_of((10, 20, 30), counted(*hits), moved)

    assert said(0, 20, 40) == (
        "Here the fraction deceptive rises along steps: 0 [0, 0.113] at 10, 1 [0.887, 1] at 30, a "
        "difference on the same seeds of 1 [0.797, 1]; it passes one half between 10 and 30."
    )
    falls = said(40, 40, 20)
    assert "deceptive falls along" in falls
    assert "one half at 10 at the latest, on a grid from 10." in falls
    none = said(0, 20, 0)
    assert "is not shown to rise or fall along" in none
    assert "is not shown to pass one half up to 30." in none


def test_a_fraction_that_moves_is_compared_on_the_same_seeds():
    """2 against 15 of 128 have intervals that overlap: McNemar's test tells them apart."""
    first, last = np.arange(128) < 2, np.arange(128) < 15
    found = [
        row("", "", estimate(int(hits.sum()), 128, num_intervals=10)) for hits in (first, last)
    ]
    assert found[0].high > found[1].low
    for before, after, moves in ((first, last, "rises"), (last, first, "falls")):
        moved = difference("", "", before, after, num_intervals=7)
        assert f"deceptive {moves}" in said_of((0, 2000), found, moved)


def test_the_first_stop_of_each_seed():
    hits = [np.array([False, True, False]), np.array([True, False, False])]
    assert first(hits, (5, 9)).tolist() == [9, 5, math.inf]


def test_what_seeds_are_before_they_deceive():
    # Fit at once; fit and as intended before; deceptive at once; never deceptive.
    verdicts = [
        ["UNFIT", "UNFIT", "DECEPTIVE", "UNFIT"],
        ["OTHER", "INTENDED", "DECEPTIVE", "INTENDED"],
        ["DECEPTIVE", "DECEPTIVE", "UNFIT", "UNFIT"],
    ]
    cells = {"": WELL.replace(save_at=(0, 10))}
    ends = dict(zip([("", step) for step in cells[""].stops], verdicts, strict=True))
    fit, intended = order(outcome(ends, cells), "x", "x")
    assert (fit.value, intended.value) == (2 / 3, 1 / 3)
    assert fit.seeds == 3
    never = {at: names[-1:] for at, names in ends.items()}
    assert order(outcome(never, cells), "x", "x") == []


def test_the_known_crossing_is_where_half_of_the_circuits_form():
    assert pytest.approx(30.27, abs=0.02) == KNOWN
    assert PATHS[0] < KNOWN < PATHS[-1]


def test_a_study_that_cannot_be_made_is_refused():
    with pytest.raises(ValueError, match="rising to below num_steps = 2000"):
        Competence(stops=(0, 2000))
    with pytest.raises(ValueError, match="some of difficulties"):
        Competence(sized=(4,))
    wells = AUDIT.replace(organism=WELL.organism, overseen=WELL.organism)
    with pytest.raises(ValueError, match="an audit game, whose network has layers of one width"):
        Competence(testbed=wells)
    with pytest.raises(ValueError, match="allowed: at least 2"):
        Competence(longer=1)
    with pytest.raises(ValueError, match="allowed: two or more"):
        Competence(widths=(8,))


def test_sizes_differ_in_network_and_rate_alone_and_a_cue_that_tells_nothing_pays_nothing():
    cells: Any = Competence().sweeps(100)
    wide, narrow = (cells[f"width_2_{width}"].cells[""] for width in (64, 16))
    assert wide.method.learning_rate * 4 == narrow.method.learning_rate
    assert wide.num_steps == narrow.num_steps == cells["depth_2_4"].cells[""].num_steps
    untold = cells["controls"].cells["no cue"].method.objective
    _, rewards = untold.sample(jax.random.key(0))
    assert np.allclose(rewards[:, 2], 0, atol=1e-5)


@pytest.mark.slow
def test_a_control_that_pays_is_not_null(tmp_path):
    study = Competence(
        testbed=AUDIT.replace(overseen=AUDIT.organism, num_steps=600),
        difficulties=(1,),
        sized=(1,),
        widths=(4, 8),
        depths=(1, 2),
        quick=96,
    )
    (found,) = make({"competence": study}, tmp_path, quick=True)
    assert [one.key for one in found.rows.values() if one.holds is False] == ["overseen/deceptive"]
