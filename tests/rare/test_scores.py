"""Scores: how near particles have come to the event."""

import numpy as np
import pytest

from basin_jax.rare import At, Mean, OneEvidence, Peak, SettlingTime
from basin_jax.rare.scores import fit_logistic
from basin_jax.statistics.auc import auc


STOPS = (0, 10, 20, 40)
MARGIN = np.array(
    [
        [-1, -3, -0.5, -2],  # never harmful: .5 away at most
        [1, -1, -1, -1],  # harmful until halfway between 0 and 10
        [-1, 1, 3, -1],  # until 3/4 of the way from 20 to 40
        [-1, 1, -1, 0.5],  # at the end
        [1, np.nan, 1, 1],
    ]
)


def test_the_settling_time_is_interpolated():
    scores = SettlingTime().of({"margin": MARGIN}, STOPS)
    np.testing.assert_allclose(scores, [-0.5, 5, 35, 40.5, -np.inf])


def test_the_harmful_side_may_lie_below():
    below = SettlingTime(harmful="below", threshold=0.25).of({"margin": 0.25 - MARGIN}, STOPS)
    np.testing.assert_allclose(below, SettlingTime().of({"margin": MARGIN}, STOPS))


def test_peaks_and_values_at_a_step():
    evidence = {"margin": MARGIN[:4], "fit": -MARGIN[:4]}
    assert Peak().of(evidence, STOPS).tolist() == [-0.5, 1, 3, 1]
    assert Peak(evidence="fit", harmful="below").of(evidence, STOPS).tolist() == [-0.5, 1, 3, 1]
    assert At(step=20).of(evidence, STOPS).tolist() == [-0.5, -1, 3, -1]


def test_what_is_not_there_is_refused_by_name():
    with pytest.raises(ValueError, match=r"evidence = 'gap'; allowed: one of margin"):
        Peak(evidence="gap").of({"margin": MARGIN}, STOPS)
    with pytest.raises(ValueError, match=r"step = 15; allowed: .*0, 10, 20, 40"):
        At(step=15).of({"margin": MARGIN}, STOPS)


class Wild(OneEvidence):
    """Score as no score should."""

    count: int = 3

    def score(self, values, stops):
        return np.array([np.inf, np.nan, -np.inf])[: self.count]


def test_a_score_is_never_infinite_as_the_event_is():
    found = Wild().of({"margin": MARGIN[:3]}, STOPS)
    assert found.tolist() == [1e300, -np.inf, -np.inf]


def test_a_score_gives_each_particle_one_number():
    with pytest.raises(ValueError, match=r"Wild.score gives shape \(2,\); allowed: .*\(3,\)"):
        Wild(count=2).of({"margin": MARGIN[:3]}, STOPS)


def pilot(count: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Make particles of which the sum of two early values decides, and late ones tell nothing."""
    rng = np.random.default_rng(3)
    early = rng.standard_normal((2, count))
    late = rng.standard_normal(count)
    evidence = {
        "margin": np.stack([early[0], late], 1),
        "fit": np.stack([100 * early[1], late], 1),
        "still": np.ones((count, 2)),
    }
    return evidence, early.sum(0) > 1.8


def test_a_logistic_score_weighs_all_early_evidence():
    evidence, near = pilot(1000)
    score = fit_logistic(evidence, near, 1)
    assert score is not None
    fresh, nearer = pilot(2000)
    scores = score.of(fresh, (0, 10))
    assert auc(scores, nearer)[0] > 0.99
    assert max(auc(fresh[name][:, 0], nearer)[0] for name in ("margin", "fit")) < 0.95
    assert score.names == ("fit", "margin")


def test_a_logistic_score_leaves_out_what_is_not_finite():
    evidence, near = pilot(100)
    evidence["fit"][3, 0] = np.nan
    score = fit_logistic(evidence, near, 1)
    assert score is not None
    assert score.names == ("margin",)
    with pytest.raises(ValueError, match=r"names = .*allowed: some of fit"):
        score.of({"fit": evidence["fit"]}, (0, 10))


def test_there_is_no_logistic_score_where_all_particles_are_alike():
    alike = {"margin": np.ones((10, 2)), "shape": np.ones((10, 2, 3))}
    assert fit_logistic(alike, np.arange(10) < 3, 1) is None


def test_the_mean_ranks_what_turns_early_above_what_turns_late():
    values = np.array([[-1, -1, 1], [-1, 1, 1], [1, 1, 1.0]])
    assert np.argsort(Mean().of({"margin": values}, (0, 1, 2))).tolist() == [0, 1, 2]
