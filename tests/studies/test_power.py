"""Where no difference is seen, the difference that is told would have been, as often as told."""

import math

import numpy as np
import pytest
from study_tables import number

from basin_jax.studies.framework.power import POWER, apart, seen_beside, seen_from, unseen
from basin_jax.studies.framework.rows import difference, mean, share


TRIES = 1000
ERROR = 3 * math.sqrt(POWER * (1 - POWER) / TRIES)


def pairs(gained: int, lost: int, seeds: int) -> tuple[np.ndarray, np.ndarray]:
    """Hits before and after, of which so many are gained and lost."""
    at = np.arange(seeds)
    return (at >= gained) & (at < gained + lost), at < gained


def paired(gained: int, lost: int, seeds: int, together: int):
    return difference("", "", *pairs(gained, lost, seeds), num_intervals=together)


def fraction(hits: int, seeds: int, **terms):
    return share("", "", np.arange(seeds) < hits, **terms)


@pytest.mark.parametrize(
    ("gained", "lost", "seeds", "together"), [(0, 1, 255, 28), (9, 5, 120, 1), (2, 0, 64, 18)]
)
def test_the_told_difference_on_the_same_seeds_is_seen_as_often_as_told(
    gained, lost, seeds, together
):
    one = paired(gained, lost, seeds, together)
    assert one.sign == 0
    least, most = seen_from(one), fraction(gained + lost, seeds, num_intervals=together).high
    differ = max(least, most)
    rates = [(differ + least) / 2, (differ - least) / 2, 1 - differ]
    drawn = np.random.default_rng(5).multinomial(seeds, rates, TRIES)[:, :2]
    counts, times = np.unique(drawn, axis=0, return_counts=True)
    seen = [paired(x, y, seeds, together).sign != 0 for x, y in counts.tolist()]
    assert np.average(seen, weights=times) == pytest.approx(POWER, abs=ERROR)


@pytest.mark.parametrize(("first", "second"), [(3, 9), (0, 0), (31, 32)])
def test_the_told_difference_of_other_seeds_is_seen_as_often_as_told(first, second):
    one, other = (fraction(hits, 32, num_intervals=4) for hits in (first, second))
    assert apart(one, other) == 0
    least, rng = seen_beside(one, other), np.random.default_rng(6)
    # In the direction in which there is room for it.
    rate = one.value + (least if one.value < 0.5 else -least)
    drawn = (rng.binomial(32, p, TRIES) for p in (one.value, rate))
    rows = [[fraction(hits, 32, num_intervals=4) for hits in each.tolist()] for each in drawn]
    seen = [apart(*pair) != 0 for pair in zip(*rows, strict=True)]
    assert np.mean(seen) == pytest.approx(POWER, abs=ERROR)


def test_many_other_seeds_are_told_apart_about_as_often_as_enumerated():
    few, many = ([fraction(int(n / part), n) for part in (5, 5.1)] for n in (9_000, 11_000))
    shrinks = math.sqrt(9 / 11)
    assert seen_beside(*many) == pytest.approx(seen_beside(*few) * shrinks, rel=0.03)


def test_no_difference_is_told_that_fractions_cannot_have():
    assert seen_beside(fraction(1, 1), fraction(110, 11_000)) == math.inf


def test_a_distance_that_is_told_as_about_is_seen_no_less_often_than_told():
    rng = np.random.default_rng(7)
    half = fraction(60, 120)
    drawn = rng.binomial(120, 0.5 + seen_from(half, 0.5), TRIES)
    seen = np.mean([fraction(hits, 120).low > 0.5 for hits in drawn.tolist()])
    assert POWER - ERROR < seen < 0.9

    def means(middle: float, tries: int):
        values = np.clip(rng.normal(middle, 0.4, (tries, 60)), -1, 1)
        return [mean("", "", each, least=-1.0) for each in values]

    (one,) = means(0.0, 1)
    seen = np.mean([each.low > 0 for each in means(seen_from(one), 200)])
    assert seen > POWER - 3 * math.sqrt(POWER * (1 - POWER) / 200)


def test_a_fraction_without_hits_has_its_upper_end_for_what_would_have_been_seen():
    none = fraction(0, 60, num_intervals=3)
    assert (1 - none.high) ** 60 == pytest.approx(0.05 / 3 / 2)


def test_a_sentence_ends_with_what_would_have_been_seen():
    one, shown = paired(0, 1, 255, 28), paired(0, 40, 255, 28)
    assert unseen([shown]) == unseen([]) == unseen([number(low=math.nan, value=math.nan)]) == ""
    told = "a difference of 0.053 would have been seen with probability 0.8"
    assert unseen([one]) == f"; {told}"
    assert unseen([shown, one]) == f"; where none is shown, {told}"
    # With the largest of all each would have been.
    assert unseen([one, paired(6, 0, 255, 28)]).split(" of ")[1].startswith("0.063 ")
    half = unseen([fraction(60, 120)], 0.5)
    assert half.startswith("; a distance from one half of about 0.132 would")
    few = "; no difference would have been seen with probability 0.8"
    assert unseen([paired(1, 1, 5, 1)]) == few
