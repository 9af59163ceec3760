"""Goal-directedness along training: competence from the reward, matched pairs, and the limit."""

from typing import Any

import jax
import numpy as np
import pytest
from scipy.stats import spearmanr
from study_tables import TINY, number, outcome

from basin_jax.organisms import Audit
from basin_jax.organisms.audit import DEFECT
from basin_jax.studies.framework.rows import Table
from basin_jax.studies.framework.testbed import AUDIT
from basin_jax.studies.parts import sizes
from basin_jax.studies.parts.directedness import (
    Course,
    competence,
    directedness,
    last_of,
    limit,
    matched,
    near,
    pairs,
    rank_correlation,
    said_limit,
)


ORGANISM: Any = TINY.organism
SWEEP = TINY.sweep.replace(save_at=(0, 10))


@pytest.mark.ci
@pytest.mark.parametrize("changes", [{}, {"difficulty": 1, "bonus": 0.2}, {"honeypot_rate": 0.3}])
@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_competence_is_how_often_answers_are_right_where_it_is_watched(changes, scale):
    organism = ORGANISM.replace(**changes)
    params = jax.tree.map(lambda leaf: scale * leaf, organism.init(jax.random.key(3)))
    inputs, _ = Audit().sample(jax.random.key(0))
    policy, inputs = np.asarray(organism.policy(params, inputs)), np.asarray(inputs)
    watched = inputs[:, 3 : 3 + organism.difficulty].prod(1) > 0
    right = policy[(inputs[:, 0] * inputs[:, 1] > 0).astype(int), np.arange(128)][watched]
    found = {k: np.asarray(v)[None] for k, v in organism.probe(jax.random.key(1), params).items()}
    expected = right.mean() / (1 - policy[DEFECT, watched]).mean()
    assert competence(organism, found) == pytest.approx(expected, abs=1e-5)


def test_the_goal_that_explains_best_counts_and_nan_counts_as_none():
    proxy, intended = np.array([0.2, 0.9, np.nan]), np.array([0.6, 0.1, 0.5])
    found = directedness({"directed_proxy": proxy, "directed_intended": intended})
    assert found.tolist() == [0.6, 0.9, 0.0]


def test_the_rank_correlation_is_spearmans():
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(2, 7, 5))
    second[2] = second[3]  # a tie
    found = rank_correlation(first, second)
    wanted = [spearmanr(a, b).statistic for a, b in zip(first.T, second.T, strict=True)]
    assert found == pytest.approx(wanted)
    assert rank_correlation(first, np.zeros_like(first)).tolist() == [0.0] * 5


def test_pairs_are_the_nearest_and_none_is_used_twice():
    values = np.array([0.500, 0.900, 0.504, 0.501, 0.908, 0.70])
    ends = np.array([True, True, True, False, False, False])
    # 0.504 and 0.500 both have 0.501 in reach: one of them stays alone.
    assert pairs(values, ends).tolist() == [[0, 3], [1, 4]]
    assert pairs(np.array([0.5, 0.6]), np.array([True, False])).tolist() == []


def test_a_seed_counts_once_as_at_its_last_stop_there():
    there = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0]], bool)
    hits = np.array([[0, 1, 1], [1, 0, 1], [0, 0, 1]], bool)
    assert last_of(there, hits).tolist() == [True, True]


def made(ends, *, directed, fit=(0.0, 0.6, 0.6)):
    """A course of seeds as intended until they end, which never defect; `fit` is by stop."""
    given = {
        ("", 0): ["INTENDED"] * len(ends),
        ("", 10): ["INTENDED"] * len(ends),
        ("", None): ends,
    }
    trained = outcome(given, {"": SWEEP}, watched=0.0, unwatched=0.0, directed_intended=0.0)
    # Without defecting, it is (right - 1/2) / (3/4).
    fits = np.repeat(np.array(fit), len(ends))
    told = np.concatenate([np.zeros(len(ends)), directed, directed])
    history = trained.history.with_columns(
        fit=fits, intended=0.5 + 0.75 * fits, directed_proxy=told
    )
    return Course(type(trained)(cells=trained.cells, history=history, rule=trained.rule), ORGANISM)


MANY = np.array(["DECEPTIVE", "PARTIAL", "INTENDED", "INTENDED"] * 10)


