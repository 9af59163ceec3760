"""Panels of studies draw what they declare."""

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from study_tables import number

from basin_jax.studies.framework.figure import (
    Cumulative,
    Curve,
    Forest,
    HeatMap,
    Level,
    Line,
    Matrix,
    Panel,
    figure_of,
)
from basin_jax.studies.framework.rows import Table


HALF = number(value=0.5, low=0.4, high=0.7)


def drawn(*marks, **given):
    axes: Any = Figure().subplots()
    Panel([*marks], xlabel="dose", **given).draw(axes)
    return axes


def test_a_curve_has_its_rows_intervals_whatever_lies_beside_it():
    axes = drawn(Curve({1.0: HALF, 3.0: HALF}, label="a"), Curve({1.0: HALF, 3.0: HALF}, label="b"))
    assert axes.get_ylim() == (-0.03, 1.03)
    # Moved by points, and not in the data, on which the limits rest.
    assert axes.get_xlim() == pytest.approx((0.84, 3.16))
    one, other = axes.lines
    assert one.get_xydata() == pytest.approx(other.get_xydata()) == np.array([(1, 0.5), (3, 0.5)])
    apart = other.get_transform().transform((1, 0.5)) - one.get_transform().transform((1, 0.5))
    assert apart[0] > 1
    assert apart[1] == pytest.approx(0)
    (segment, _) = axes.collections[0].get_segments()
    assert segment == pytest.approx(np.array([(1, 0.4), (1, 0.7)]))
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]


def test_a_forest_has_its_names_from_the_top():
    axes = drawn(Forest({"first": HALF, "second": number()}), Level(0.5, axis="x"))
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["first", "second"]
    top, bottom = axes.get_ylim()
    assert top > bottom
    assert axes.get_xlim() == (-0.03, 1.03)
    assert (axes.get_ylabel(), axes.get_legend()) == ("", None)


def test_a_distribution_reaches_the_end_and_counts_the_infinite():
    axes = drawn(Cumulative(np.array([3.0, 1.0, np.inf, 9.0]), 4.0))
    places, shares = axes.lines[0].get_data()
    assert [*places] == [0, 1, 3, 9, 9]
    assert [*shares] == [0, 0.25, 0.5, 0.75, 0.75]
    assert axes.get_xlim() == (0, 4)
    places, shares = drawn(Cumulative(np.array([np.inf]), 4.0)).lines[0].get_data()
    assert ([*places], [*shares]) == ([0, 4], [0, 0])
    axes = drawn(Cumulative(np.array([0.2, -0.1]), 0.3, begin=-0.3))
    assert [*axes.lines[0].get_data()[0]] == [-0.3, -0.1, 0.2, 0.3]
    assert axes.get_xlim() == (-0.3, 0.3)


def test_a_level_of_a_row_is_its_interval_and_takes_no_color():
    axes = drawn(Level(HALF, label="all"), Level(0.2), Line({0.0: 0.1, 1.0: 0.2}))
    (band,) = axes.patches
    low, high = band.get_extents().transformed(axes.transData.inverted()).intervaly
    assert (low, high) == pytest.approx((0.4, 0.7))
    assert axes.lines[-1].get_color() == "#d55e00"


def test_a_matrix_leaves_out_the_diagonal_and_dashes_the_undefined():
    axes = drawn(Matrix(["a", "b"], np.array([[7.0, 0.25], [np.nan, 7.0]])))
    assert sorted(text.get_text() for text in axes.texts) == [".25", "–"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["a", "b"]


def test_a_heat_map_has_a_number_in_each_cell_that_can_be_read():
    axes = drawn(HeatMap(["a", "b"], ["x", "y", "z"], np.array([[0, 0.25, 0.9], [1, 0.5, 0.1]])))
    told = {text.get_text(): text for text in axes.texts}
    assert [*told] == [".00", ".25", ".90", "1.00", ".50", ".10"]
    assert [told[said].get_color() for said in (".90", ".10")] == ["white", "black"]
    assert told["1.00"].get_position() == (0, 1)  # the second row from the top
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["x", "y", "z"]


@pytest.mark.parametrize("scale", ["log", "symlog"])
def test_ticks_are_those_declared(scale):
    axes = drawn(Curve({0.5: HALF, 2.0: HALF}), xscale=scale, ticks=(0.5, 1000.0), ticklabels=())
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0.5", "1,000"]
    assert not [*axes.get_xticks(minor=True)]


def test_limits_are_those_of_fractions_where_all_is_one():
    beyond = number(value=0.02, low=-0.08, high=0.12)
    low, high = drawn(Forest({"a": HALF, "b": beyond})).get_xlim()
    assert low < -0.08
    assert 0.7 < high < 1
    assert drawn(Curve({1.0: beyond}), limits=(0.0, None)).get_ylim()[0] == 0


def test_a_panel_is_refused_with_what_is_allowed():
    with pytest.raises(ValueError, match=r"xscale = 'logs'; allowed: .*did you mean 'log'"):
        drawn(Line({0.0: 1.0}), xscale="logs")
    with pytest.raises(ValueError, match="allowed with symlog: 0 and some above it"):
        drawn(Line({0.0: 1.0}), xscale="symlog")
    with pytest.raises(ValueError, match="marks is empty"):
        drawn()
    with pytest.raises(ValueError, match="gives none"):
        figure_of([])


def test_panels_have_letters_and_four_are_in_a_row():
    figure = figure_of([Panel([Line({0.0: 1.0})] * 9, xlabel="x")] * 5)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [*"abcde"]
    assert figure.get_figheight() == pytest.approx(2 * 2.3)


def test_the_rows_along_an_axis_are_found_by_one_key():
    rows = Table([number(key="dose=0.5/gap"), number(key="dose=2/gap")])
    assert rows.along("dose=*/gap", (0.5, 2.0)) == dict(zip((0.5, 2.0), rows.values(), strict=True))
    with pytest.raises(ValueError, match="dose=3/gap"):
        rows.along("dose=*/gap", (3,))


def test_a_legend_covers_no_letter_and_a_last_point_is_within_the_axes():
    curve = Curve({0: HALF, 10: HALF, 200: HALF}, label="one")
    panel = Panel([curve], xlabel="steps", xscale="symlog", ticks=(0, 10, 100))
    figure = figure_of([panel] * 4)
    figure.draw_without_rendering()
    for axes, name in zip(figure.axes, "abcd", strict=True):
        assert axes.get_xlim()[1] > 200
        legend: Any = axes.get_legend()
        (letter,) = (
            one.get_window_extent() for one in axes.findobj(Text) if one.get_text() == name
        )
        assert letter.x1 <= legend.legend_handles[0].get_window_extent().x0
