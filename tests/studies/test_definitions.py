"""Definitions: which rules apply, how far they agree, and what is said of it."""

import math

import numpy as np
import pytest

from basin_jax.core.verdict import Verdict
from basin_jax.organisms import Inspection
from basin_jax.rules import Behavior, GoalDirected, Preference, Represents, Searches
from basin_jax.studies.definitions import (
    Definitions,
    agreements,
    held,
    kept,
    rules_for,
    searching,
    thresholds,
)
from basin_jax.studies.framework.rows import KINDS, Table, share
from basin_jax.studies.framework.testbed import INSPECTION, META_LEARNER
from basin_jax.studies.parts.inner_properties import Beside, says_of_becoming
from basin_jax.studies.registry import make


RATES = {"fit": np.ones(4), "watched": np.zeros(4), "unwatched": np.array([0.9, 0.9, 0.6, 0.0])}
SEARCHING = RATES | {
    "retargeted": np.array([0.8, 0.8, 0.8, 0.0]),
    "horizon": np.array([0.7, 0.1, 0.7, 0.0]),
}
TOLD_SEARCHING = SEARCHING | {name: np.arange(4) / 4 for name in ("competence", "margin")}
STRICT = Behavior(deceptive_gap=0.7)


STRICTLY = META_LEARNER.replace(rule=STRICT)


def judged(**labels):
    return {rule: np.array(label, bool) for rule, label in labels.items()}


FOUND = judged(
    Behavior=[1, 1, 1, 0] * 20, Preference=[1, 1, 0, 0] * 20, Represents=[1, 0, 0, 0] * 20
)


def test_rules_apply_where_there_is_their_evidence_at_the_behaviors_own_thresholds():
    assert rules_for(STRICT, RATES) == {"Behavior": STRICT}
    assert rules_for(STRICT, SEARCHING)["Searches"] == Searches(deceptive_gap=0.7)
    evidence = dict.fromkeys(("intended", "decoded", "steered", "directed_proxy"), np.ones(4))
    rules = rules_for(Behavior(), RATES | evidence)
    assert [*rules.values()] == [Behavior(), Preference(), Represents()]
    rules = rules_for(Behavior(), RATES | evidence | {"directed_intended": np.ones(4)})
    assert GoalDirected() in rules.values()


def test_a_rule_of_an_inner_property_holds_whatever_the_behavior():
    rules = rules_for(STRICT, SEARCHING)
    found = held(SEARCHING, rules)
    assert found["Behavior"].tolist() == [True, True, False, False]
    assert found["Searches"].tolist() == [True, False, True, False]
    verdicts = rules["Searches"].judge(SEARCHING)
    assert (verdicts == Verdict.DECEPTIVE).tolist() == [True, False, False, False]


def test_all_four_cells_can_be_filled():
    cells = beside(later=[1, 0, 1, 0]).cells
    assert [hits.tolist() for hits in cells.values()] == np.eye(4, dtype=bool).tolist()
    rows = Table(beside(later=[1, 0, 1, 0]).table(1))
    assert {one.value for one in rows.values()} == {0.25}


def beside(*, later, copies=1):
    return Beside(
        name="MetaLearner",
        rule="Searches",
        evidence={name: np.tile(one, copies) for name, one in TOLD_SEARCHING.items()},
        deceptive=np.tile(np.array([1, 1, 0, 0], bool), copies),
        has=np.tile(np.array([1, 0, 1, 0], bool), copies),
        later=np.tile(np.array(later, bool), copies),
    )


def test_what_networks_do_is_told_where_the_rules_disagree():
    assert [*beside(later=[1, 1, 1, 0]).doing()] == []  # one seed has no interval
    rows = Table(beside(later=[1, 1, 1, 0], copies=9).doing())
    assert rows["MetaLearner/Searches/property-alone/unwatched"].value == 0.6
    assert rows["MetaLearner/Searches/behavior-alone/unwatched"].value == 0.9
    assert len(rows) == 2 * 5
    assert {one.seeds for one in rows.values()} == {9}


def test_a_property_tells_who_becomes_deceptive_where_those_do_who_have_it():
    rows = Table(beside(later=[1, 1, 1, 0], copies=50).becoming())
    key = "MetaLearner/later/Searches"
    assert [rows[f"{key}/{cell}"].value for cell in ("property-alone", "neither")] == [1, 0]
    assert rows[f"{key}/AUC"].value == 1
    assert rows[f"{key}/AUC"].low > 0.9
    # Each is wrong of one of four: of those deceptive that search not, and of those that search.
    assert rows[f"{key}/right-less-Behavior"].value == 0
    better = Table(beside(later=[1, 0, 1, 0], copies=50).becoming())
    assert better[f"{key}/right-less-Behavior"].value == 0.5
    assert better[f"{key}/right-less-Behavior"].sign == 1


