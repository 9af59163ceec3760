"""The figure of a threshold, and its caption."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from basin_jax import Verdict
from basin_jax.report.dose_response import caption, dose_response, dose_response_panel
from basin_jax.report.figures import drawn
from basin_jax.statistics.dose_response import threshold


def found(counts, doses, **given):
    hits = np.arange(100)[:, None] < np.array(counts)
    seeds = np.arange(100, dtype=np.uint64)
    return threshold(hits, seeds, doses, field="start.dose", of=Verdict.DECEPTIVE, **given)


def test_the_caption_says_what_is_drawn():
    assert caption(found((8, 30, 70, 92), [0.0, 1.0, 2.0, 3.0])) == (
        "n = 100 seeds at each of 4 values. Points: the fraction that is DECEPTIVE, with 95 % "
        "intervals, each by itself. Clopper-Pearson intervals: the number of seeds was fixed "
        "beforehand. Line: isotonic regression, linear between values. Shaded: where it crosses "
        "0.5, dose = 1.5 [1.24, 1.76]. Any curve that only rises crosses from 1 to 2. Dashed: a "
        "logistic curve, which crosses at dose = 1.5 [1.28, 1.72] (bar)."
    )


def test_the_caption_says_that_fractions_scatter_about_the_logistic_curve():
    said = caption(found((2, 45, 40, 60, 98), [0.0, 1.0, 2.0, 3.0, 4.0]))
    assert ", with a variance 16.8 times as large as the seeds explain." in said


def test_the_caption_extrapolates_nothing():
    said = caption(found((0, 0, 1), [1.0, 10.0, 1000.0], basis="anytime", sample="chosen"))
    assert "n = 100 chosen seeds" in said
    assert "linear between logarithms of values" in said
    assert "dose > 1e+03, beyond the values [1e+03, > 1e+03]" in said
    assert said.endswith("No logistic curve, since its slope has no finite estimate.")
    assert "Any curve" not in said


@pytest.mark.parametrize("counts", [(8, 30, 70, 92), (92, 30, 8, 0), (0, 0, 0, 1)])
def test_the_band_of_the_threshold_is_within_the_axes(counts):
    one = found(counts, [1.0, 2.0, 3.0, 4.0])
    axes = Figure().subplots()
    dose_response_panel(axes, one)
    left, right = axes.get_xlim()
    (band,) = (patch for patch in axes.patches if patch.get_label() == "threshold [95 %]")
    edges = band.get_extents().transformed(axes.transData.inverted())
    assert edges.x0 == pytest.approx(max(one.low, left))
    assert edges.x1 == pytest.approx(min(one.high, right))
    assert drawn(dose_response(one), ".png").startswith(b"\x89PNG")


def test_it_is_drawn_on_axes_of_ones_own():
    axes = Figure().subplots()
    assert dose_response(found((8, 30, 70, 92), [0.0, 1.0, 2.0, 3.0]), ax=axes) is axes
    assert axes.get_xlabel() == "dose"
    with pytest.raises(ValueError, match="ax = 3; allowed: None, or one axes of Matplotlib"):
        dose_response(found((8, 92), [0.0, 1.0]), ax=3)
