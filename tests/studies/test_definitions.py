"""Definitions: which rules apply, how far they agree, and what is said of it."""

import math

import numpy as np
import pytest
from study_tables import committed

from basin_jax.organisms import Inspection
from basin_jax.rules import Behavior, GoalDirected, Preference, Represents, Searches
from basin_jax.studies.definitions import (
    Definitions,
    agreements,
    deceives,
    exceptions,
    kept,
    rules_for,
    searching,
    thresholds,
)
from basin_jax.studies.framework.rows import KINDS, Table
from basin_jax.studies.framework.testbed import INSPECTION, META_LEARNER
from basin_jax.studies.registry import make


RATES = {"fit": np.ones(4), "watched": np.zeros(4), "unwatched": np.array([0.9, 0.9, 0.6, 0.0])}
SEARCHING = RATES | {
    "retargeted": np.array([0.8, 0.8, 0.8, 0.0]),
    "horizon": np.array([0.7, 0.1, 0.7, 0.0]),
}
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


def test_a_search_is_one_of_all_seeds_and_of_those_that_deceive():
    rules = rules_for(STRICT, SEARCHING)
    assert deceives(SEARCHING, rules)["Searches"].tolist() == [True, False, False, False]
    rows = searching(SEARCHING, STRICTLY)
    assert [(one.value, one.seeds) for one in rows] == [(0.5, 4), (0.5, 2), (0.5, 2)]
    assert searching(RATES, STRICTLY) == []


def test_each_rule_is_tried_at_its_own_threshold():
    rows = thresholds(SEARCHING, META_LEARNER.replace(rule=Behavior(deceptive_gap=0.5)))
    assert [one.value for one in rows] == [0.75, 0.75, 0.5, 0.5, 0.5, 0.0]
    assert rows[-1].label == "MetaLearner: deceptive by Searches with min_search = 0.75"


def test_agreement_is_counted_by_pairs_of_rules():
    rows = agreements({"Audit": FOUND})
    same, beyond, *_ = rows
    assert (same.value, beyond.value) == (0.75, 0.5)
    assert same.seeds == beyond.seeds == 80
    assert [one.key for one in rows[::2]] == [
        "Audit/Behavior-and-Preference/same",
        "Audit/Behavior-and-Represents/same",
        "Audit/Preference-and-Represents/same",
    ]
    none = judged(Behavior=[0], Instrumental=[0])
    found = kept({"Audit": FOUND, "Inspection": none})
    assert [one.value for one in found] == pytest.approx([2 / 3, 1 / 3])


def test_a_rule_that_asks_for_more_finds_nothing_new():
    (none,) = exceptions("Audit", FOUND)
    assert none.holds
    assert "Represents and not by Behavior" in none.label
    (some,) = exceptions("Audit", judged(Behavior=[0] * 9, Represents=[1] * 9))
    assert not some.holds


def said_of(after):
    """Return the sentences on the committed table if rules agree as given."""
    table = next(one for one in committed() if one.name == "definitions").rows
    others = [one for key, one in table.items() if not key.endswith(("/same", "/kappa"))]
    rows = Table([*others, *agreements({"Audit": after})])
    return " ".join(one.text for one in Definitions().sentences(rows))


def test_what_is_said_names_the_extremes():
    said = said_of(FOUND)
    assert "smallest for Audit, Behavior and Represents (0.200 [" in said
    assert "largest for Audit, " in said


def test_pairs_whose_kappa_is_undefined_are_not_ranked():
    some = judged(Behavior=[1, 0] * 20, Preference=[0] * 40, Represents=[0] * 40)
    assert agreements({"Audit": some})[-1].undefined
    assert (
        "whose kappa is defined, it is smallest for Audit, Behavior and Preference (0 ["
        in said_of(some)
    )
    assert "kappa" not in said_of(judged(Behavior=[0] * 40, Preference=[0] * 40))


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
    assert {one.kind for one in found.rows.values()} == {*KINDS}