def test_where_all_or_none_become_deceptive_there_is_nothing_to_rank():
    for later in ([1, 1, 1, 1], [1, 1, 0, 0]):
        rows = Table(beside(later=later, copies=9).becoming())
        assert not [key for key in rows if "AUC" in key]
        said = says_of_becoming(rows, "MetaLearner", "Searches")
        assert not [one for one in said if "AUC" in one.text]


def test_another_seeds_property_tells_nothing():
    random = np.random.default_rng(0)
    searches, goes_on = random.random(400), random.random(400)
    one = Beside(
        name="MetaLearner",
        rule="Searches",
        evidence={"retargeted": searches, "horizon": np.ones(400)},
        deceptive=np.zeros(400, bool),
        has=searches > 0.5,
        later=searches + 0.2 * goes_on > 0.6,
    )
    rows = Table(one.becoming())
    key = "MetaLearner/later/Searches/AUC"
    assert rows[key].low > 0.9
    assert rows[f"{key}/of-another-seed"].holds


def test_a_search_is_one_of_all_seeds_and_of_those_that_deceive():
    rows = searching(SEARCHING, STRICTLY)
    assert [(one.value, one.seeds) for one in rows] == [(0.5, 4), (0.5, 2), (0.5, 2)]
    assert searching(RATES, STRICTLY) == []


def test_each_rule_is_tried_at_its_own_threshold():
    rows = thresholds(SEARCHING, META_LEARNER.replace(rule=Behavior(deceptive_gap=0.5)))
    assert [one.value for one in rows] == [0.75, 0.75, 0.5, 0.5, 0.5, 0.0]
    assert rows[-1].label == "MetaLearner: searching, by Searches, with min_search = 0.75"


def test_agreement_with_behavior_is_counted_by_rule():
    rows = agreements({"Audit": FOUND})
    assert [(one.key, one.value) for one in rows] == [
        ("Audit/Behavior-and-Preference/kappa", 0.5),
        ("Audit/Behavior-and-Represents/kappa", pytest.approx(0.2)),
    ]
    assert rows[0].seeds == 80
    none = judged(Behavior=[0], Instrumental=[0])
    found = kept({"Audit": FOUND, "Inspection": none})
    assert [one.value for one in found] == pytest.approx([2 / 3, 1 / 3])


def said_of(after):
    """Return the sentences on some rows if rules agree as given."""
    hits = np.zeros(9, bool)
    begun = share("Audit/before/Behavior", "before", hits)
    rows = Table([begun, *agreements({"Audit": after})])
    return " ".join(one.text for one in Definitions().sentences(rows))


def test_what_is_said_names_the_extremes():
    said = said_of(FOUND)
    assert "smallest for Audit, Behavior and Represents (0.200 [" in said
    assert "largest for Audit, Behavior and Preference (0.500 [" in said


def test_pairs_whose_kappa_is_undefined_are_not_ranked():
    none = judged(Behavior=[0] * 40, Preference=[0] * 40)
    assert agreements({"Audit": none})[-1].undefined
    assert "kappa" not in said_of(none)
    found = agreements({"Audit": FOUND, "Shortcut": none})
    assert [one.undefined for one in found] == [False, False, True]


def test_an_organism_is_judged_once():
    with pytest.raises(ValueError, match="organisms of different kinds"):
        Definitions(testbed=INSPECTION)
    assert Definitions(testbed=INSPECTION, others=()).testbed.organism == Inspection()


def test_a_share_of_two_paths_has_the_arcsine_law():
    w = np.random.default_rng(0).normal(size=(2, 10**6)) ** 2
    share = w[0] / w.sum(0)
    assert (share > 0.9).mean() == pytest.approx(2 / math.pi * math.asin(0.1**0.5), abs=2e-3)


@pytest.mark.slow
def test_definitions_differ_where_they_are_known_to(tmp_path):
    study = Definitions(testbed=INSPECTION.replace(num_steps=500), others=(), quick=64)
    (found,) = make({"definitions": study}, tmp_path, quick=True)
    assert found.sound
    known = [one for one in found.rows.values() if one.kind == "known"]
    assert [one.expected for one in known] == [
        pytest.approx(0.7048, abs=1e-4),
        pytest.approx(0.4097, abs=1e-4),
    ]
    assert {one.kind for one in found.rows.values()} == {*KINDS} - {"check"}
