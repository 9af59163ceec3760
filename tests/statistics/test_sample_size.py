"""Numbers of seeds: closed forms, enumerations by other code, and simulated power and coverage."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import binom, fisher_exact, multinomial
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from basin_jax.statistics.estimates import estimate
from basin_jax.statistics.sample_size import (
    paired_difference_to_tell,
    paired_power_to_tell,
    paired_seeds_to_tell,
    power_to_tell,
    seeds_below,
    seeds_for_width,
    seeds_to_tell,
    seeds_until_hit,
)


@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
@pytest.mark.parametrize("fraction", [1e-9, 1e-6, 3.7e-4, 0.02, 0.5, 0.97])
def test_the_seeds_without_a_hit_are_the_fewest_whose_upper_limit_is_low_enough(fraction, level):
    seeds = seeds_below(fraction, level=level)
    assert seeds >= math.log((1 - level) / 2) / math.log1p(-fraction) - 1e-6 * seeds
    assert estimate(0, seeds, level=level).high <= fraction
    assert seeds == 1 or estimate(0, seeds - 1, level=level).high > fraction


def test_the_first_hit_is_seen_with_the_probability_that_is_asked_for():
    for fraction, probability in itertools.product((1e-7, 0.01, 0.3), (0.5, 0.95)):
        seeds = seeds_until_hit(fraction, probability=probability)
        seen = -math.expm1(seeds * math.log1p(-fraction))
        fewer = -math.expm1((seeds - 1) * math.log1p(-fraction))
        assert fewer < probability <= seen
    first = np.random.default_rng(0).geometric(0.01, 20_000)
    assert np.mean(first <= seeds_until_hit(0.01)) == pytest.approx(0.95, abs=0.005)


def fisher(one: int, other: int, seeds: int) -> float:
    found = fisher_exact([[one, seeds - one], [other, seeds - other]])
    return found.pvalue  # pyright: ignore[reportAttributeAccessIssue]


def test_the_power_with_other_seeds_is_that_of_fishers_exact_test():
    for seeds, first, second, level in [(12, 0.2, 0.8, 0.95), (9, 0.5, 0.05, 0.8)]:
        hits = range(seeds + 1)
        ways = [
            binom.pmf(x, seeds, first) * binom.pmf(y, seeds, second)
            for x, y in itertools.product(hits, hits)
            if fisher(x, y, seeds) <= 1 - level
        ]
        assert power_to_tell(first, second, seeds, level=level) == pytest.approx(
            sum(ways), abs=1e-9
        )


def is_told(gained: int, lost: int) -> bool:
    test = mcnemar([[0, gained], [lost, 0]], exact=True)
    return test.pvalue <= 0.05  # pyright: ignore[reportAttributeAccessIssue]


def test_the_paired_power_is_that_of_mcnemars_exact_test():
    seeds, gained, lost = 14, 0.4, 0.1
    ways = 0.0
    for x, y in itertools.product(range(seeds + 1), repeat=2):
        if x + y <= seeds and is_told(x, y):
            rates = [gained, lost, 1 - gained - lost]
            ways += multinomial.pmf([x, y, seeds - x - y], seeds, rates)
    ours = paired_power_to_tell(0.3, 0.6, seeds, discordance=gained + lost)
    assert ours == pytest.approx(ways, abs=1e-9)


@pytest.mark.parametrize(("first", "second"), [(0.14, 0.16), (0.5, 0.9), (1e-4, 2e-4)])
def test_the_seeds_to_tell_are_about_the_fewest_with_that_power(first, second):
    for seeds_of, power_of in [
        (seeds_to_tell, power_to_tell),
        (paired_seeds_to_tell, paired_power_to_tell),
    ]:
        seeds = seeds_of(first, second, power=0.8)
        assert power_of(first, second, seeds) >= 0.8 > power_of(first, second, seeds - 1)
        assert seeds == seeds_of(second, first, power=0.8)
        assert seeds < seeds_of(first, second) < seeds_of(first, second, level=0.99)


@pytest.mark.parametrize(
    ("seeds_of", "power_of", "second"),
    [
        (seeds_to_tell, power_to_tell, 0.535),
        (paired_seeds_to_tell, paired_power_to_tell, 0.5015),
    ],
)
def test_where_an_enumeration_takes_long_the_approximation_is_about_as_good(
    seeds_of, power_of, second
):
    assert power_of(0.5, second, seeds_of(0.5, second)) == pytest.approx(0.9, abs=0.002)


def test_fewer_seeds_that_differ_need_fewer_seeds_to_tell():
    numbers = [
        paired_seeds_to_tell(0.14, 0.16, discordance=differing) for differing in (0.02, 0.1, 0.3)
    ]
    assert numbers == sorted(numbers)
    independent = 0.14 * 0.84 + 0.86 * 0.16
    asked = paired_seeds_to_tell(0.14, 0.16, discordance=independent)
    assert paired_seeds_to_tell(0.14, 0.16) == asked


def test_simulated_pairs_are_told_apart_as_often_as_asked():
    seeds = paired_seeds_to_tell(0.3, 0.45, discordance=0.25)
    draw = np.random.default_rng(1).multinomial(seeds, [0.2, 0.05, 0.75], 4000)
    pairs, times = np.unique(draw[:, :2], axis=0, return_counts=True)
    told = [is_told(*pair) for pair in pairs.tolist()]
    assert np.average(told, weights=times) == pytest.approx(0.9, abs=4 * math.sqrt(0.09 / 4000))


@pytest.mark.parametrize(("seeds", "discordance"), [(40, 0.5), (255, 0.2), (2000, 0.1)])
def test_the_difference_to_tell_has_the_power_that_is_asked_for(seeds, discordance):
    settings = {"level": 0.99, "power": 0.8}
    found = paired_difference_to_tell(seeds, discordance=discordance, **settings)
    first = (1 - found) / 2
    told = paired_power_to_tell(
        first, first + found, seeds, discordance=max(discordance, found), level=0.99
    )
    assert told == pytest.approx(0.8, abs=1e-6)
    # The seeds that tell such a difference are these, but for the teeth of the power.
    asked = paired_seeds_to_tell(first, first + found, discordance=discordance, **settings)
    assert asked == pytest.approx(seeds, rel=0.1)


def test_where_few_seeds_differ_as_many_do_as_the_difference_takes():
    found = paired_difference_to_tell(100, discordance=0.0, power=0.8)
    # Six gains alone are told from none, and no five are.
    assert binom.sf(5, 100, found) == pytest.approx(0.8, abs=1e-6)
    assert math.isinf(paired_difference_to_tell(5, discordance=0.0))
    assert paired_difference_to_tell(6, discordance=0.0, power=0.8) < 1


@pytest.mark.parametrize("width", [0.3, 0.05, 0.011])
def test_no_interval_of_so_many_seeds_is_wider(width):
    seeds = seeds_for_width(width)
    for trials, wide in [(seeds, False), (seeds - 2, True)]:
        hits = np.arange(trials + 1)
        low, high = proportion_confint(hits, trials, method="beta")
        assert (np.max(high - low) > width) == wide


def test_near_a_small_fraction_fewer_seeds_give_the_width():
    seeds = seeds_for_width(0.01, fraction=0.02)
    found = estimate(round(0.02 * seeds), seeds)
    assert found.high - found.low == pytest.approx(0.01, rel=0.01)
    assert seeds < seeds_for_width(0.01) / 5
    # Without a hit the interval is the upper limit.
    assert seeds_for_width(0.01, fraction=0.0) == seeds_below(0.01)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: seeds_below(0.0), "fraction = 0.0; allowed: above 0 and below 1"),
        (lambda: seeds_below(0.1, level=95.0), "level = 95.0; allowed: above 0 and below 1"),
        (lambda: seeds_until_hit(0.1, probability=1.0), "probability = 1.0; allowed"),
        (lambda: seeds_to_tell(0.1, 0.1), "second = 0.1; allowed: another fraction than first"),
        (lambda: seeds_to_tell(0.1, 1.2), "second = 1.2; allowed"),
        (lambda: seeds_to_tell(0.1, 0.2, power=90.0), "power = 90.0; allowed"),
        (
            lambda: paired_difference_to_tell(9, discordance=1.5),
            "discordance = 1.5; allowed: 0 to 1",
        ),
        (
            lambda: paired_difference_to_tell(9, discordance=0.1, level=0.1, power=0.8),
            "power = 0.8; allowed: above 1 - level = 0.9",
        ),
        (lambda: power_to_tell(0.1, 0.2, 0), "seeds = 0; allowed: at least 1"),
        (
            lambda: paired_seeds_to_tell(0.1, 0.3, discordance=0.1),
            r"discordance = 0.1; allowed: 0.2 to 0.4, of fractions 0.1 and 0.3",
        ),
        (lambda: seeds_for_width(0.0), "width = 0.0; allowed"),
        (lambda: seeds_for_width(0.1, fraction=-0.1), "fraction = -0.1; allowed: 0 to 1"),
    ],
)
def test_what_makes_no_sense_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()
