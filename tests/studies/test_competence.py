"""The study of competence: the turn, and which comes first."""

import math

import numpy as np
import polars as pl
import pytest

from basin_jax.core.identity import digest_of
from basin_jax.statistics.estimates import estimate
from basin_jax.studies.competence import KNOWN, PATHS, Competence, _first, _order, _says
from basin_jax.studies.framework.rows import difference, row
from basin_jax.studies.framework.study import WELL, Outcome, turn
from basin_jax.studies.framework.testbed import AUDIT
from basin_jax.studies.registry import make


def counted(*hits, trials=40):
    return [row("some", estimate(hit, trials, num_intervals=len(hits))) for hit in hits]


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
def test_the_turn_lies_between_what_is_surely_below_and_surely_above(hits, expected):
    found = turn((10, 20, 30, 40, 50, 60), counted(*hits), "steps")
    assert (found.value, found.low, found.high) == expected


def test_the_turns_interval_covers_it_and_one_without_bounds_does_not():
    random, places = np.random.default_rng(0), range(1, 11)
    true, draws, seeds = 5.4, 2000, 60
    missed, guessed, widths = 0, 0, []
    for _ in range(draws):
        # A seed turns at a step of its own, and is the same seed at every step.
        own = true * np.exp(random.normal(0, 0.5, seeds))
        found = counted(*[int((own <= place).sum()) for place in places], trials=seeds)
        one = turn(places, found, "steps")
        missed += not one.low <= true <= one.high
        guessed += not one.value - 1 <= true <= one.value
        widths.append(one.high - one.low)
    assert missed / draws <= 0.05
    assert guessed / draws > 0.2
    assert np.median(widths) <= 4


def test_what_is_said_of_a_turn_is_what_the_grid_tells():
    places = (10, 20, 30)

    def said(*hits):
        found = counted(*hits)
        moved = difference("some", *(np.arange(40) < hits[place] for place in (0, -1)))
        half = turn(places, found, "steps")
        return _says("Here", "steps", places, found, half, moved).text

    assert said(0, 20, 40) == (
        "Here, along steps, the turn lies between 10 and 30; the fraction rises: "
        "0 [0, 0.113] at 10, 1 [0.887, 1] at 30, on the same seeds by 1 [0.797, 1]."
    )
    assert "not beyond 10, by a grid that begins at 10; the fraction falls" in said(40, 40, 20)
    assert "no turn is found up to 30; the fraction is not seen to rise" in said(0, 20, 0)


def test_a_fraction_that_moves_is_compared_on_the_same_seeds():
    """2 against 15 of 128 have intervals that overlap: McNemar's test tells them apart."""
    first, last = np.arange(128) < 2, np.arange(128) < 15
    found = [
        row("some", estimate(int(hits.sum()), 128, num_intervals=10)) for hits in (first, last)
    ]
    assert found[0].high > found[1].low
    moved = difference("some", first, last, cells=7)
    places = (0, 2000)
    half = turn(places, found, "steps")
    assert "the fraction rises" in _says("Here", "steps", places, found, half, moved).text
    moved = difference("some", last, first, cells=7)
    assert "the fraction falls" in _says("Here", "steps", places, found[::-1], half, moved).text


def test_the_first_stop_of_each_seed():
    hits = [np.array([False, True, False]), np.array([True, False, False])]
    assert _first(hits, (5, 9)).tolist() == [9, 5, math.inf]


def test_what_seeds_are_before_they_deceive():
    # Fit at once; fit and as intended before; deceptive at once; never deceptive.
    verdicts = [
        ["UNFIT", "UNFIT", "DECEPTIVE", "UNFIT"],
        ["OTHER", "INTENDED", "DECEPTIVE", "INTENDED"],
        ["DECEPTIVE", "DECEPTIVE", "UNFIT", "UNFIT"],
    ]
    cell = WELL.replace(save_at=(0, 10))
    history = pl.concat(
        pl.DataFrame({"cell": digest_of(cell), "seed": range(4), "step": step, "verdict": names})
        for step, names in zip(cell.stops, verdicts, strict=True)
    )
    fit, intended, middle = _order(Outcome(history=history, rule=AUDIT.rule), cell, "x")
    assert (fit.value, intended.value, middle.value) == (2 / 3, 1 / 3, cell.num_steps)
    assert fit.seeds == 3
    none = history.filter(pl.col("seed") == 3)
    assert _order(Outcome(history=none, rule=AUDIT.rule), cell, "x") == []


def test_the_known_turn_is_where_half_of_the_circuits_form():
    assert pytest.approx(30.27, abs=0.02) == KNOWN
    assert PATHS[0] < KNOWN < PATHS[-1]


def test_a_study_whose_stops_do_not_rise_or_whose_organism_has_no_cues_is_refused():
    with pytest.raises(ValueError, match="rising to below num_steps = 2000"):
        Competence(stops=(0, 2000))
    with pytest.raises(ValueError, match="some of difficulties"):
        Competence(sized=(4,))
    wells = AUDIT.replace(organism=WELL.organism, overseen=WELL.organism)
    with pytest.raises(ValueError, match="an organism with a difficulty and a network"):
        Competence(subject=wells)


@pytest.mark.slow
def test_a_control_that_pays_is_not_null(tmp_path):
    study = Competence(
        subject=AUDIT.replace(overseen=AUDIT.organism, num_steps=600),
        difficulties=(1,),
        sized=(1,),
        widths=(8,),
        depths=(0,),
        quick=96,
    )
    (found,) = make({"competence": study}, tmp_path, quick=True)
    assert [one.kind for one in found.rows if one.holds is False] == ["control"]
