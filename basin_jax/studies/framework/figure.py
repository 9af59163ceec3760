"""Figures of studies: panels, curves, rows, matrices and legends."""

import math
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy import ndarray

from basin_jax.report.figures import FULL
from basin_jax.studies.framework.rows import Row


# From Okabe & Ito's palette; the first is that of DECEPTIVE elsewhere, too.
INK = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#4d4d4d")


def canvas(panels: int, *, height: float = 2.2) -> tuple[Figure, list[Axes]]:
    """Make a figure with some panels side by side, in rows of that height."""
    rows = math.ceil(panels / 4)
    figure = Figure(figsize=(FULL, rows * height))
    axes = list(figure.subplots(rows, math.ceil(panels / rows), squeeze=False).flat)
    for rest in axes[panels:]:
        rest.remove()
    axes = axes[:panels]
    for one, letter in zip(axes, "abcdefgh", strict=False):
        one.set_title(letter, loc="left", fontweight="bold")
        one.grid(visible=True, axis="y")
    return figure, axes


def curve(
    axes: Axes,
    places: Iterable[float | int],
    rows: Sequence[Row],
    *,
    color: str,
    label: str,
    linestyle: str = "-",
) -> None:
    """Draw numbers along an axis, with their intervals."""
    places, values = list(places), [row.value for row in rows]
    axes.vlines(places, [r.low for r in rows], [r.high for r in rows], color=color, lw=1.6)
    axes.plot(places, values, color=color, marker="o", ms=2.6, lw=0.7, ls=linestyle, label=label)


def forest(
    axes: Axes,
    names: Sequence[str],
    rows: Sequence[Row],
    *,
    color: str,
    dodge: float = 0.0,
    label: str | None = None,
) -> None:
    """Draw numbers as rows from the top, with their intervals to the side."""
    places = [number + dodge for number in range(len(rows))]
    axes.hlines(places, [r.low for r in rows], [r.high for r in rows], color=color, lw=1.6)
    axes.plot([r.value for r in rows], places, "o", ms=2.8, color=color, label=label)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=True, axis="both")


def matrix(
    axes: Axes, names: Sequence[str], above: Float[ndarray, "n n"], below: Float[ndarray, "n n"]
) -> None:
    """Draw numbers of pairs, one kind above the diagonal and one below; shades go from 0 to 1.

    Undefined numbers have no shade, and a dash.
    """
    axes.grid(visible=False)
    for (i, j), upper in np.ndenumerate(above):
        value, color = (upper, INK[1]) if i < j else (below[i, j], INK[2])
        if i != j:
            square = [j - 0.5, j + 0.5], i - 0.5, i + 0.5
            axes.fill_between(*square, color=color, alpha=0.5 * np.fmax(value, 0), lw=0)
            told = "–" if np.isnan(value) else f"{value:.3f}".removeprefix("0")
            axes.text(j, i, told, ha="center", va="center")
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0)
    axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(names) - 0.5, -0.5))


def legend(
    axes: Axes, loc: Literal["best", "lower left"] = "best", *, of: Axes | None = None
) -> None:
    """Put the legend, of other axes if given, at `loc`."""
    handles, labels = (of or axes).get_legend_handles_labels()
    axes.legend(
        *(handles, labels),
        loc=loc,
        handlelength=1.2,
        frameon=True,
        framealpha=0.8,
        edgecolor="none",
    )


def cumulate(axes: Axes, values: Float[ndarray, " seed"], *, color: str, label: str) -> None:
    """Draw the cumulative distribution of values, from 0 to the limit of the axis."""
    finite = np.sort(values[np.isfinite(values)])
    shares = np.arange(1, len(finite) + 1) / max(len(values), 1)
    last = shares[-1] if len(shares) else 0.0
    end = axes.get_xlim()[1]
    axes.step([0, *finite, end], [0, *shares, last], where="post", color=color, label=label)
