"""Intervals that hold: coverage by enumeration and simulation, with controls that fail."""

import bisect
import itertools
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest
from statsmodels.stats.proportion import proportion_confint

from basin_jax.core.verdict import Verdict
from basin_jax.statistics.estimates import basin_fraction, basin_fractions, estimate
from basin_jax.statistics.intervals import clopper_pearson, confidence_sequence


BOUNDS = (clopper_pearson, confidence_sequence)
# 0/n, n/n, one off either end, and in between, from one seed to a billion.
COUNTS = [
    (hits, trials)
    for trials in (1, 2, 10, 100, 10_000, 10**6, 10**9)
    for hits in sorted({0, 1, trials // 3, trials // 2, trials - 1, trials})
]
ERRORS = (0.5, 0.05, 1e-3, 1e-11)
counts = st.integers(1, 10**9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
errors = st.floats(1e-12, 0.5)


@pytest.mark.parametrize("error", ERRORS)
def test_clopper_pearson_agrees_with_statsmodels(error):
    for hits, trials in COUNTS:
        expected = proportion_confint(hits, trials, alpha=error, method="beta")
        assert clopper_pearson(hits, trials, error=error) == pytest.approx(expected, rel=1e-9)


def test_clopper_pearson_agrees_with_scipy():
    for hits, trials in [(0, 10), (3, 10), (10, 10), (1, 500), (250, 500)]:
        test = binomtest(hits, trials).proportion_ci(confidence_level=0.95, method="exact")
        expected = (test.low, test.high)
        assert clopper_pearson(hits, trials, error=0.05) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("error", ERRORS)
def test_clopper_pearson_leaves_half_the_error_in_each_tail(error):
    # Only up to one half: a float cannot be as near to 1 as to 0. The other half mirrors it.
    for hits, trials in [(k, n) for k, n in COUNTS if k <= n // 2]:
        low, high = clopper_pearson(hits, trials, error=error)
        assert binom.cdf(hits, trials, high) == pytest.approx(error / 2, rel=1e-6)
        if hits:
            assert binom.sf(hits - 1, trials, low) == pytest.approx(error / 2, rel=1e-6)


@given(trials=st.integers(1, 10**9), error=st.floats(1e-300, 0.5))
def test_no_hits_and_only_hits_have_closed_forms(trials, error):
    upper = -math.expm1(math.log(error / 2) / trials)
    assert clopper_pearson(0, trials, error=error) == (0.0, pytest.approx(upper, rel=1e-9))
    low, high = clopper_pearson(trials, trials, error=error)
    assert (1 - low, high) == (pytest.approx(upper, rel=1e-6, abs=1e-15), 1.0)


def test_nothing_in_ten_thousand_seeds_is_a_result():
    nothing = estimate(0, 10_000)
    assert (nothing.fraction, nothing.low) == (0.0, 0.0)
    assert 3.68e-4 < nothing.high <= 3.7e-4


def wald(hits: int, trials: int) -> tuple[float, float]:
    p = hits / trials
    half = 1.96 * math.sqrt(p * (1 - p) / trials)
    return p - half, p + half


def coverage(bounds, trials: int, p: float) -> float:
    """Sum the probabilities of all numbers of hits whose interval holds the truth."""
    inside = [low <= p <= high for low, high in map(bounds, range(trials + 1))]
    return float(binom.pmf(np.arange(trials + 1), trials, p) @ inside)


@pytest.mark.parametrize("error", [0.05, 0.3])
@pytest.mark.parametrize("trials", [1, 2, 5, 20, 100, 500])
def test_clopper_pearson_covers_at_least_as_often_as_it_says(trials, error):
    for p in (1e-5, 1 / (10 * trials), 1 / trials, 0.05, 0.3, 0.5, 0.77, 1 - 1 / (2 * trials)):
        covered = coverage(lambda k: clopper_pearson(k, trials, error=error), trials, p)
        assert covered >= 1 - error


def test_the_peers_interval_fails_where_clopper_pearson_covers():
    for trials in (100, 500):
        assert coverage(lambda k, n=trials: wald(k, n), trials, 1 / trials) < 0.65
        assert coverage(lambda k, n=trials: wald(k, n), trials, 0.1 / trials) < 0.1
        exact = coverage(lambda k, n=trials: clopper_pearson(k, n, error=0.05), trials, 1 / trials)
        assert 0.95 <= exact < 0.999


@pytest.mark.parametrize("bounds", BOUNDS)
@given(counts=counts, error=errors)
def test_an_interval_holds_its_own_fraction_and_is_a_part_of_the_unit_interval(
    bounds, counts, error
):
    hits, trials = counts
    low, high = bounds(hits, trials, error=error)
    assert 0 <= low <= hits / trials <= high <= 1
    assert (low == 0) == (hits == 0)
    assert hits < trials or high == 1


@pytest.mark.parametrize("bounds", BOUNDS)
@given(counts=counts, pair=st.tuples(errors, errors))
def test_a_smaller_error_gives_an_interval_around_the_larger_ones(bounds, counts, pair):
    low, high = bounds(*counts, error=max(pair))
    outer_low, outer_high = bounds(*counts, error=min(pair))
    slack = 1e-12  # of rounding
    assert outer_low <= low * (1 + slack)
    assert outer_high >= high * (1 - slack)


@pytest.mark.parametrize("bounds", BOUNDS)
@given(counts=counts, error=errors)
def test_hits_and_misses_mirror_each_other(bounds, counts, error):
    hits, trials = counts
    low, high = bounds(hits, trials, error=error)
    mirrored = bounds(trials - hits, trials, error=error)
    assert (1 - high, 1 - low) == pytest.approx(mirrored, rel=1e-6, abs=1e-13)


@pytest.mark.parametrize("bounds", BOUNDS)
def test_bounds_rise_with_the_hits(bounds):
    lows, highs = zip(*(bounds(k, 60, error=0.05) for k in range(61)), strict=True)
    assert all(a < b for edges in (lows, highs) for a, b in itertools.pairwise(edges))


LOOKS = np.arange(500, 20_001, 500)
RUNS = 2000


def missed_at_some_look(bounds, p: float) -> float:
    """Return the fraction of simulated runs in which the truth is outside at any look."""
    draws = np.random.default_rng(20).binomial(LOOKS[0], p, size=(RUNS, len(LOOKS)))
    missed = np.zeros(RUNS, bool)
    for trials, hits in zip(LOOKS.tolist(), draws.cumsum(1).T, strict=True):
        counts = range(trials + 1)  # bounds rise with them
        fewest = bisect.bisect_left(counts, p, key=lambda k: bounds(k, trials, error=0.05)[1])
        beyond = bisect.bisect_right(counts, p, key=lambda k: bounds(k, trials, error=0.05)[0])
        missed |= (hits < fewest) | (hits >= beyond)
    return missed.mean()


@pytest.mark.ci
@pytest.mark.parametrize("p", [0.02, 0.3])
def test_one_may_look_at_the_confidence_sequence_at_any_time(p):
    assert missed_at_some_look(confidence_sequence, p) <= 0.05


@pytest.mark.parametrize("p", [0.02, 0.3])
def test_peeking_at_a_fixed_interval_misses_far_more_often_than_it_says(p):
    assert missed_at_some_look(clopper_pearson, p) > 0.2


def test_an_estimate_before_the_first_seed_says_nothing():
    for interval in ("fixed", "anytime"):
        nothing = estimate(0, 0, interval=interval)
        assert math.isnan(nothing.fraction)
        assert (nothing.low, nothing.high) == (0.0, 1.0)


@given(counts=counts, cells=st.integers(1, 1000))
def test_intervals_that_hold_at_once_share_the_error(counts, cells):
    together = estimate(*counts, num_intervals=cells)
    alone = estimate(*counts, level=1 - 0.05 / cells)
    bounds = alone.low, alone.high
    assert (together.low, together.high) == pytest.approx(bounds, rel=1e-6, abs=1e-12)
    assert together.level == 0.95


def test_all_of_many_cells_are_covered_as_often_as_it_says():
    cells, trials, p = 40, 200, 0.1
    covered = coverage(lambda k: clopper_pearson(k, trials, error=0.05 / cells), trials, p)
    naive = coverage(lambda k: clopper_pearson(k, trials, error=0.05), trials, p)
    assert covered**cells >= 0.95
    assert naive**cells < 0.5  # the control


VERDICTS = np.array([2, 2, 1, 1, 1, 0, 3, -1, 2], np.int8)


@pytest.mark.parametrize(
    ("of", "among", "hits", "trials"),
    [
        (Verdict.DECEPTIVE, None, 3, 9),
        (Verdict.DIVERGED, None, 1, 9),
        (Verdict.DECEPTIVE, {Verdict.DECEPTIVE, Verdict.INTENDED}, 3, 6),
        (Verdict.INTENDED, (Verdict.INTENDED,), 3, 3),
    ],
)
def test_a_fraction_counts_a_verdict_among_those_asked_for(of, among, hits, trials):
    counted = basin_fraction(VERDICTS, of, among=among)
    assert (counted.hits, counted.trials) == (hits, trials)
    assert counted == estimate(hits, trials)


def test_the_fractions_of_all_verdicts_sum_to_one():
    assert sum(basin_fraction(VERDICTS, of).hits for of in Verdict) == len(VERDICTS)


def test_an_empty_denominator_is_no_fraction_and_no_knowledge():
    honest = np.full(5, Verdict.INTENDED)
    nothing = basin_fraction(honest, Verdict.OTHER, among={Verdict.OTHER})
    assert math.isnan(nothing.fraction)
    assert (nothing.trials, nothing.low, nothing.high) == (0, 0.0, 1.0)
    assert str(nothing) == "0/0 = nan [0, 1]"


def test_an_estimate_prints_its_counts_and_its_interval():
    assert str(estimate(3, 8)) == "3/8 = 0.375 [0.08523, 0.7551]"


def test_every_class_has_its_fraction_with_the_share_of_the_error():
    outcomes = ["add", "copy", "add", "add", "other"]
    found = basin_fractions(outcomes, classes=["copy", "add", "other", "sort"])
    assert {label: one.hits for label, one in found.items()} == {
        "copy": 1,
        "add": 3,
        "other": 1,
        "sort": 0,
    }
    assert list(found) == ["copy", "add", "other", "sort"]
    assert found["sort"] == estimate(0, 5, num_intervals=4)
    assert found["sort"].high > 0.5  # nobody hit it, and five seeds say little
    assert basin_fractions(outcomes)["add"] == estimate(3, 5, num_intervals=3)
    anytime = basin_fractions(outcomes, level=0.9, interval="anytime")
    assert anytime["add"] == estimate(3, 5, level=0.9, num_intervals=3, interval="anytime")


def test_classes_are_numbers_names_and_verdicts_alike():
    by_verdict = basin_fractions(VERDICTS, classes=Verdict)
    assert list(by_verdict) == list(Verdict)
    assert by_verdict == basin_fractions(VERDICTS.tolist(), classes=range(-2, 5))
    assert [one.hits for one in by_verdict.values()] == [0, 1, 1, 3, 3, 1, 0]
    names = pl.Series([Verdict(v).name for v in VERDICTS.tolist()])
    named = basin_fractions(names, classes=[verdict.name for verdict in Verdict])
    assert list(named.values()) == list(by_verdict.values())
    assert basin_fractions([]) == {}


def test_an_outcome_of_no_class_is_refused():
    with pytest.raises(ValueError, match="outcome = 'sort'; allowed: 'add', 'copy'"):
        basin_fractions(["add", "sort"], classes=["add", "copy", "add"])


CLASS_SHARES = np.array([0.5, 0.2, *([0.05] * 4), *([0.01] * 10)])


def all_covered(level: float) -> float:
    """Return how often the intervals of all classes hold, in simulated examinations."""
    rng, held = np.random.default_rng(22), 0
    names = range(len(CLASS_SHARES))
    for _ in range(1000):
        outcomes = rng.choice(len(CLASS_SHARES), 300, p=CLASS_SHARES)
        found = basin_fractions(outcomes, classes=names, level=level)
        held += all(found[n].low <= CLASS_SHARES[n] <= found[n].high for n in names)
    return held / 1000


def test_the_intervals_of_all_classes_hold_at_once():
    assert all_covered(0.95) >= 0.95
    alone = 1 - 0.05 * len(CLASS_SHARES)
    assert all_covered(alone) < 0.8  # the control: each at 95 % by itself


def test_classes_named_by_what_was_seen_need_not_hold_at_once():
    # One seed, of a thousand classes that are equally likely: whichever it falls into.
    assert basin_fractions([7])[7].low > 1e-3
    assert basin_fractions([7], classes=range(1000))[7].low < 1e-3


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: estimate(-1, 5), "hits = -1; allowed: 0 to trials = 5"),
        (lambda: estimate(6, 5), "hits = 6; allowed: 0 to trials = 5"),
        (lambda: estimate(1, 5, level=1.0), r"level = 1\.0; allowed: above 0 and below 1"),
        (lambda: estimate(1, 5, level=95.0), r"level = 95\.0; allowed"),
        (lambda: estimate(1, 5, level=math.nan), "level = nan; allowed"),
        (lambda: estimate(1, 5, num_intervals=0), "num_intervals = 0; allowed: at least 1"),
        (lambda: basin_fraction(VERDICTS, among={Verdict.OTHER}), "DECEPTIVE.* not among"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_verdicts_are_taken_by_number_and_by_name_alike():
    names = pl.Series(["DECEPTIVE", "OTHER", "DECEPTIVE"], dtype=pl.Enum([v.name for v in Verdict]))
    for verdicts in (names, names.to_list(), [2, 3, 2], np.array([2, 3, 2], np.int8)):
        assert basin_fraction(verdicts).hits == 2
    assert basin_fraction(names, "OTHER", among=["OTHER", "DECEPTIVE"]).hits == 1


@pytest.mark.parametrize("wrong", ["deceptive", None, 1.0, 77, True, math.nan])
def test_what_is_no_verdict_is_refused(wrong):
    with pytest.raises(ValueError, match=r"verdict = .*; allowed: ERROR \(-2\)"):
        basin_fraction([2, wrong])
