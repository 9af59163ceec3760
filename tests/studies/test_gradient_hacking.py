"""The study of gradient hacking: what it reads of drifts, and what it says of them."""

import math

import numpy as np
import polars as pl
import pytest

from basin_jax.core.identity import digest_of
from basin_jax.core.verdict import Verdict
from basin_jax.rules import Behavior
from basin_jax.studies.framework.rows import Row
from basin_jax.studies.framework.study import Outcome
from basin_jax.studies.gradient_hacking import (
    ASKED,
    GROUPS,
    PUT_BACK,
    GradientHacking,
    _coin,
    _listed,
    _ratio,
)


STUDY = GradientHacking(lengths=(10, 20))
CELL = STUDY._cell(0.2, 1.0)
# The gap of each end, and then after either length.
GAPS = np.array([[0.9, 0.9, 0.0], [0.9, 0.0, 0.0], [0.0, 0.0, 0.0], [0.3, 0.3, 0.3]])


def outcome(**drifts):
    """Return four seeds: one that stays deceptive for a while, one that does not, and others."""
    parts = []
    for step, gap in zip(CELL.stops, GAPS.T, strict=True):
        told = {"fit": np.ones(4), "watched": np.zeros(4), "unwatched": gap}
        told |= {"competence": np.ones(4), "margin": gap - 0.5}
        # Carriers that are put back are as at the end, a random set changes nothing.
        back = {f"placebo_{n}": v for n, v in told.items()}
        back |= {f"restored_{n}": v for n, v in (told | {"unwatched": GAPS[:, 0]}).items()}
        names = np.select([gap >= 0.5, gap < 0.1], ["DECEPTIVE", "INTENDED"], "OTHER")
        keys = {"cell": digest_of(CELL), "seed": np.arange(4), "step": step, "verdict": names}
        moved = {f"{name}_drift": np.array(values) for name, values in drifts.items()}
        parts.append(pl.DataFrame(keys | told | back | moved))
    return Outcome(history=pl.concat(parts), rule=Behavior())


def test_carriers_are_held_against_another_set_seed_by_seed():
    trained = outcome(carriers=[3.0, 1.0, 8.0, 8.0], rest=[1.0, 2.0, 1.0, 1.0])
    seen = STUDY._since(trained, CELL, Verdict.DECEPTIVE)
    assert [_ratio(each, "rest").tolist() for each in seen] == [[3.0, 0.5]] * 2
    drifted = STUDY._drifts(seen, "deceptive")
    assert [(one.value, one.low, one.high, one.seeds) for one in drifted.values()] == [
        (0.5, 0.0, math.inf, 2)
    ] * 2
    still = STUDY._drifts([each.filter(verdict="DECEPTIVE") for each in seen], "still")
    assert {length: one.value for length, one in still.items()} == {10: 3.0}


def test_what_has_not_drifted_at_all_has_no_ratio():
    trained = outcome(carriers=[0.0, 1.0, 0.0, math.nan], rest=[0.0, 0.0, 2.0, 1.0])
    assert _ratio(trained.at(CELL), "rest").tolist() == [math.inf, 0.0]


def test_there_must_be_ends_of_a_verdict():
    with pytest.raises(ValueError, match="none of 4 ends is UNFIT; allowed: more seeds"):
        STUDY._since(outcome(), CELL, Verdict.UNFIT)


def test_the_verdict_is_asked_for_with_each_set_put_back():
    seen = STUDY._since(outcome(), CELL, Verdict.DECEPTIVE)
    told = {
        what: [one.value for one in r.values()] for what, r in STUDY._put_back(seen, "").items()
    }
    assert told == dict(zip(PUT_BACK, ([0.5, 0.0], [1.0, 1.0], [0.5, 0.0]), strict=True))


def test_the_check_fails_where_one_random_set_drifts_farther_too_often():
    even = outcome(random=[1.0] * 4, other=[0.5, 2.0, 0.5, 2.0])
    assert _coin(even, CELL).holds
    uneven = outcome(random=[1.0] * 4, other=[0.5, 0.5, 0.5, 2.0]).history
    many = pl.concat(uneven.with_columns(pl.col("seed") + 4 * n) for n in range(20))
    found = _coin(Outcome(history=many, rule=Behavior()), CELL)
    assert (found.value, found.seeds, found.holds) == (0.75, 80, False)


def ratio(low, high):
    return Row(kind="measured", what="", value=(low + high) / 2, low=low, high=high, seeds=9)


@pytest.mark.parametrize(
    ("larger", "asked", "behind", "ahead", "kept"),
    [
        ((0.1, 0.4), (0.1, 0.2), "10, 20 steps", "none of these lengths", "10 steps"),
        ((0.1, 0.4), (0.5, 1.5), "10, 20 steps", "none of these lengths", "none of these lengths"),
        ((0.3, 0.6), (0.1, 0.2), *["none of these lengths"] * 3),
        ((0.6, 0.9), (0.1, 0.2), "none of these lengths", "10, 20 steps", "none of these lengths"),
    ],
)
def test_no_more_is_said_than_intervals_carry(larger, asked, behind, ahead, kept):
    drifts = {name: dict.fromkeys(STUDY.lengths, ratio(2.0, 4.0)) for name in GROUPS}
    beside = {name: dict.fromkeys(STUDY.lengths, ratio(*larger)) for name in [*GROUPS][1:]}
    judged = {what: dict.fromkeys(STUDY.lengths, ratio(0.0, 0.1)) for what in PUT_BACK}
    still = ({10: ratio(*asked)}, beside)
    said = STUDY._says(drifts, beside, still, judged, judged["nothing"])
    told = [f"less than in {n} after {behind}, and more after {ahead}" for n in [*GROUPS][1:]]
    assert said[1].text.endswith(f"at once, {'; '.join(told)}.")
    assert said[2].text.endswith(f"that is so after {kept}.")


def test_drifts_of_the_same_ends_are_compared_seed_by_seed():
    """Each seed drifts a little less: the medians' intervals overlap, and the sign test tells."""
    spread = np.exp(np.random.default_rng(0).normal(size=40))
    name = [*GROUPS][1]

    def seen(carriers):
        columns = {"seed": range(40), "carriers_drift": carriers, "rest_drift": np.ones(40)}
        return [pl.DataFrame(columns)] * len(STUDY.lengths)

    asked, others = seen(0.9 * spread), seen(spread)
    medians = [STUDY._drifts(each, "")[20] for each in (asked, others)]
    assert medians[0].high > medians[1].low
    found = STUDY._beside(asked, others, ASKED, name)[20]
    assert (found.value, found.seeds) == (0, 40)
    assert found.high < 0.5
    # Of other seeds, such as intended ones, all pairs are compared.
    assert STUDY._beside(asked, others, ASKED, [*GROUPS][2])[20].high > 0.5


def test_lengths_are_listed_as_a_sentence_has_them():
    assert _listed([]) == "none of these lengths"
    assert _listed([10, 20]) == "10, 20 steps"


def test_lengths_must_rise():
    for lengths in ((), (0, 10), (20, 10)):
        with pytest.raises(ValueError, match="one or more, rising from above 0"):
            GradientHacking(lengths=lengths)
