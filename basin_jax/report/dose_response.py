"""Draw fractions over the values of a field, with the value at which they cross another."""

import math
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes

from basin_jax.core.arguments import checked, shown
from basin_jax.report.figures import COLUMN, LOOKS, STYLE, Drawing, add_legend, add_note
from basin_jax.report.tables import METHODS
from basin_jax.statistics.dose_response import Threshold
from basin_jax.statistics.logistic import Logistic


GREY, POINTS = "#4d4d4d", 200
MARGIN = 0.06  # of an axis, beyond the first and the last dose


@checked
def dose_response(threshold: Threshold, *, ax: Any = None) -> Any:
    """Draw a threshold (see `Records.threshold`): fractions along a field, and where they cross.

    The field may be any: of a `starts.Perturbed` its radius, for the profile of a buffer.

    Args:
        threshold: the threshold.
        ax: one's own axes, on which it is drawn in one's own style, with labels for `ax.legend()`;
            a figure of one column with caption and legend is made if None.

    Returns:
        The Matplotlib figure; or `ax`.

    Raises:
        ValueError: if `ax` is no axes.
    """
    if ax is not None:
        if not isinstance(ax, Axes):
            raise ValueError(f"ax = {shown(ax)}; allowed: None, or one axes of Matplotlib")
        dose_response_panel(ax, threshold)
        return ax
    with rc_context(STYLE):
        figure = Drawing(figsize=(COLUMN, 3.2))
        dose_response_panel(figure.subplots(), threshold)
        add_legend(figure, ncols=2)
        add_note(figure, caption(threshold))
    return figure


def dose_response_panel(axes: Axes, threshold: Threshold) -> None:
    """Draw a threshold on axes: fractions with intervals, two curves, and where they cross.

    The band of the threshold runs to the edge where its interval is open.
    """
    color, marker = LOOKS[threshold.of]
    along = np.log(threshold.doses) if threshold.scale == "log" else np.array(threshold.doses)
    ends = along[[0, -1]] + MARGIN * np.array([-1, 1]) * (along[-1] - along[0])
    left, right = np.exp(ends) if threshold.scale == "log" else ends
    axes.set_xscale(threshold.scale)
    axes.set_xlim(left, right)
    axes.set_ylim(-0.03, 1.03)
    band = max(threshold.low, left), min(threshold.high, right)
    axes.axvspan(*band, color=color, alpha=0.15, lw=0, label=f"threshold [{_level(threshold)}]")
    if math.isfinite(threshold.value):
        axes.axvline(threshold.value, color=color, lw=0.6)
    axes.axhline(threshold.at, color=GREY, lw=0.6, ls=":")
    if threshold.logistic is not None:
        _draw_logistic(axes, threshold, threshold.logistic, (left, right))
    axes.plot(threshold.doses, threshold.isotonic, color=color, lw=0.8, label="isotonic")
    axes.vlines(threshold.doses, threshold.lows, threshold.highs, color=color, lw=1.8)
    axes.plot(
        threshold.doses,
        threshold.fractions,
        marker,
        ms=3.4,
        mec="white",
        mew=0.4,
        color=color,
        label=threshold.of.name,
        clip_on=False,
        zorder=3,
    )
    axes.grid(visible=True, axis="y")
    axes.set_xlabel(threshold.field.rpartition(".")[2], parse_math=False)
    axes.set_ylabel(f"fraction of {_seeds(threshold)}")


def _draw_logistic(
    axes: Axes, threshold: Threshold, curve: Logistic, limits: tuple[float, float]
) -> None:
    """Draw the curve within the grid, and its threshold with its interval on the line."""
    first, last = threshold.doses[0], threshold.doses[-1]
    spaced = np.geomspace if threshold.scale == "log" else np.linspace
    doses = spaced(first, last, POINTS)
    fractions = curve.at(np.log(doses) if threshold.scale == "log" else doses)
    axes.plot(doses, fractions, "--", color=GREY, lw=0.8, label="logistic")
    if not math.isnan(curve.low):
        reach = max(curve.low, limits[0]), min(curve.high, limits[1])
        axes.hlines(threshold.at, *reach, color=GREY, lw=1.4)
    if math.isfinite(curve.value):
        axes.plot(curve.value, threshold.at, "|", color=GREY, ms=6, mew=1.0)


def caption(threshold: Threshold) -> str:
    """Return a caption: the number of seeds, what lines and intervals are, and the threshold."""
    log = " logarithms of" if threshold.scale == "log" else ""
    said = [
        f"n = {threshold.trials:,} {_seeds(threshold)} at each of {len(threshold.doses)} values. "
        f"Points: the fraction that is {threshold.of.name}, with {_level(threshold)} intervals, "
        "each by itself",
        METHODS[threshold.interval],
        f"Line: isotonic regression, linear between{log} values",
        f"Shaded: where it crosses {threshold.at:g}, {_found(threshold, threshold)}",
    ]
    low, high = threshold.between
    if math.isfinite(low) and math.isfinite(high):
        said.append(f"Any curve that only {_verb(threshold)} crosses from {low:g} to {high:g}")
    curve = threshold.logistic
    if curve is None:
        said.append("No logistic curve, since its slope has no finite estimate")
    else:
        found = f"Dashed: a logistic curve, which crosses at {_found(threshold, curve)}"
        if math.isfinite(curve.value) and not math.isnan(curve.low):
            found += " (bar)"
        if curve.dispersion > 1:
            found += f", with a variance {curve.dispersion:.3g} times as large as the seeds explain"
        said.append(found)
    return ". ".join(said) + "."


def sentence(threshold: Threshold) -> str:
    """State where the fraction crosses, as below a figure of fractions."""
    half = "Half" if threshold.at == 0.5 else f"A fraction of {threshold.at:g}"
    return (
        f"{half} of the {_seeds(threshold)} end {threshold.of.name} at "
        f"{_found(threshold, threshold)} ({_level(threshold)} interval)."
    )


def _verb(threshold: Threshold) -> str:
    return "rises" if threshold.direction == "rising" else "falls"


def _found(threshold: Threshold, one: Threshold | Logistic) -> str:
    """Format a threshold with its interval; what is beyond the grid as an inequality."""
    name = threshold.field.rpartition(".")[2]
    first, last = f"{threshold.doses[0]:.3g}", f"{threshold.doses[-1]:.3g}"
    found = f"{name} = {one.value:.3g}"
    if math.isinf(one.value):
        found = f"{name} {f'> {last}' if one.value > 0 else f'< {first}'}, beyond the values"
    if math.isnan(one.low):
        return found
    low = f"< {first}" if one.low == -math.inf else f"{one.low:.3g}"
    high = f"> {last}" if one.high == math.inf else f"{one.high:.3g}"
    return f"{found} [{low}, {high}]"


def _level(threshold: Threshold) -> str:
    return f"{100 * threshold.level:g} %"


def _seeds(threshold: Threshold) -> str:
    return "chosen seeds" if threshold.sample == "chosen" else "seeds"
