"""Differences on the same seeds: coverage by enumeration, McNemar's test, and controls."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri
from scipy.stats import beta, binom
from statsmodels.stats.contingency_tables import mcnemar

from basin_jax.statistics.estimates import Difference, paired_difference
from basin_jax.statistics.intervals import (
    confidence_sequence,
    melded_interval,
    paired_confidence_sequence,
)


BOUNDS = (melded_interval, paired_confidence_sequence)
errors = st.floats(1e-6, 0.5)


@st.composite
def tables(draw, most: int = 10**6) -> tuple[int, int, int]:
    """Draw counts gained and lost, and the trials, with the edges often."""
    trials = draw(st.integers(1, most))
    differ = draw(st.integers(0, trials))
    gained = draw(st.integers(0, differ))
    return gained, differ - gained, trials


def definition(gained: int, lost: int, trials: int, difference: float) -> float:
    """Return the lower confidence distribution of Fay and Lumbard as a plain sum."""
    z = np.linspace(-9, 9, 20_001)
    weights = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    slope = 2 * beta.ppf(ndtr(z), gained, lost + 1) - 1
    differ = gained + lost
    with np.errstate(divide="ignore"):
        share = difference / slope
    if difference < 0:
        below = (slope < 0) * beta.sf(share, differ + 1, trials - differ)
    else:
        below = np.where(slope > 0, beta.cdf(share, differ, trials - differ + 1), 1)
    return float(weights @ below)


@pytest.mark.parametrize("error", [0.5, 0.05, 1e-4])
@pytest.mark.parametrize(
    "table",
    [
        *((1, 7, 21), (4, 21, 100), (9, 2, 161), (30, 1, 50), (12, 0, 50)),
        *((1, 400, 10_000), (400, 1, 10_000), (5100, 4800, 10_000), (3, 1000, 10**6)),
    ],
)
def test_the_limit_leaves_half_the_error_by_the_definition(table, error):
    gained, lost, trials = table
    low, high = melded_interval(*table, error=error)
    assert definition(gained, lost, trials, low) == pytest.approx(error / 2, rel=1e-5)
    if lost:
        assert definition(lost, gained, trials, -high) == pytest.approx(error / 2, rel=1e-5)


@pytest.mark.parametrize("trials", [1, 20, 500, 10**6])
def test_no_gains_and_no_losses_have_closed_forms(trials):
    # Nothing differs: the upper limit of 0 of n, on either side.
    upper = -math.expm1(math.log(0.025) / trials)
    assert melded_interval(0, 0, trials, error=0.05) == pytest.approx((-upper, upper), rel=1e-9)
    assert melded_interval(trials, 0, trials, error=0.05)[1] == 1
    assert melded_interval(1, 0, 1, error=0.05)[0] == pytest.approx(2 * 0.025 - 1)


@pytest.mark.parametrize("gained", [0, 3, 500])
def test_gains_alone_are_at_most_the_seeds_that_differ(gained):
    _, high = paired_confidence_sequence(gained, 0, 500, error=0.05)
    assert high == confidence_sequence(gained, 500, error=0.025)[1]


# Published p-values: Fay (2010) and Fagerland, Lydersen and Laake (2013), of tables whose
# seeds that differ are 1 and 8, 9 and 2, 4 and 21, 1 and 7.
@pytest.mark.parametrize(
    ("gained", "lost", "trials", "p"),
    [(1, 8, 20, 0.03906), (9, 2, 161, 0.06543), (4, 21, 100, 0.0009105), (1, 7, 21, 0.0703)],
)
def test_published_p_values(gained, lost, trials, p):
    assert paired_difference(gained, lost, trials).p_value == pytest.approx(p, abs=5e-5)


@given(table=tables())
def test_the_p_value_is_that_of_mcnemars_exact_test(table):
    gained, lost, trials = table
    square = [[0, gained], [lost, trials - gained - lost]]
    expected = mcnemar(square, exact=True).pvalue  # pyright: ignore[reportAttributeAccessIssue]
    assert paired_difference(*table).p_value == pytest.approx(expected, rel=1e-6, abs=1e-300)


@pytest.mark.ci
@pytest.mark.parametrize("interval", ["fixed", "anytime"])
@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.9999])
@given(table=tables(most=200))
def test_the_interval_leaves_out_zero_where_the_p_value_is_below_the_error(level, interval, table):
    found = paired_difference(*table, level=level, interval=interval)
    assert (found.low > 0 or found.high < 0) == (found.p_value < 1 - level)


@pytest.mark.ci
def test_the_interval_agrees_with_the_test_on_every_table_of_twenty():
    for gained in range(21):
        for lost in range(21 - gained):
            found = paired_difference(gained, lost, 20)
            assert (found.low > 0 or found.high < 0) == (found.p_value < 0.05)


@pytest.mark.parametrize("bounds", BOUNDS)
@given(table=tables(), error=errors)
def test_an_interval_holds_its_own_difference_and_is_a_difference(bounds, table, error):
    gained, lost, trials = table
    low, high = bounds(*table, error=error)
    assert -1 <= low <= (gained - lost) / trials <= high <= 1


@pytest.mark.parametrize("bounds", BOUNDS)
@given(table=tables(), error=errors)
def test_gains_and_losses_mirror_each_other(bounds, table, error):
    gained, lost, trials = table
    low, high = bounds(*table, error=error)
    assert bounds(lost, gained, trials, error=error) == pytest.approx((-high, -low), rel=1e-9)


@pytest.mark.parametrize("bounds", BOUNDS)
@given(table=tables(), pair=st.tuples(errors, errors))
def test_a_smaller_error_gives_an_interval_around_the_larger_ones(bounds, table, pair):
    low, high = bounds(*table, error=max(pair))
    outer_low, outer_high = bounds(*table, error=min(pair))
    slack = 1e-9  # of rounding
    assert outer_low <= low + slack
    assert outer_high >= high - slack


def test_intervals_that_hold_at_once_share_the_error():
    together = paired_difference(12, 3, 100, num_intervals=10)
    alone = paired_difference(12, 3, 100, level=0.995)
    assert (together.low, together.high) == pytest.approx((alone.low, alone.high), rel=1e-9)
    assert (together.level, together.p_value) == (0.95, alone.p_value)


def wald(gained: int, lost: int, trials: int, *, error: float) -> tuple[float, float]:
    center = (gained - lost) / trials
    half = -ndtri(error / 2) * math.sqrt(gained + lost - (gained - lost) ** 2 / trials) / trials
    return center - half, center + half


PAIRS = [
    *((0.0, 0.001), (0.001, 0.0), (0.005, 0.005), (0.02, 0.0), (0.03, 0.01), (0.1, 0.1)),
    *((0.2, 0.05), (0.4, 0.4), (0.5, 0.5), (0.9, 0.02), (0.96, 0.0), (0.05, 0.9)),
]


def tail_errors(bounds, trials: int, error: float) -> np.ndarray:
    """Return P(truth < low) and P(truth > high) for every pair, summed over all tables."""
    tables = [(g, m - g, m) for m in range(trials + 1) for g in range(m + 1)]
    limits = np.array([bounds(g, lost, trials, error=error) for g, lost, _ in tables])
    gained, _, differ = np.array(tables).T
    missed = []
    for gain, loss in PAIRS:
        chance = binom.pmf(differ, trials, gain + loss)
        chance *= binom.pmf(gained, differ, gain / (gain + loss))
        truth = gain - loss
        missed.append([chance @ (truth < limits[:, 0]), chance @ (truth > limits[:, 1])])
    return np.array(missed)


@pytest.mark.ci
@pytest.mark.parametrize(("trials", "error"), [(1, 0.05), (5, 0.2), (20, 0.05), (40, 0.05)])
def test_the_interval_covers_at_least_as_often_as_it_says_in_each_tail(trials, error):
    assert tail_errors(melded_interval, trials, error).max() <= error / 2 + 1e-9


def test_the_usual_interval_fails_where_the_melded_one_covers():
    missed = tail_errors(wald, 40, 0.05).sum(axis=1)
    assert missed[:2].min() > 0.9  # one in a thousand: no seed differs, and so no width
    assert (missed > 0.1).sum() >= 6


def missed_at_some_look(bounds, gain: float, loss: float) -> float:
    """Return the fraction of simulated runs in which the truth is outside at any look."""
    looks, runs = np.geomspace(20, 4000, 20).astype(int), 100
    rng = np.random.default_rng(21)
    sizes = np.diff(looks, prepend=0)
    draws = rng.multinomial(sizes, [gain, loss, 1 - gain - loss], size=(runs, len(looks)))
    missed = 0
    for run in draws.cumsum(axis=1).tolist():
        limits = (bounds(g, lost, g + lost + rest, error=0.05) for g, lost, rest in run)
        missed += any(not low <= gain - loss <= high for low, high in limits)
    return missed / runs


@pytest.mark.slow
@pytest.mark.parametrize(("gain", "loss"), [(0.1, 0.1), (0.06, 0.02)])
def test_one_may_look_at_any_time(gain, loss):
    assert missed_at_some_look(paired_confidence_sequence, gain, loss) <= 0.05


@pytest.mark.slow
def test_peeking_at_the_fixed_interval_misses_far_more_often_than_it_says():
    assert missed_at_some_look(melded_interval, 0.06, 0.02) > 0.15


@given(table=tables())
def test_the_anytime_p_value_is_where_the_sequence_of_gains_leaves_out_one_half(table):
    gained, lost, _ = table
    p = paired_difference(*table, interval="anytime").p_value
    for error, excluded in ((p * 1.01, True), (p * 0.99, False)):
        if 1e-300 < error < 1:
            low, high = confidence_sequence(gained, gained + lost, error=error / 2)
            assert (low > 0.5 or high < 0.5) == excluded


def test_no_seed_in_common_says_nothing():
    for interval in ("fixed", "anytime"):
        nothing = paired_difference(0, 0, 0, interval=interval)
        assert math.isnan(nothing.difference)
        assert (nothing.low, nothing.high, nothing.p_value) == (-1, 1, 1)


def test_a_difference_prints_its_counts_its_interval_and_its_p_value():
    found = paired_difference(1, 7, 21)
    assert isinstance(found, Difference)
    assert found.difference == -6 / 21
    assert str(found) == "(1 - 7)/21 = -0.2857 [-0.5455, 0.02045], p = 0.07"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: paired_difference(-1, 0, 5), r"'gained': -1.*; allowed: at least 0"),
        (lambda: paired_difference(0, -1, 5), r"'lost': -1.*; allowed: at least 0"),
        (lambda: paired_difference(3, 3, 5), r"'trials': 5.*; allowed: .* at most trials"),
        (lambda: paired_difference(1, 1, 5, level=1.0), r"level = 1\.0; allowed"),
        (
            lambda: paired_difference(1, 1, 5, num_intervals=0),
            "num_intervals = 0; allowed: at least 1",
        ),
    ],
)
def test_settings_out_of_range_are_refused_by_name(call, said):
    with pytest.raises(ValueError, match=said):
        call()


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint64])
def test_counts_of_any_whole_kind_are_the_same_counts(kind):
    counts = paired_difference(*map(kind, (3, 5, 120)))
    assert counts == paired_difference(3, 5, 120)
    assert counts.difference < 0
