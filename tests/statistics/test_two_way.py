"""The two-way variance of a label, where initializations and orders of data are crossed."""

import math

import numpy as np
import pytest

from basin_jax.statistics.two_way import agreement, two_way


def blocks(generator, count, parts, size=2):
    """Signs of a row's, a column's and a cell's own normal number, of given variances."""
    shapes = ((count, size, 1), (count, 1, size), (count, size, size))
    row, column, cell = (
        math.sqrt(part) * generator.normal(size=shape)
        for part, shape in zip(parts, shapes, strict=True)
    )
    return row + column + cell > 0


def known(parts):
    """The shares of the variance of the sign, by the arcsine law."""
    row, column = (2 * math.asin(part / sum(parts)) / math.pi for part in parts[:2])
    return row, column, 1 - row - column


def test_pairs_are_counted_by_what_they_share():
    names = np.array([[["a", "a"], ["b", "b"]], [["a", "b"], ["b", "a"]], [["a", "a"], ["a", "b"]]])
    found = agreement(names)
    assert found.row.tolist() == [1, 0, 0.5]
    assert found.column.tolist() == [0, 0, 0.5]
    assert found.neither.tolist() == [0, 1, 0.5]
    wide = agreement(np.arange(12).reshape(1, 3, 4) % 4)
    assert (wide.row[0], wide.column[0], wide.neither[0]) == (0, 1, 0)
    with pytest.raises(ValueError, match=r"labels.shape = \(3, 2, 1\); allowed: blocks of 2 by 2"):
        agreement(names[:, :, :1])


@pytest.mark.parametrize("size", [2, 5])
def test_the_parts_are_those_of_the_arcsine_law(size):
    for parts in ((1.0, 1.0, 0.0), (0.6, 0.2, 0.2)):
        found = two_way(blocks(np.random.default_rng(1), 20_000, parts, size))
        for one, truth in zip(found, known(parts), strict=True):
            assert one.share == pytest.approx(truth, abs=0.02)
            assert one.low < truth < one.high
            assert one.high - one.low < 0.06


def test_where_rows_decide_alone_the_rest_is_nothing():
    rows = np.repeat(np.random.default_rng(2).random((300, 2, 1)) < 0.3, 2, axis=2)
    found = two_way(rows)
    assert (found.rows.share, found.columns.share, found.interaction.share) == (1, 0, 0)
    assert found.rows.low > 0.9
    assert (found.rows.high, found.columns.low, found.interaction.low) == (1, 0, 0)
    swapped = two_way(rows.swapaxes(1, 2))
    assert (swapped.columns, swapped.rows) == (found.rows, found.columns)


def test_labels_that_are_all_alike_have_no_variance():
    found = two_way(np.ones((40, 2, 2), bool))
    assert all(math.isnan(one.share) for one in found)
    assert all((one.low, one.high) == (0, 1) for one in found)


@pytest.mark.slow
@pytest.mark.parametrize("parts", [(1.0, 1.0, 0.0), (0.8, 0.05, 0.15), (1.0, 0.0, 0.0)])
@pytest.mark.parametrize("count", [24, 128])
def test_intervals_cover_whatever_rows_and_columns_share(parts, count):
    runs, misses = 400, np.zeros(3)
    for number in range(runs):
        found = two_way(blocks(np.random.default_rng([3, number]), count, parts), level=0.9)
        ends = zip(found, known(parts), strict=True)
        # A truth of 0 or 1 is at the end of what can be, up to rounding.
        misses += [not one.low - 1e-9 <= truth <= one.high + 1e-9 for one, truth in ends]
    assert misses.max() / runs <= 0.1
