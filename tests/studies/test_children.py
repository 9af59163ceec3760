"""Children of one parent: their agreement, the entropy of a verdict, and who is undecided."""

import numpy as np
import pytest
from scipy.special import xlogy
from scipy.stats import binom
from study_tables import outcome

from basin_jax import Sweep
from basin_jax.methods import Gradient
from basin_jax.organisms import Gate
from basin_jax.rules import Behavior
from basin_jax.starts import Fork
from basin_jax.studies.controls.random_walk import crossed
from basin_jax.studies.parts.children import (
    agreements,
    blocks_of,
    commonest,
    entropies,
    families_of,
    kin_of,
    mixed,
    same,
    split,
    torn,
    undecided,
)


GATE = Sweep(organism=Gate(), method=Gradient(learning_rate=0.1), num_steps=4)
CHILDREN = 32


def families(hits, children=CHILDREN):
    """A family for each number of deceptive children; the others are intended."""
    return np.where(np.arange(children) < np.array(hits)[:, None], "DECEPTIVE", "INTENDED")


def test_agreement_counts_pairs_of_one_parents_children():
    names = np.array([["DECEPTIVE"] * 3, ["DECEPTIVE", "DECEPTIVE", "OTHER"], ["OTHER"] * 3])
    assert agreements(names).tolist() == pytest.approx([1, 1 / 3, 1])
    found = same("alike", "alike", names, names[:2, :2])
    assert found.value == pytest.approx((1 + 1 / 3 + 1 + 1 + 1) / 5)
    assert found.low < found.value < found.high
    assert found.seeds == 13


def test_agreement_has_no_bias_and_entropy_hardly_any():
    every, p = families(range(CHILDREN + 1)), np.linspace(0, 1, 101)[:, None]
    chances = binom.pmf(np.arange(CHILDREN + 1), CHILDREN, p)
    truth = (p**2 + (1 - p) ** 2).ravel()
    assert chances @ agreements(every) == pytest.approx(truth)
    bits = -(xlogy(p, p) + xlogy(1 - p, 1 - p)).ravel() / np.log(2)
    bias = chances @ entropies(every) - bits
    assert bias.max() < 1e-9
    assert -0.0145 < bias.min() < -0.01
    # Without the correction it is twice as low.
    shares = np.arange(CHILDREN + 1) / CHILDREN
    plain = -(xlogy(shares, shares) + xlogy(1 - shares, 1 - shares)) / np.log(2)
    assert (chances @ plain - bits).min() < -0.025


def test_verdicts_without_a_name_of_their_own_count_as_one():
    ends = np.array([["OTHER", "UNFIT"] * 16, ["DECEPTIVE", "UNFIT"] * 16])
    assert entropies(ends).tolist() == pytest.approx([0, 1 + 1 / (2 * CHILDREN * np.log(2))])


def test_the_mean_entropy_is_in_bits():
    found = mixed("bits", "bits", families([0, 16] * 40))
    assert found.value == pytest.approx((1 + 1 / (2 * CHILDREN * np.log(2))) / 2)
    assert found.low < found.value < found.high < 1
    assert found.seeds == 80 * CHILDREN


def test_a_parent_is_undecided_between_a_tenth_and_nine_tenths():
    some = families([0, 3, 4, 16, 28, 29, 32])
    assert torn(some).tolist() == [False, False, True, True, True, False, False]
    assert (undecided(some) == torn(some)).all()
    assert commonest(some).tolist() == [1, 29 / 32, 28 / 32, 0.5, 28 / 32, 29 / 32, 1]
    other = np.where(some == "DECEPTIVE", "PARTIAL", some)
    assert (undecided(other) == undecided(some)).all()
    assert not torn(other).any()


def test_parents_of_whom_two_children_are_there_stand_apart():
    seeds = kin_of(64, CHILDREN)
    assert seeds[:64].tolist() == [*range(64)]
    assert seeds[64:68].tolist() == [64, 65, 96, 97]
    assert len(seeds) == 64 + 64 // 4
    sweep = GATE.replace(start=Fork(of=GATE, children=CHILDREN))
    ends = np.where(np.arange(len(seeds)) < 64, "OTHER", "INTENDED")
    made = outcome({("", None): ends}, {"": sweep})
    made = made.__class__(
        cells=made.cells, history=made.history.with_columns(seed=seeds), rule=made.rule
    )
    whole, twins = families_of(made)
    assert (whole.shape, twins.shape) == ((2, CHILDREN), (8, 2))
    assert (set(whole.ravel()), set(twins.ravel())) == ({"OTHER"}, {"INTENDED"})


def test_the_variance_is_split_in_blocks_of_a_seed_and_its_partner():
    cells = crossed(GATE, 3, Behavior()).cells
    # Seeds 0 to 2, and their partners; a seed brings the order of the data.
    own, partner = np.array(list("abcdef")), np.array(list("uvwxyz"))
    made = outcome({("own", None): own, ("partner", None): partner}, cells)
    # Rows are initializations: the seed's own, and the partner's.
    assert blocks_of(made)[0].tolist() == [["a", "x"], ["u", "d"]]
    start = np.random.default_rng(0).random(2000) < 0.3
    swapped = np.roll(start, 1000)
    ends = {("own", None): start, ("partner", None): swapped}
    by_start, by_data, by_both = split("k", "k", outcome(ends, cells))
    assert (by_start.value, by_data.value, by_both.value) == (1, 0, 0)
    assert (by_start.low > 0.9, by_start.num_intervals, by_start.seeds) == (True, 3, 4000)
    alike = {("own", None): start, ("partner", None): start}
    assert split("k", "k", outcome(alike, cells))[1].value == 1
