"""Rows of a study's table: their keys, what they say, and whether they hold."""

import math

import numpy as np
import polars as pl
import pytest
from study_tables import finding, number

from basin_jax.statistics.estimates import estimate
from basin_jax.studies.framework.page import markdown
from basin_jax.studies.framework.rows import Table, bisected, difference, largest_error, row


def test_rows_have_keys_of_their_own():
    table = Table([number(key="a/deceptive"), number(key="b/deceptive")])
    assert [*table] == ["a/deceptive", "b/deceptive"]
    with pytest.raises(ValueError, match=r"'a/deceptiv'; allowed: .*mean 'a/deceptive'"):
        table["a/deceptiv"]
    with pytest.raises(ValueError, match="'a' of two rows; allowed: a key for each row"):
        Table([number(key="a"), number(key="a")])


def test_a_difference_has_its_counts_beside_its_label():
    found = difference("moved", "more", np.arange(9) < 2, np.arange(9) > 0)
    assert (found.label, found.gained, found.lost) == ("more", 7, 1)
    assert found.counts == "7 gained, 1 lost, p = 0.07"
    assert number().counts == ""
    surely = difference("moved", "more", np.ones(9000) < 0, np.ones(9000) > 0)
    assert surely.counts == "9000 gained, 0 lost, p < 1e-300"
    text = markdown([finding(found)], made="here")
    assert "| more (7 gained, 1 lost, p = 0.07; seen from 0.817 on) | 0.667 [" in text
    assert [number(low=low, high=low + 1).sign for low in (-2.0, -0.5, 0.5)] == [-1, 0, 1]


@pytest.mark.parametrize(
    ("expected", "holds"), [(None, None), (0.0, True), (0.1, True), (0.11, False)]
)
def test_a_row_holds_where_its_interval_contains_the_expected_value(expected, holds):
    assert number(expected).holds is holds
    assert finding(number(), number(expected, key="other")).sound is (holds is not False)


def test_a_number_is_said_with_its_interval():
    assert str(row("all", "all", estimate(30, 30))) == "1 [0.884, 1]"
    assert str(number(value=0.999585, low=0.9994, high=0.99997)) == "0.9996 [0.999, 0.99997]"
    assert str(number(value=math.inf, high=math.inf)) == "∞ [0, ∞]"
    assert str(number(value=-0.012345, low=-0.02)) == "-0.012 [-0.02, 0.100]"


def test_the_largest_error_decides_whether_what_is_known_was_found():
    for found, holds in (
        ([0.9, 1.05], True),
        ([1.0, 1.0, 1.2], False),
        ([1.0, np.inf], False),
        ([], False),
    ):
        assert largest_error("one", "one", np.array(found), 1.0, within=0.11).holds is holds


def test_a_bisected_median_covers_the_last_halvings():
    high = np.arange(1.0, 42.0)
    values = pl.DataFrame({"low": high - 0.5, "high": high})
    found = bisected("dose", "dose", values)
    assert (found.value, found.low, found.high) == (21, 13.5, 28)
    wider = bisected("dose", "dose", values, num_intervals=10)
    assert (wider.value, wider.low, wider.high) == (21, 11.5, 30)


def test_a_row_without_a_value_is_undefined_and_neither_holds_nor_fails():
    none = number(0.0, value=np.nan, low=0.0, high=1.0, seeds=0)
    assert str(none) == "undefined: no seeds"
    assert none.holds is None
    assert not finding(none).sound
    assert "| nothing at all | undefined: no seeds |  | 0 | 0 | not known |" in markdown(
        [finding(none)], made="here"
    )
