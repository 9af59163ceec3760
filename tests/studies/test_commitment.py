"""The study of commitment: how often children agree, and from which step on a fate is sealed."""

import math

import numpy as np
import pytest
from scipy.stats import norm
from study_tables import number

from basin_jax.studies.commitment import SEALED, beyond, entropy, same, split
from basin_jax.studies.controls.double_well import LEFT, RIGHT, by_committor
from basin_jax.studies.framework.rows import crossing


def test_the_entropy_among_children():
    two = np.array([["OTHER", "OTHER"], ["OTHER", "INTENDED"]])
    assert entropy(two) == pytest.approx(0.5)


def test_agreement_counts_pairs_of_one_parents_children():
    names = np.array([["DECEPTIVE"] * 3, ["DECEPTIVE", "DECEPTIVE", "OTHER"], ["OTHER"] * 3])
    found = same("alike", "alike", names)
    assert found.value == pytest.approx((1 + 1 / 3 + 1) / 3)
    assert found.low < found.value < found.high


def test_the_variance_of_verdicts_is_split_in_two():
    strangers = number(kind="measured", value=0.5, low=0.4, high=0.6)
    kin = number(kind="measured", value=0.8, low=0.7, high=0.9)
    shares = [(one.value, one.low, one.high) for one in split(strangers, kin)]
    assert shares[0] == pytest.approx((0.6, 0.25, 5 / 6))
    assert shares[1] == pytest.approx((0.4, 1 / 6, 0.75))
    alike = number(kind="measured", value=1.0, low=0.9, high=1.0)
    assert split(alike, alike)[0].low == 0


def test_particles_that_begin_alike_end_alike_as_the_committor_says():
    x = np.linspace(LEFT, RIGHT, 20001)
    weight = np.exp(((x**2 - 1) ** 2 / 4 - 0.2 * x) / 0.1)
    right = np.cumsum(weight) / weight.sum()
    alike = ((right**2 + (1 - right) ** 2) * norm.pdf(x)).sum() * (x[1] - x[0])
    outside = norm.cdf(LEFT) + norm.sf(RIGHT)
    assert by_committor() == pytest.approx(outside + alike, abs=1e-4)


def test_that_children_agree_more_often_than_not_is_no_commitment():
    # A parent whose children are deceptive with a probability of .85: half of the families of
    # four agree, and two children do in .745.
    children = np.random.default_rng(0).random((512, 4)) < 0.85
    families = np.where(children, "DECEPTIVE", "INTENDED")
    assert (families == families[:, :1]).all(1).mean() > 0.5
    sealed = np.full((512, 4), "DECEPTIVE")
    kin = [same("alike", "alike", each, num_intervals=2) for each in (families, sealed)]
    found = crossing("fork", "fork", dict(zip((0, 100), kin, strict=True)), level=SEALED)
    assert (found.value, found.low, found.high) == (100, 0, 100)
    never = crossing("fork", "fork", {0: kin[0], 100: kin[0]}, level=SEALED)
    assert (never.value, never.high) == (math.inf, math.inf)


def test_children_are_compared_with_those_of_another_parent_on_the_same_seeds():
    rng = np.random.default_rng(2)
    alike = np.repeat(rng.random(64) < 0.5, 4).reshape(-1, 4)
    families = np.where(alike, "DECEPTIVE", "INTENDED")
    found = beyond(families, 0, num_intervals=6)
    neighbors = (families[::2, 0] == families[1::2, 0]).mean()
    assert found.value == pytest.approx(1 - neighbors)
    assert (found.low > 0, found.seeds) == (True, 256)
    mixed = beyond(rng.permutation(families.ravel()).reshape(-1, 4), 0, num_intervals=6)
    assert mixed.low < 0 < mixed.high
