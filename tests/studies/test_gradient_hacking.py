"""The study of gradient hacking: what it reads of drifts, and what it says of them."""

import itertools
import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from study_tables import number

from basin_jax.core.identity import digest_of
from basin_jax.core.verdict import Verdict
from basin_jax.rules import Behavior
from basin_jax.studies.framework.lab import Outcome
from basin_jax.studies.framework.rows import Table
from basin_jax.studies.gradient_hacking import (
    ASKED,
    GROUPS,
    OTHERS,
    PUT_BACK,
    STILL,
    GradientHacking,
    coin,
    listing,
    ratio,
)


STUDY = GradientHacking(lengths=(10, 20))
CELL = "share=0.2/strength=1"
CELLS = STUDY.sweeps(4)["anchored"].cells
# The gap of each end, and then after either length.
GAPS = np.array([[0.9, 0.9, 0.0], [0.9, 0.0, 0.0], [0.0, 0.0, 0.0], [0.3, 0.3, 0.3]])


def outcome(**drifts):
    """Return four seeds: one that stays deceptive for a while, one that does not, and others."""
    parts = []
    for step, gap in zip(CELLS[CELL].stops, GAPS.T, strict=True):
        told = {"fit": np.ones(4), "watched": np.zeros(4), "unwatched": gap}
        told |= {"competence": np.ones(4), "margin": gap - 0.5}
        # Carriers that are put back are as at the end, a random set changes nothing.
        back = {f"placebo_{n}": v for n, v in told.items()}
        back |= {f"restored_{n}": v for n, v in (told | {"unwatched": GAPS[:, 0]}).items()}
        names = np.select([gap >= 0.5, gap < 0.1], ["DECEPTIVE", "INTENDED"], "OTHER")
        keys = {
            "cell": digest_of(CELLS[CELL]),
            "seed": np.arange(4),
            "step": step,
            "verdict": names,
        }
        moved = {f"{name}_drift": np.array(values) for name, values in drifts.items()}
        parts.append(pl.DataFrame(keys | told | back | moved))
    return Outcome(cells=CELLS, history=pl.concat(parts), rule=Behavior())


def test_carriers_are_held_against_another_set_seed_by_seed():
    trained = outcome(carriers=[3.0, 1.0, 8.0, 8.0], rest=[1.0, 2.0, 1.0, 1.0])
    seen = STUDY.since(trained, CELL, Verdict.DECEPTIVE)
    assert [ratio(each, "rest").tolist() for each in seen] == [[3.0, 0.5]] * 2
    drifted = STUDY.drifts(seen, "deceptive")
    assert [(one.value, one.low, one.high, one.seeds) for one in drifted] == [
        (0.5, 0.0, math.inf, 2)
    ] * 2
    still = STUDY.drifts([each.filter(verdict="DECEPTIVE") for each in seen], "still")
    assert {one.key: one.value for one in still} == {"still/steps=10/drift-over-rest": 3.0}


def test_what_has_not_drifted_at_all_has_noratio():
    trained = outcome(carriers=[0.0, 1.0, 0.0, math.nan], rest=[0.0, 0.0, 2.0, 1.0])
    assert ratio(trained.at(CELL), "rest").tolist() == [math.inf, 0.0]


def test_there_must_be_ends_of_a_verdict():
    with pytest.raises(ValueError, match="none of 4 ends is UNFIT; allowed: more seeds"):
        STUDY.since(outcome(), CELL, Verdict.UNFIT)


def test_the_verdict_is_asked_for_with_each_set_put_back():
    seen = STUDY.since(outcome(), CELL, Verdict.DECEPTIVE)
    found = [one.value for one in STUDY.put_back(seen, "")]
    assert found == [0.5, 0.0, 1.0, 1.0, 0.5, 0.0]


