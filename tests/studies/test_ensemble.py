"""Ensemble: the law of tickets, what foretells a verdict, and which reading a kappa supports."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from basin_jax.core.identity import digest_of
from basin_jax.methods import Gradient
from basin_jax.networks import Linearized
from basin_jax.networks.mlp import MLP
from basin_jax.organisms import Audit, DoubleWell
from basin_jax.rules import Behavior
from basin_jax.statistics.estimates import estimate
from basin_jax.studies.controls.outnumbered import Races, outnumbered
from basin_jax.studies.ensemble import (
    Ensemble,
    Pair,
    _foretold,
    _fractions,
    _readings,
    _says,
    _says_of_walks,
    _strangers,
    _wider,
    above,
    linearized,
    reading,
)
from basin_jax.studies.framework.rows import Row, beyond_chance, difference, row, share
from basin_jax.studies.framework.study import Outcome
from basin_jax.studies.framework.testbed import AUDIT, INSPECTION, Subject
from basin_jax.studies.registry import make


SOME = np.array([True, False, False, True] * 30)
TINY = Subject(
    organism=Audit(network=MLP(widths=(8, 8))),
    overseen=Audit(network=MLP(widths=(8, 8)), honeypot_rate=1.0),
    method=Gradient(learning_rate=0.3),
    num_steps=600,
)


def pair(name, full, linear):
    """Return seeds whose verdicts are given, of a network and of its linearization."""
    full_cell, linear_cell = (one.sweep.replace(save_at=(0,)) for one in (TINY, linearized(TINY)))
    tables = [
        pl.DataFrame(
            {
                "cell": digest_of(cell),
                "seed": range(len(ends)),
                "step": cell.num_steps,
                "verdict": np.where(ends, "DECEPTIVE", "UNFIT"),
            }
        )
        for cell, ends in ((full_cell, full), (linear_cell, linear))
    ]
    trained = Outcome(history=pl.concat(tables), rule=Behavior())
    return Pair(name, full_cell, linear_cell, trained)


def kappa(low, high):
    return Row(kind="measured", what="k", value=(low + high) / 2, low=low, high=high, seeds=9)


def test_one_ticket_of_some_wins_as_often_as_it_leads_and_any_is_above_zero():
    weights = np.random.default_rng(0).normal(size=(10**6, 4))
    wins = (weights.argmax(1) == 0) & (weights.max(1) > 0)
    assert wins.mean() == pytest.approx(outnumbered(4), abs=2e-3)
    assert outnumbered(2) == 0.375


def test_a_race_keeps_its_leader_or_is_found_out():
    assert Races([], (SOME, SOME)).kept.holds
    assert not Races([], (SOME, ~SOME)).kept.holds


def test_a_value_foretells_the_second_half_by_a_bar_of_the_first():
    values = np.array([0.1, 0.9, 0.5, 0.2, 0.3, 0.8, 0.6, 0.4])
    labels = np.array([0, 1, 0, 0, 0, 1, 1, 0], bool)
    foretold, true = above(values, labels)
    assert foretold.tolist() == [False, True, True, False]
    assert true.tolist() == [False, True, True, False]
    assert above(values, np.zeros(8, bool))[0].tolist() == [False] * 4
    assert above(values, np.ones(8, bool))[0].tolist() == [True] * 4


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ((0.6, 0.9), "there at the start"),
        ((-0.1, 0.4), "made by"),
        ((0.4, 0.9), "not decided"),
        ((0.1, 0.6), "not decided"),
    ],
)
def test_a_reading_is_supported_by_the_whole_interval(bounds, said):
    assert reading(kappa(*bounds)).startswith(said)
    both = {"one": kappa(*bounds), "other": kappa(*bounds)}
    sentence, *blind = _readings(both)
    assert "; other (kappa" in sentence.text
    assert [said.text.partition(": ")[2] for said in blind] == ["one, other."] * (bounds[0] < 0)


def test_a_linearization_starts_as_its_network_does_at_a_rate_that_shrinks_with_the_width():
    wide = AUDIT.of_width(64)
    assert wide.width == 64
    assert wide.method == Gradient(learning_rate=0.05)
    assert AUDIT.of_width(32) == AUDIT
    tangent: Any = linearized(wide)
    assert tangent.overseen.network == Linearized(network=MLP(widths=(64, 64)))
    assert tangent.organism.honeypot_rate == 0
    assert tangent.width == 0


def test_verdicts_are_foretold_by_the_linearization_of_the_same_seeds_alone():
    same = pair("Audit 8", SOME, SOME)
    other = pair("Inspection 16", SOME, np.roll(SOME, 1))
    foretold = _foretold(Races([], (SOME, SOME)), [same, other])
    assert [one.value for one in foretold.values()] == [1, 1, 0]
    assert not _strangers(same).holds  # since here what the halves do is the same
    apart = pair("Audit 8", np.concatenate([SOME[:60], np.roll(SOME[60:], 1)]), SOME)
    assert _strangers(apart).holds
    full, linear, fit = _fractions([same])
    assert full[0].value == linear[0].value == fit[0].value == 0.5


def test_what_is_said_follows_the_intervals():
    few, many = SOME & (np.arange(120) < 20), SOME | (np.arange(120) > 20)
    wins = [share("race, 1 against 1: wins", SOME, kind="known", expected=0.5)]
    for before, after, told in (
        (few, many, "is larger at the widest"),
        (many, few, "is smaller at the widest"),
        (few, few, "is not shown to differ"),
    ):
        pairs = [pair("Audit 8", before, few), pair("Audit 16", after, few)]
        told_all = _says(wins, *_fractions(pairs)[:2], _wider(pairs))
        said = " ".join(one.text for one in told_all)
        assert f"The fraction {told}" in said
        assert "wins as its law says: 1 against 1 0.500 [" in said
    wrong = [share("race, 1 against 1: wins", few, kind="known", expected=0.5)]
    assert "not as its law says" in _says(wrong, *_fractions(pairs)[:2], _wider(pairs))[0].text


def test_a_walk_is_compared_with_descent_on_the_same_seeds():
    descent = np.arange(128) < 2
    hits = {1: descent, 2: np.arange(128) < 15}
    walks = [share(f"at {heat}: deceptive", ends, cells=2) for heat, ends in hits.items()]
    beyond = [difference(f"at {n}: more", descent, ends, cells=2) for n, ends in hits.items()]
    # Their intervals overlap.
    alone = share("descent", descent, cells=4)
    assert alone.high > walks[1].low
    same = [row("same", estimate(100, 100)), row("same", estimate(70, 100))]
    said = _says_of_walks(alone, walks, beyond, same).text
    assert "of the walk differs from that of descent at: 2." in said
    assert "at 2 (temperature)" in said
    assert "that of the end in 0.700" in said


def test_agreement_is_a_row():
    none = beyond_chance("two", (SOME, np.roll(SOME, 1)), kind="control", expected=0.0)
    assert (none.what, none.value, none.seeds, none.holds) == ("two: kappa", 0, 120, True)


def test_a_kappa_without_any_positive_is_undefined_and_supports_nothing():
    none = np.zeros(120, bool)
    found = beyond_chance("two", (none, none), kind="control", expected=0.0)
    assert str(found) == "undefined: all seeds have one label"
    assert found.holds is None
    assert reading(found) == "not told"
    sentence, blind = _readings({"one": found})
    assert "undefined" in sentence.text
    assert sentence.text.endswith("it is not told.")
    assert blind.text.endswith("beyond chance what ends deceptive: one.")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"widths": (8, 16)}, "rising, 32 among them"),
        ({"widths": (32, 16)}, "rising, 32 among them"),
        ({"other": INSPECTION.replace(organism=DoubleWell(), overseen=DoubleWell())}, "one width"),
    ],
)
def test_an_ensemble_that_cannot_be_made_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        Ensemble(**changes)


@pytest.mark.slow
def test_what_is_known_of_an_ensemble_is_recovered(tmp_path):
    study = Ensemble(subject=TINY, widths=(8,), honest=(1, 3), quick=64)
    (found,) = make({"ensemble": study}, tmp_path, quick=True)
    assert found.sound, found.frame.filter(~pl.col("holds"))
    assert len([one for one in found.rows if one.kind == "known"]) == 4
    assert [one.kind for one in found.rows].count("control") == 2
    assert [one.kind for one in found.rows].count("check") == 1
