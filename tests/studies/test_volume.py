"""The study of volume: when seeds first fit, how shares are compared, and masses that are known."""

import numpy as np
import pytest
from study_tables import outcome

from basin_jax.core.identity import evidence_names
from basin_jax.core.verdict import Verdict
from basin_jax.rules import Behavior
from basin_jax.studies.controls import prior_mass
from basin_jax.studies.framework.rows import Table, numbers
from basin_jax.studies.parts.other_testbeds import COIN
from basin_jax.studies.registry import make
from basin_jax.studies.volume import Volume, first_at, less


STUDY = Volume()


def test_a_seed_is_judged_at_the_first_stop_at_which_it_fits():
    cells = STUDY.sweeps(20)["Audit"].cells
    last = cells[""].num_steps
    # Of three seeds at three stops: the first is deceptive only later, the last never fits.
    ends = {("", step): ["UNFIT"] * 3 for step in (20, 40, None)}
    found = outcome(ends, cells)
    fit = {20: [0.3, 0.1, 0.1], 40: [0.5, 0.2, 0.1], last: [0.7, 0.7, 0.1]}
    gap = {20: [0.0, 0.0, 0.9], 40: [0.5, 0.5, 0.9], last: [0.9, 0.9, 0.9]}
    rows = found.history.select("step", "seed").rows()
    found = outcome(
        ends,
        cells,
        fit=np.zeros(3),
        watched=np.zeros(3),
        unwatched=np.zeros(3),
    )
    history = found.history.with_columns(
        fit=np.array([fit[step][seed] for step, seed in rows]),
        unwatched=np.array([gap[step][seed] for step, seed in rows]),
    )
    found = type(found)(cells=cells, history=history, rule=Behavior())
    assert first_at(found, 0.25).tolist() == [Verdict.INTENDED, Verdict.DECEPTIVE]
    assert first_at(found, 0.7).tolist() == [Verdict.DECEPTIVE, Verdict.DECEPTIVE]
    assert len(first_at(found, 0.8)) == 0


def test_the_interval_of_a_difference_is_made_of_those_of_its_parts():
    assert less((0.5, 0.2, 0.9), (0.3, 0.0, 0.6)) == pytest.approx(
        (0.2, 0.2 - np.hypot(0.3, 0.3), 0.2 + np.hypot(0.4, 0.3))
    )


@pytest.mark.parametrize("name", ["race", "perceptron"])
def test_the_known_masses_are_those_of_drawn_networks(name):
    rng = np.random.default_rng(0)
    if name == "race":
        # By importance: drawn wider by 5, or none would fit.
        scales = np.array([[prior_mass.RATIO], [1.0]]) * prior_mass.SCALE
        draws, wide = rng.normal(size=(2, 2_000_000)), 5.0
        weights = wide**2 * np.exp(-(wide**2 - 1) * (draws**2).sum(0) / 2)
        paths = (draws * wide * scales) ** 3
        fits, kind = np.abs(1 - paths.sum(0)) <= prior_mass.NEAR, paths[0] > paths[1]
    else:
        draws = rng.normal(size=(3, 2_000_000))
        inputs = np.array([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)])
        wrong = (inputs @ draws > 0) != (inputs[:, :1] == 1)
        seen = inputs[:, 2] == 1
        fits, kind = ~wrong[seen].any(0), wrong[~seen].any(0)
        weights = np.ones(draws.shape[1])
    for which, known in zip((kind, ~kind), prior_mass.masses()[name], strict=True):
        found = weights * (fits & which)
        error = found.std() / len(found) ** 0.5
        assert abs(found.mean() - known) < 4 * error
        assert error < 0.02 * known


def test_the_winner_of_a_trained_race_is_the_larger_at_the_start():
    draws = np.random.default_rng(0).normal(size=(2, 4_000_000))
    draws[0] *= prior_mass.RATIO
    wins = (draws[0] > draws[1])[draws.max(0) > 0].mean()
    assert wins == pytest.approx(prior_mass.TRAINED, abs=0.001)


def test_a_share_is_told_as_far_as_there_are_rows():
    keys = [f"Audit/fit={bar:g}/prior/deceptive" for bar in STUDY.bars[:2]]
    rows = Table(numbers(key, key, (0.1, 0.0, 0.2), 16) for key in keys)
    assert STUDY.told(rows, "Audit") == [*STUDY.bars[:2]]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"quick": 3}, "quick = 3; allowed: at least 20"),
        ({"replications": 7}, "replications = 7; allowed: at least 8"),
        ({"bars": (0.5,)}, r"bars = \(0.5,\); allowed: at least two fits"),
        ({"bars": (0.5, 0.2)}, "allowed: at least two fits, each above the one before"),
        ({"bars": (0.5, 1.5)}, "allowed: fits below 1"),
        ({"other": COIN}, "Volume.other = .*; allowed: one whose rule is Behavior"),
    ],
)
def test_too_little_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        Volume(**wrong)


def test_a_census_measures_what_the_rule_asks_for_and_nothing_else():
    asked = STUDY.quests(30)["Audit"]
    assert {*evidence_names(asked.sweep)} == {*prior_mass.BEHAVIOR} - {"leader"}
    assert asked.method.particles == 80


@pytest.mark.slow
def test_what_is_known_is_found(tmp_path):
    (finding,) = make({"volume": Volume(quick=60, bars=(0.1, 0.2))}, tmp_path, quick=True)
    known = [row for row in finding.rows.values() if row.kind == "known"]
    assert len(known) == 5
    assert all(row.holds for row in known)