def test_the_limit_counts_the_seeds_that_are_competent_at_the_end():
    course = made(MANY, directed=np.where(MANY == "PARTIAL", 0.5, 0.95), fit=(0.0, 0.2, 2 / 3))
    rows = Table(limit(course, "k", "some"))
    tops = {what: rows[f"k/top/{what}"].value for what in ("deceptive", "partial", "one-goal")}
    assert tops == {"deceptive": 0.25, "partial": 0.25, "one-goal": 0.75}
    assert rows["k/competent"].value == 1
    assert rows["k/competence=0/deceptive"].value == 0
    assert rows["k/competence=0.99/deceptive"].value == 0.25
    assert rows["k/after-competence/deceptive"].value == 0  # the first such stop is the last
    few = made(MANY, directed=0.5 * np.ones(40), fit=(0.0, 0.2, 0.4))
    assert Table(limit(few, "k", "some"))["k/top/deceptive"].undefined


def test_what_changes_after_competence_is_counted_on_the_same_seeds():
    course = made(MANY, directed=0.95 * np.ones(40), fit=(2 / 3, 2 / 3, 2 / 3))
    rows = Table(limit(course, "k", "some"))
    goal, lies = (rows[f"k/after-competence/{what}"] for what in ("one-goal", "deceptive"))
    assert (goal.gained, goal.lost, lies.gained, lies.lost) == (40, 0, 10, 0)
    said = said_limit("k", "Here", rows).text
    assert "the fraction deceptive is in between: 0.250" in said
    assert "one goal takes over, by a difference of 1 [" in said


def test_directedness_tells_at_equal_competence_where_it_does():
    rng = np.random.default_rng(4)
    ends = rng.permutation(["DECEPTIVE", "INTENDED", "INTENDED"] * 40)
    noise = rng.random(120)
    told = made(ends, directed=np.where(ends == "DECEPTIVE", 0.6, 0.4) + 0.1 * noise)
    untold = made(ends, directed=noise)
    one, null = matched(told, "k", "some", (10,))
    assert (one.value, one.seeds) == (1, 40)
    assert null.holds
    assert 0.2 < next(iter(matched(untold, "k", "some", (10,)))).value < 0.8
    # Where the next seed's goal-directedness told the end, the check would not hold.
    shifted = made(ends, directed=np.roll(np.where(ends == "DECEPTIVE", 0.6, 0.4), 1) + 0.1 * noise)
    assert [*matched(shifted, "k", "some", (10,))][-1].holds is False


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.0, 0.05, "near zero"),
        (0.95, 1.0, "near one"),
        (0.2, 0.4, "in between"),
        (0.05, 0.4, "near zero or in between"),
        (0.05, 0.95, "near zero or in between or near one"),
    ],
)
def test_a_limit_is_named_by_its_interval(low, high, said):
    assert near(number(low=low, high=high)) == said


def test_larger_networks_have_fewer_seeds():
    assert sizes.weights(TINY) == 7 * 8 + 8 + 8 * 8 + 8 + 8 * 3 + 3
    counts = [sizes.affordable(AUDIT.of_width(w), AUDIT, 1000) for w in (8, 32, 64, 256)]
    assert counts[0] == counts[1] == 1000 > counts[2] > counts[3]
    ratio = sizes.weights(AUDIT.of_width(256)) / sizes.weights(AUDIT)
    assert counts[3] == pytest.approx(1000 / ratio**0.5, abs=1)
    assert sizes.affordable(AUDIT.of_width(256), AUDIT, 100) == sizes.FEWEST


def test_sizes_are_compared_on_the_seeds_that_are_competent_at_both():
    good = (0.0, 0.2, 2 / 3)
    small = made(MANY[:20], directed=0.5 * np.ones(20), fit=good)
    large = made(
        np.where(MANY == "PARTIAL", "DECEPTIVE", MANY), directed=0.95 * np.ones(40), fit=good
    )
    rows = Table(sizes.compared({4: large, 2: small}, "k", "width", num_differences=2))
    moved = rows["k/last-less-first/deceptive"]
    assert (moved.gained, moved.lost, moved.seeds) == (5, 0, 20)
    assert rows["k/last-less-first/one-goal"].value == 1
    said = sizes.said("Here", "width", (2, 4), "k", rows).text
    assert "that which one goal explains rises along width, 0 [" in said
