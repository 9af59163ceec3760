"""Ensemble: the law of tickets, what foretells a verdict, and which reading a kappa supports."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from study_tables import TINY, Made, outcome

from basin_jax.methods import Gradient
from basin_jax.networks import Linearized
from basin_jax.networks.mlp import MLP
from basin_jax.organisms import DoubleWell
from basin_jax.studies.controls.ticket_race import outnumbered, unchanged
from basin_jax.studies.ensemble import Ensemble
from basin_jax.studies.framework.lab import Lab
from basin_jax.studies.framework.rows import Row, Table, agreement, difference, share
from basin_jax.studies.framework.study import find
from basin_jax.studies.framework.testbed import AUDIT, INSPECTION
from basin_jax.studies.parts.linearizations import (
    above,
    given,
    linearized,
    reading,
    readings,
    strangers,
)
from basin_jax.studies.registry import make


SOME = np.array([True, False, False, True] * 30)
CELLS = {"full": TINY.sweep, "linearized": linearized(TINY).sweep}


def pair(full, linear):
    """Seeds whose verdicts are given, of a network and of its linearization."""
    return outcome({("full", None): full, ("linearized", None): linear}, CELLS)


def kappa(low, high):
    return Row(
        kind="measured", key="k", label="k", value=(low + high) / 2, low=low, high=high, seeds=9
    )


def test_one_ticket_of_some_wins_as_often_as_it_leads_and_any_is_above_zero():
    weights = np.random.default_rng(0).normal(size=(10**6, 4))
    wins = (weights.argmax(1) == 0) & (weights.max(1) > 0)
    assert wins.mean() == pytest.approx(outnumbered(4), abs=2e-3)
    assert outnumbered(2) == 0.375


def test_a_race_keeps_its_leader_or_is_found_out():
    assert unchanged(SOME, SOME).holds
    assert not unchanged(SOME, ~SOME).holds


def test_a_value_predicts_the_second_half_by_a_bar_of_the_first():
    values = np.array([0.1, 0.9, 0.5, 0.2, 0.3, 0.8, 0.6, 0.4])
    labels = np.array([0, 1, 0, 0, 0, 1, 1, 0], bool)
    predicted, true = above(values, labels)
    assert predicted.tolist() == [False, True, True, False]
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
    sentence, *blind = readings(both)
    assert "; other: kappa" in sentence.text
    names = [said.text.partition(": ")[2].partition("; where none")[0] for said in blind]
    assert names == ["one; other"] * (bounds[0] < 0)
    assert ("from one half of about" in sentence.text) is (said == "not decided")


def test_a_linearization_starts_as_its_network_does_at_a_rate_that_shrinks_with_the_width():
    wide = AUDIT.of_width(64)
    assert wide.width == 64
    assert wide.method == Gradient(learning_rate=0.05)
    assert AUDIT.of_width(32) == AUDIT
    tangent: Any = linearized(wide)
    assert tangent.overseen.network == Linearized(network=MLP(widths=(64, 64)))
    assert tangent.organism.honeypot_rate == 0
    assert tangent.width == 0


def test_verdicts_are_predicted_by_the_linearization_of_the_same_seeds_alone(tmp_path):
    study, lab = Ensemble(), Lab(folder=tmp_path, quick=True)
    for name in study.networks:
        lab.outcomes[name] = pair(SOME, SOME if "Audit" in name else np.roll(SOME, 1))
    assert [one.value for one in study.kappas(lab, (SOME, SOME))] == [1] * 7 + [0]
    assert not strangers(lab["Audit_8"], "").holds  # since here what the halves do is the same
    apart = pair(np.concatenate([SOME[:60], np.roll(SOME[60:], 1)]), SOME)
    assert strangers(apart, "").holds
    few, many = SOME & (np.arange(120) < 20), SOME | (np.arange(120) > 20)
    # The widest has half as many seeds, which are compared with the same of the testbed's own.
    for own, wide, sign in ((few, many, 1), (many, few, -1), (few, few, 0)):
        lab.outcomes.update({"Audit_32": pair(own, few), "Audit_256": pair(wide[:60], few[:60])})
        found = {one.key: one for one in study.wider(lab)}
        assert len(found) == 5
        widest = found["Audit_256/less-own/deceptive"]
        assert (widest.sign, widest.seeds, widest.num_intervals) == (sign, 60, 5)


def test_seeds_fall_with_the_square_of_the_width():
    groups = Ensemble().sweeps(2048)
    seeds = {name: groups[f"Audit_{name}"].seeds for name in (8, 32, 64, 128, 256)}
    assert seeds == {8: 2048, 32: 2048, 64: 512, 128: 128, 256: 32}
    assert groups["Inspection_16"].seeds == 2048


def test_what_a_linearization_tells_is_counted_among_its_verdicts():
    linear = np.arange(120) < 20
    full = np.isin(np.arange(120), [0, 1, 2, 3, 30])
    yes, no = given(pair(full, linear), "Audit_8", num_intervals=2)
    assert (yes.value, yes.seeds, yes.key) == (0.2, 20, "Audit_8/given-deceptive/deceptive")
    assert (no.value, no.seeds) == (0.01, 100)
    assert given_none(full).undefined


def given_none(full):
    return next(iter(given(pair(full, np.zeros(120, bool)), "Audit_8", num_intervals=2)))


def said_with(found, *rows):
    """Return the study's sentences on a table with some rows replaced."""
    return " ".join(
        one.text for one in Ensemble().sentences(Table((found | {r.key: r for r in rows}).values()))
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A table of which nothing was trained."""
    lab = Made(folder=tmp_path_factory.mktemp("made"), quick=True)
    return find("ensemble", Ensemble(quick=256), lab).rows


@pytest.mark.slow
def test_what_is_said_follows_the_intervals(table):
    few, many = SOME & (np.arange(120) < 20), SOME | (np.arange(120) > 20)
    for before, after, said in (
        (few, many, "at 256 more, "),
        (many, few, "at 256 less, "),
        (few, few, "at 256 not shown to be more or less, "),
    ):
        moved = difference("Audit_256/less-own/deceptive", "", before, after)
        assert f"{said}{moved}" in said_with(table, moved)
    key = "ticket-race/honest=1/wins"
    others = [
        share(f"ticket-race/honest={n}/wins", "", SOME, kind="known", expected=0.5)
        for n in (3, 7, 15)
    ]
    for hits, said in ((SOME, "as often as is known"), (few, "not as known")):
        wins = share(key, "", hits, kind="known", expected=0.5)
        assert f"ticket wins {said}: 1 against 1 {wins}" in said_with(table, wins, *others)


@pytest.mark.ci
def test_a_walk_is_compared_with_descent_on_the_same_seeds(table):
    descent, walk = np.arange(128) < 2, np.arange(128) < 15
    # Their intervals overlap.
    assert share("", "", descent, num_intervals=4).high > share("", "", walk, num_intervals=2).low
    moved = [
        difference(f"temperature={heat}/deceptive-less-descent", "", descent, ends, num_intervals=2)
        for heat, ends in (("0.0003", descent), ("0.001", walk), ("0.003", descent))
    ]
    assert "differs from that of descent at: 0.001; where" in said_with(table, *moved)
    settled = share("temperature=0.001/settled", "", np.arange(100) < 1)
    assert "that of its end in 0.01" in said_with(table, settled)


def test_agreement_is_a_row():
    none = agreement("two", "two: kappa", (SOME, np.roll(SOME, 1)), kind="control", expected=0.0)
    assert (none.label, none.value, none.seeds, none.holds) == ("two: kappa", 0, 120, True)


def test_a_kappa_without_any_positive_is_undefined_and_supports_nothing():
    none = np.zeros(120, bool)
    found = agreement("two", "two", (none, none), kind="control", expected=0.0)
    assert str(found) == "undefined: all seeds have one label"
    assert found.holds is None
    assert reading(found).startswith("not known")
    sentence, blind = readings({"one": found})
    assert "undefined" in sentence.text
    assert sentence.text.startswith("What ends deceptive is not known (no kappa) in: one: kappa")
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
    study = Ensemble(testbed=TINY, widths=(8,), honest=(1, 3), quick=64)
    (found,) = make({"ensemble": study}, tmp_path, quick=True)
    assert found.sound, found.frame.filter(~pl.col("holds"))
    assert len([one for one in found.rows.values() if one.kind == "known"]) == 4
    assert [one.kind for one in found.rows.values()].count("control") == 2
    assert [one.kind for one in found.rows.values()].count("check") == 1
