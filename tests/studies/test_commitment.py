"""The study of commitment: from which step on a fate is sealed, and what is known of walks."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from basin_jax import run
from basin_jax.studies.commitment import SEALED
from basin_jax.studies.controls.double_well import LEFT, RIGHT, by_committor
from basin_jax.studies.controls.random_walk import FORKS, STEPS, WALK, expected
from basin_jax.studies.framework.rows import crossing
from basin_jax.studies.parts.children import agreements, same


def test_particles_that_begin_alike_end_alike_as_the_committor_says():
    x = np.linspace(LEFT, RIGHT, 20001)
    weight = np.exp(((x**2 - 1) ** 2 / 4 - 0.2 * x) / 0.1)
    right = np.cumsum(weight) / weight.sum()
    alike = ((right**2 + (1 - right) ** 2) * norm.pdf(x)).sum() * (x[1] - x[0])
    outside = norm.cdf(LEFT) + norm.sf(RIGHT)
    assert by_committor() == pytest.approx(outside + alike, abs=1e-4)


def test_children_of_a_walk_agree_by_the_arcsine_law():
    for fork in FORKS:
        shared = (1 + fork / STEPS) / 2
        law = 0.5 + math.asin(shared) / math.pi
        assert expected(agreements, fork, 32) == pytest.approx(law, abs=1e-6)


@pytest.mark.ci
def test_a_walk_goes_as_far_as_its_start_is_wide(tmp_path):
    ends = run(WALK.replace(save_at=(0,)), 4000, tmp_path / "walk").history
    first, last = (ends.filter(step=step).sort("seed")["x"].to_numpy() for step in (0, STEPS))
    moved = last - first
    assert moved.std() == pytest.approx(1, abs=0.04)
    assert moved.mean() == pytest.approx(0, abs=0.06)
    assert np.corrcoef(first, moved)[0, 1] == pytest.approx(0, abs=0.06)


def test_that_children_agree_more_often_than_not_is_no_commitment():
    # A parent whose children are deceptive with a probability of .85: two of them agree in .745.
    children = np.random.default_rng(0).random((512, 4)) < 0.85
    families = np.where(children, "DECEPTIVE", "INTENDED")
    assert (families == families[:, :1]).all(1).mean() > 0.5
    sealed = np.full((512, 4), "DECEPTIVE")
    kin = [same("alike", "alike", each, num_intervals=2) for each in (families, sealed)]
    found = crossing("fork", "fork", dict(zip((0, 100), kin, strict=True)), level=SEALED)
    assert (found.value, found.low, found.high) == (100, 0, 100)
    never = crossing("fork", "fork", {0: kin[0], 100: kin[0]}, level=SEALED)
    assert (never.value, never.high) == (math.inf, math.inf)
