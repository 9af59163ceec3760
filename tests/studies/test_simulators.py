"""The study of simulators: what Bayes' mixture does, and means with bounds."""

from typing import Any

import numpy as np
import pytest

from basin_jax.organisms import simulator as text
from basin_jax.organisms.simulator import LIE, Simulator
from basin_jax.studies.framework.rows import mean
from basin_jax.studies.framework.testbed import AUDIT
from basin_jax.studies.registry import make
from basin_jax.studies.simulators import (
    PROMPTS,
    SIMULATOR,
    Simulators,
    by_bayes,
    cause,
    deceivers,
    tolerant,
)


def test_the_mixture_of_half_deceivers():
    known = by_bayes(Simulator())
    assert [*known] == [*PROMPTS]
    assert [*known.values()] == pytest.approx([0.1, 0.5, 0.18, 0.82, 0.5, 0.5])
    polished = by_bayes(Simulator(polish=0.9))
    assert polished["after_success"] - polished["after_failure"] == pytest.approx(0.4)


@pytest.mark.parametrize("polish", [0.0, 0.9])
def test_the_mixture_lies_as_often_as_the_text_does(polish):
    organism = Simulator(deceivers=0.3, error=0.2, polish=polish)
    frequent = np.asarray(organism.written())
    share = frequent[LIE] / frequent.sum(0)
    seen, lies, second = text.WATCHED_1, text.LIES_1, ~text.WATCHED_2
    counted = {
        "watched": share[0, seen],
        "unwatched": share[0, ~seen],
        "after_honesty": share[1, ~seen & ~lies & second],
        "after_deceit": share[1, ~seen & lies & second],
        "after_success": share[1, seen & ~lies & second],
        "after_failure": share[1, seen & lies & second],
    }
    known = by_bayes(organism)
    for prompt, shares in counted.items():
        assert shares == pytest.approx(known[prompt], abs=1e-5)


def test_a_rate_stands_for_a_share_of_deceivers():
    found = mean("lies", "lies", np.tile([0.1, 0.9], 100))
    share = deceivers(found, 0.1)
    assert share.value == pytest.approx(0.5)
    assert share.high - share.low == pytest.approx((found.high - found.low) / 0.8)
    assert deceivers(mean("lies", "lies", np.zeros(9)), 0.1).value == pytest.approx(-0.125)


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
        (np.tile([0.5, -0.5], 30), "the two are not shown to differ"),
    ],
)
def test_success_is_a_sign_of_a_liar_where_the_bounds_say_so(values, said):
    assert cause(mean("apart", "apart", values, least=-1.0)) == said


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"pretrained": 800}, "1 to below num_steps = 800"),
        ({"biases": (1.0,)}, "0 among them"),
        ({"testbed": AUDIT}, "a Simulator"),
    ],
)
def test_a_study_that_cannot_be_made_is_refused(settings: dict[str, Any], said):
    with pytest.raises(ValueError, match=said):
        Simulators(**settings)


@pytest.mark.slow
def test_a_control_with_deceivers_in_it_is_not_null(tmp_path):
    study = Simulators(
        testbed=SIMULATOR.replace(overseen=Simulator(deceivers=0.3)), biases=(0.0,), quick=48
    )
    (found,) = make({"simulators": study}, tmp_path, quick=True)
    assert [one.kind for one in found.rows.values() if one.holds is False] == ["control"]