def test_the_check_fails_where_one_random_set_drifts_farther_too_often():
    even = outcome(random=[1.0] * 4, other=[0.5, 2.0, 0.5, 2.0])
    assert coin(even.at(CELL), 20).holds
    uneven = outcome(random=[1.0] * 4, other=[0.5, 0.5, 0.5, 2.0]).history
    many = pl.concat(uneven.with_columns(pl.col("seed") + 4 * n) for n in range(20))
    found = coin(Outcome(cells=CELLS, history=many, rule=Behavior()).at(CELL), 20)
    assert (found.value, found.seeds, found.holds) == (0.75, 80, False)


@pytest.mark.parametrize(
    ("larger", "asked", "behind", "ahead", "kept"),
    [
        ((0.1, 0.4), (0.1, 0.2), "10, 20 steps", "none of these lengths", "10 steps"),
        ((0.1, 0.4), (0.5, 1.5), "10, 20 steps", "none of these lengths", "none of these lengths"),
        ((0.3, 0.6), (0.1, 0.2), *["none of these lengths"] * 3),
        ((0.3, 0.6), (2.0, 4.0), *["none of these lengths"] * 3),
        ((0.6, 0.9), (0.1, 0.2), "none of these lengths", "10, 20 steps", "none of these lengths"),
    ],
)
def test_no_more_is_said_than_intervals_carry(larger, asked, behind, ahead, kept):
    bounds: dict[str, Any] = {
        f"{name}/steps={n}/drift-over-rest": (2.0, 4.0) for name in GROUPS for n in (10, 20)
    }
    for who in (ASKED, STILL):
        keys = [f"{who}/steps={n}/drift-larger-than/{name}" for name in OTHERS for n in (10, 20)]
        bounds |= dict.fromkeys(keys, larger)
    bounds[f"{STILL}/steps=10/drift-over-rest"] = asked
    put = [f"{ASKED}/steps=20/{part}-put-back/deceptive" for part in PUT_BACK]
    put.append(f"{ASKED}, 0.05 of parameters as carriers/steps=20/carriers-put-back/deceptive")
    bounds |= dict.fromkeys(put, (0.0, 0.1))
    rows = Table(number(key=key, low=low, high=high) for key, (low, high) in bounds.items())
    said = [*itertools.islice(STUDY.sentences(rows), 3)]
    compared = [
        f"more often smaller than in {n} after {behind}, and more often larger after {ahead}"
        for n in OTHERS
    ]
    found = [one.text.partition("; where none is shown, ") for one in said]
    assert found[1][0].rstrip(".").endswith(f"at once, {'; '.join(compared)}")
    farther = "10 steps" if asked[0] > 1 else "none of these lengths"
    assert f"it shows after {kept}, and carriers" in said[2].text
    assert said[2].text.endswith(f"farther than the rest after {farther}.")
    assert bool(found[1][1]) is (larger == (0.3, 0.6))


def test_drifts_of_the_same_ends_are_compared_seed_by_seed():
    """Each seed drifts a little less: the medians' intervals overlap, and the sign test tells."""
    spread = np.exp(np.random.default_rng(0).normal(size=40))

    def seen(carriers):
        columns = {"seed": range(40), "carriers_drift": carriers, "rest_drift": np.ones(40)}
        return [pl.DataFrame(columns)] * len(STUDY.lengths)

    asked, others = seen(0.9 * spread), seen(spread)
    medians = [[*STUDY.drifts(each, "")][1] for each in (asked, others)]
    assert medians[0].high > medians[1].low
    same, other = ([*STUDY.beside(asked, others, ASKED, name)][1] for name in OTHERS)
    assert (same.value, same.seeds) == (0, 40)
    assert same.high < 0.5
    # Of other seeds, such as intended ones, all pairs are compared.
    assert other.high > 0.5


def test_lengths_are_listed_as_a_sentence_has_them():
    assert listing([]) == "none of these lengths"
    assert listing([10, 20]) == "10, 20 steps"


def test_lengths_must_rise():
    for lengths in ((), (0, 10), (20, 10)):
        with pytest.raises(ValueError, match="one or more, rising from above 0"):
            GradientHacking(lengths=lengths)
