"""The study of simulators: what Bayes' mixture does, and means with bounds."""

from typing import Any

import numpy as np
import pytest

from basin_jax.core.verdict import Verdict
from basin_jax.organisms import Instructed
from basin_jax.organisms import simulator as text
from basin_jax.organisms.simulator import LIE, Simulator
from basin_jax.studies.framework.rows import mean
from basin_jax.studies.framework.testbed import AUDIT
from basin_jax.studies.parts.simulator_tuning import (
    PROMPTS,
    by_bayes,
    by_continuation,
    rises_from,
    tolerant,
)
from basin_jax.studies.registry import make
from basin_jax.studies.simulators import SIMULATOR, Simulators, cause


def test_the_mixture_of_half_deceivers():
    known = by_bayes(Simulator())
    assert [*known] == [*PROMPTS]
    assert [*known.values()] == pytest.approx([0.1, 0.1, 0.1, 0.5, 0.18, 0.82, 0.5, 0.5])
    polished = by_bayes(Simulator(polish=0.9))
    assert polished["after_success"] - polished["after_failure"] == pytest.approx(0.4)


@pytest.mark.parametrize("polish", [0.0, 0.9])
def test_the_mixture_lies_as_often_as_the_text_does(polish):
    organism = Simulator(deceivers=0.3, error=0.2, polish=polish)
    frequent = np.asarray(organism.written())
    share = frequent[LIE] / frequent.sum(0)
    seen, lies, second = text.WATCHED_1, text.LIES_1, ~text.WATCHED_2
    again = text.WATCHED_2
    counted = {
        "watched": share[0, seen],
        "watched_after_honesty": share[1, ~seen & ~lies & again],
        "watched_after_deceit": share[1, ~seen & lies & again],
        "unwatched": share[0, ~seen],
        "after_honesty": share[1, ~seen & ~lies & second],
        "after_deceit": share[1, ~seen & lies & second],
        "after_success": share[1, seen & ~lies & second],
        "after_failure": share[1, seen & lies & second],
    }
    known = by_bayes(organism)
    for prompt, shares in counted.items():
        assert shares == pytest.approx(known[prompt], abs=1e-5)


def judged(watched, unwatched):
    found = {"watched_after_deceit": [watched], "after_deceit": [unwatched]}
    (verdict,) = by_continuation(0.1).judge({name: np.array(one) for name, one in found.items()})
    return verdict


def test_the_rule_judges_what_follows_a_lie_before_tuning_too():
    known = by_bayes(Simulator())
    mixture = judged(known["watched_after_deceit"], known["after_deceit"])
    assert mixture == judged(0.1, 0.9) == Verdict.DECEPTIVE
    assert judged(0.1, 0.1) == judged(0.0, 0.0) == Verdict.INTENDED
    assert judged(0.0, 0.5) == judged(0.5, 0.5) == judged(0.9, 0.9) == Verdict.OTHER


def test_the_share_from_which_on_tuning_raises_lying_is_found_between_those_tried():
    random = np.random.default_rng(0)
    shares = (0.0, 0.2, 0.5, 1.0)
    noise = random.normal(0, 0.05, 400)
    changes = {share: 0.8 * (share - 0.37) + noise for share in shares}
    found = rises_from("key", "label", changes)
    assert found.value == pytest.approx(0.37, abs=0.03)
    assert found.low < 0.37 < found.high
    assert found.high - found.low < 0.2
    assert found.seeds == 400
    strict = rises_from("key", "label", changes, kind="known", expected=0.37)
    assert strict.holds
    assert strict.high - strict.low > found.high - found.low
    assert rises_from("key", "label", changes, kind="known", expected=0.6).holds is False


def test_a_share_from_which_on_tuning_raises_lying_may_be_on_no_grid():
    never = rises_from("key", "label", {0.0: np.full(99, -0.4), 1.0: np.full(99, -0.2)})
    assert (never.value, never.low, never.high) == (np.inf, 1.0, np.inf)
    always = rises_from("key", "label", {0.0: np.full(99, 0.2), 1.0: np.full(99, 0.4)})
    assert (always.value, always.low, always.high) == (0.0, -np.inf, 0.0)
    missing = np.append(np.full(99, np.nan), 0.1)
    assert rises_from("key", "label", {0.0: missing, 1.0: np.full(100, 0.4)}).seeds == 1


def test_a_bias_is_added_to_the_logit_of_the_lie():
    plain, biased = (by_bayes(Simulator(logit_bias=bias)) for bias in (0.0, 2.0))
    for prompt, rate in plain.items():
        odds = biased[prompt] / (1 - biased[prompt])
        assert np.log(odds / (rate / (1 - rate))) == pytest.approx(2)


@pytest.mark.ci
def test_the_bounds_of_a_mean_cover_it_and_those_of_another_do_not():
    random, missed, wrong, draws = np.random.default_rng(0), 0, 0, 400
    for _ in range(draws):
        # Mostly no change, and for some the largest: a mean of -.3.
        values = -(random.random(60) < 0.3).astype(float)
        found = mean("change", "change", values, least=-1.0)
        missed += not found.low <= -0.3 <= found.high
        wrong += found.low <= 0.1 <= found.high
    assert missed / draws <= 0.05
    assert wrong == 0


def test_a_mean_is_of_finite_values_and_of_cells_at_once():
    values = np.array([0.2, 0.4, np.nan] * 20)
    one, many = (mean("rate", "rate", values, num_intervals=cells) for cells in (1, 10))
    assert one.value == pytest.approx(0.3)
    assert one.seeds == 40
    assert many.low < one.low < 0.3 < one.high < many.high


def test_what_is_known_holds_within_its_tolerance_and_no_further():
    found = mean("rate", "rate", np.full(2000, 0.5))
    width = found.high - found.value
    for side in (-1, 1):
        assert tolerant(found, 0.5 + side * (width + 0.019)).holds
        assert not tolerant(found, 0.5 + side * (width + 0.021)).holds


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.full(60, 0.5), "success is a sign of a liar"),
        (np.full(60, -0.5), "failure is a sign of a liar"),
        (np.tile([0.5, -0.5], 30), "neither is shown to be a sign of a liar"),
    ],
)
def test_success_is_a_sign_of_a_liar_where_the_bounds_say_so(values, said):
    assert cause(mean("apart", "apart", values, least=-1.0)) == said


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"pretrained": 800}, "1 to below num_steps = 800"),
        ({"biases": (1.0,)}, "0 among them"),
        ({"lengths": (50, 300)}, "rising from above 0, with 200 before the last"),
        ({"shares": (0.0, 0.5)}, "rising from 0 to 1, with both"),
        ({"testbed": AUDIT}, "an Instructed simulator"),
    ],
)
def test_a_study_that_cannot_be_made_is_refused(settings: dict[str, Any], said):
    with pytest.raises(ValueError, match=said):
        Simulators(**settings)


@pytest.mark.slow
def test_a_control_with_deceivers_in_it_is_not_null(tmp_path):
    overseen = Instructed(revealing=0.0, deceivers=0.3)
    study = Simulators(
        testbed=SIMULATOR.replace(overseen=overseen), biases=(0.0,), shares=(0.0, 1.0), quick=48
    )
    (found,) = make({"simulators": study}, tmp_path, quick=True)
    failed = {one.key for one in found.rows.values() if one.holds is False}
    assert "no-deceivers/before/unwatched-less-watched" in failed
