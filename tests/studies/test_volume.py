"""The study of volume: which ends it measures, how they are matched, and masses that are known."""

import numpy as np
import pytest
from study_tables import outcome

from basin_jax.core.verdict import Verdict
from basin_jax.studies.controls import prior_mass
from basin_jax.studies.framework.lab import Lab
from basin_jax.studies.volume import CALIPER, KINDS, Volume, classes, key, log_masses, matched


STUDY = Volume(quick=28)
GROUPS = STUDY.sweeps(28)


@pytest.fixture
def lab(tmp_path):
    return Lab(folder=tmp_path, quick=True)


def measure(lab, *, fit, mass):
    """Make the outcomes of ends of both kinds."""
    for kind in KINDS:
        lab.outcomes[key("Audit", kind)] = outcome(
            {("", None): [kind.name] * len(fit[kind])},
            GROUPS[key("Audit", kind)].cells,
            fit=np.array(fit[kind]),
            own_log_mass=np.array(mass[kind]),
            bar_log_mass=np.array(mass[kind]) + 1,
        )


def test_the_first_ends_of_each_kind_are_measured(lab):
    ends = ["INTENDED", "DECEPTIVE", "PARTIAL", "DECEPTIVE", "DECEPTIVE", "INTENDED"]
    lab.outcomes["Audit"] = outcome({("", None): ends}, GROUPS["Audit"].cells)
    for kind, seeds in ((Verdict.DECEPTIVE, [1, 3]), (Verdict.INTENDED, [0, 5])):
        chosen = GROUPS[key("Audit", kind)].seeds
        assert callable(chosen)
        assert chosen(lab).tolist() == seeds


def test_ends_are_matched_by_how_far_they_are_below_the_best_of_their_kind(lab):
    one, other = KINDS
    fit = {one: [1.0, 0.9, 0.5], other: [0.67, 0.57, 0.66 - 2 * CALIPER]}
    mass = {one: [-10.0, -30.0, 0.0], other: [-20.0, -20.0, -20.0]}
    measure(lab, fit=fit, mass=mass)
    assert matched(lab, "Audit").tolist() == [True, False]
    # Of one fit for all: the ends that have it.
    assert log_masses(lab, "Audit", one, "bar").tolist() == [-9.0, -29.0, 1.0]
    measure(lab, fit={one: [1.0, 0.4], other: [0.6]}, mass={one: [1.0, 2.0], other: [0.0]})
    assert log_masses(lab, "Audit", one, "bar").tolist() == [2.0]
    assert log_masses(lab, "Audit", one, "own").tolist() == [1.0, 2.0]


def test_the_first_of_two_classes_is_positive():
    scores, positive = classes(np.array([1.0, 2.0]), np.array([3.0]))
    assert scores.tolist() == [1, 2, 3]
    assert positive.tolist() == [True, True, False]


def test_the_prior_mass_of_races_is_that_of_drawn_ones():
    draws = np.random.default_rng(0).normal(size=(2, 4_000_000)) * prior_mass.SCALE
    draws[0] *= prior_mass.RATIO
    fits = np.abs(1 - (draws**3).sum(0)) <= prior_mass.NEAR
    for leads, known in zip((True, False), prior_mass.masses(), strict=True):
        hits = int((fits & ((draws[0] > draws[1]) == leads)).sum())
        assert abs(hits - 4e6 * known) < 5 * np.sqrt(4e6 * known)


def test_the_winner_of_a_race_of_unequal_scales_is_the_larger_at_the_start():
    draws = np.random.default_rng(0).normal(size=(2, 1_000_000))
    draws[0] *= prior_mass.RATIO
    wins = (draws[0] > draws[1])[draws.max(0) > 0].mean()
    assert wins == pytest.approx(prior_mass.TRAINED["ratio=2"], abs=0.003)


def test_too_few_seeds_are_refused():
    with pytest.raises(ValueError, match=r"Volume\.quick = 3; allowed: at least 14"):
        Volume(quick=3)
