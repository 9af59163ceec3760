"""Figures of studies: panels are declared, and all are drawn alike."""

import abc
import itertools
import math
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal, cast

import numpy as np
from jaxtyping import Float
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation, Transform
from numpy import ndarray

from basin_jax.core.arguments import checked
from basin_jax.core.plugin import closest
from basin_jax.report.figures import FULL
from basin_jax.studies.framework.rows import Row


# From Okabe & Ito's palette; the first is that of DECEPTIVE elsewhere, too.
INK = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#4d4d4d")
GRAY = "#858585"
FRACTION = (-0.03, 1.03)
SCALES = ("linear", "log", "symlog")
LETTER = 9.0  # points that a panel's letter takes
PALE = 0.6  # the fraction up to which black letters can be read on its shade
DODGE = 3.0  # points between marks side by side, where intervals would cover each other


@checked
@dataclass(frozen=True)
class Mark(abc.ABC):
    """Declare what is drawn in a panel: in the next color of the palette, if it has none.

    Without a label it is not in the legend.
    """

    label: str = field(default="", kw_only=True)
    color: str = field(default="", kw_only=True)

    @abc.abstractmethod
    def draw(self, axes: Axes, color: str, dodge: float) -> None:
        """Draw it, moved aside by `dodge` points."""


@checked
@dataclass(frozen=True)
class Curve(Mark):
    """Rows along an axis, with their intervals."""

    rows: Mapping[int, Row] | Mapping[float, Row]
    linestyle: str = field(default="-", kw_only=True)

    def draw(self, axes: Axes, color: str, dodge: float) -> None:
        places, found = [*self.rows], self.rows.values()
        bars = axes.vlines(places, [r.low for r in found], [r.high for r in found], color, lw=1.6)
        looks = {"marker": "o", "ms": 2.6, "lw": 0.7, "ls": self.linestyle, "label": self.label}
        (line,) = axes.plot(places, [r.value for r in found], color=color, **looks)
        _move(axes, (bars, line), dodge, 0.0)


@checked
@dataclass(frozen=True)
class Forest(Mark):
    """Rows by name from the top, with their intervals to the side."""

    rows: Mapping[str, Row]

    def draw(self, axes: Axes, color: str, dodge: float) -> None:
        places, found = range(len(self.rows)), self.rows.values()
        bars = axes.hlines(places, [r.low for r in found], [r.high for r in found], color, lw=1.6)
        values, looks = [r.value for r in found], {"ms": 2.8, "color": color, "label": self.label}
        (line,) = axes.plot(values, places, "o", **looks)
        _move(axes, (bars, line), 0.0, -dodge)
        axes.set_yticks(places, [*self.rows])
        axes.set_ylim(len(places) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=True, axis="both")


@checked
@dataclass(frozen=True)
class Cumulative(Mark):
    """The cumulative distribution of values, from where the axis begins to where it ends."""

    values: Float[ndarray, " seed"]
    end: float
    begin: float = field(default=0.0, kw_only=True)

    def draw(self, axes: Axes, color: str, dodge: float) -> None:
        finite = np.sort(self.values[np.isfinite(self.values)])
        shares = np.arange(len(finite) + 1) / max(len(self.values), 1)
        ends = min([self.begin, *finite]), max([self.end, *finite])
        places, shares = [ends[0], *finite, ends[1]], [*shares, shares[-1]]
        axes.step(places, shares, where="post", color=color, label=self.label)
        axes.set_xlim(self.begin, self.end)


@checked
@dataclass(frozen=True)
class Line(Mark):
    """Values along an axis, without intervals, such as those of a law."""

    values: Mapping[int, float] | Mapping[float, float]
    marker: str = field(default="", kw_only=True)

    def draw(self, axes: Axes, color: str, dodge: float) -> None:
        looks = {"marker": self.marker, "ms": 2.6, "lw": 0.8}
        axes.plot([*self.values], [*self.values.values()], color=color, label=self.label, **looks)


@checked
@dataclass(frozen=True)
class Level(Mark):
    """A value that others are compared with, across the panel: a band if it has an interval."""

    value: float | Row
    axis: Literal["x", "y"] = field(default="y", kw_only=True)
    color: str = field(default=GRAY, kw_only=True)

    def draw(self, axes: Axes, color: str, dodge: float) -> None:
        one, across = self.value, self.axis == "y"
        if isinstance(one, Row):
            band = axes.axhspan if across else axes.axvspan
            band(one.low, one.high, color=color, alpha=0.25, lw=0, label=self.label)
        else:
            line = axes.axhline if across else axes.axvline
            line(one, color=color, lw=0.7, ls=":", label=self.label)


@checked
@dataclass(frozen=True)
class Matrix(Mark):
    """Numbers of pairs, in cells of a shade that goes from 0 to the largest.

    Undefined numbers have no shade, and a dash.
    """

    names: Sequence[str]
    values: Float[ndarray, "n n"]

    def draw(self, axes: Axes, color: str, dodge: float) -> None:
        axes.grid(visible=False)
        places, off = range(len(self.names)), ~np.eye(len(self.names), dtype=bool)
        values = np.where(off, self.values, np.nan)
        most = np.nanmax(np.abs(values), initial=0.01)
        axes.imshow(values, cmap="PuOr_r", vmin=-2 * most, vmax=2 * most, aspect="auto")
        for (i, j), value in np.ndenumerate(values):
            if i != j:
                told = "–" if np.isnan(value) else f"{value:.2f}".replace("0.", ".", 1)
                axes.text(j, i, told, ha="center", va="center", fontsize=6)
        turned = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
        axes.set_xticks(places, self.names, **turned)
        axes.set_yticks(places, self.names)
        axes.tick_params(length=0)


@checked
@dataclass(frozen=True)
class HeatMap(Mark):
    """Fractions by a row's name and a column's, in cells of a shade that goes from 0 to 1."""

    rows: Sequence[str]
    columns: Sequence[str]
    values: Float[ndarray, "row column"]

    def draw(self, axes: Axes, color: str, dodge: float) -> None:
        axes.grid(visible=False)
        axes.imshow(self.values, cmap="PuOr_r", vmin=-1, vmax=1, aspect="auto")
        for (i, j), value in np.ndenumerate(self.values):
            told = f"{value:.2f}".replace("0.", ".", 1)
            looks = {"color": "white" if value > PALE else "black", "fontsize": 6}
            axes.text(j, i, told, ha="center", va="center", **looks)
        axes.set_xticks(range(len(self.columns)), self.columns)
        axes.set_yticks(range(len(self.rows)), self.rows)
        axes.tick_params(length=0)


@checked
@dataclass(frozen=True)
class Panel:
    """Declare a panel: marks on two axes.

    `ticks` are those of the axis of places, and `limits` those of the values: by default from 0
    to 1, if all values and intervals are in there.

    Raises:
        ValueError: if there is no mark, no such scale, or a scale without its ticks.
    """

    marks: Sequence[Mark]
    _: KW_ONLY
    xlabel: str
    ylabel: str = "fraction deceptive"
    xscale: str = "linear"  # of SCALES
    yscale: Literal["linear", "log"] = "linear"
    ticks: Sequence[int] | Sequence[float] = ()
    ticklabels: Sequence[str] = ()
    limits: tuple[float | None, float | None] | None = None

    def __post_init__(self):
        if not self.marks:
            raise ValueError("marks is empty; allowed: at least one")
        if self.xscale not in SCALES:
            allowed = closest(self.xscale, SCALES)
            raise ValueError(f"xscale = {self.xscale!r}; allowed: {allowed}")
        if self.xscale == "symlog" and len(self.ticks) < 2:
            raise ValueError(f"ticks = {self.ticks!r}; allowed with symlog: 0 and some above it")

    @property
    def height(self) -> float:
        """The height of its row, in inches: names along the bottom and the legend take more."""
        least = 3.0 if any(isinstance(mark, Matrix) for mark in self.marks) else 2.3
        return least + 0.13 * sum(bool(mark.label) for mark in self.marks)

    def draw(self, axes: Axes) -> None:
        """Draw the marks, then the axes."""
        axes.grid(visible=True, axis="y")
        moved = sum(isinstance(mark, Curve | Forest) for mark in self.marks)
        axes.margins(x=0.05 + 0.015 * moved)  # else the first and the last would be cut
        if self.xscale == "symlog":
            axes.set_xscale("symlog", linthresh=self.ticks[1])
        elif self.xscale == "log":
            axes.set_xscale("log")
        axes.set_yscale(self.yscale)
        inks = itertools.cycle(INK)
        place = (1 - moved) / 2
        for mark in self.marks:
            mark.draw(axes, mark.color or next(inks), DODGE * place)
            place += isinstance(mark, Curve | Forest)
        if self.xscale == "symlog":
            end = max(self.ticks[-1], axes.dataLim.x1)  # ticks may end before
            axes.set_xlim(-0.3 * self.ticks[1], 1.5 * end)
        lies = any(isinstance(mark, Forest) for mark in self.marks)
        square = any(isinstance(mark, Matrix | HeatMap) for mark in self.marks)
        axes.set(xlabel=self.xlabel, ylabel="" if lies or square else self.ylabel)
        low, high = axes.dataLim.intervalx if lies else axes.dataLim.intervaly
        whole = low >= 0 and high <= 1 and self.yscale == "linear"
        limits = self.limits or (FRACTION if whole else (None, None))
        if not square:
            (axes.set_xlim if lies else axes.set_ylim)(*limits)
        if len(self.ticks):
            axes.set_xticks(self.ticks, self.ticklabels or [f"{tick:,g}" for tick in self.ticks])
            axes.minorticks_off()
        if any(mark.label for mark in self.marks):
            # Above the panel, beside its letter, where it covers nothing.
            beside = _moved(axes, axes.transAxes, LETTER, 0.0)
            place = {"loc": "lower left", "bbox_to_anchor": (0, 1), "bbox_transform": beside}
            axes.legend(**place, borderpad=0, borderaxespad=0.2)


def figure_of(panels: Iterable[Panel]) -> Figure:
    """Draw panels side by side, with letters, up to four in a row.

    Raises:
        ValueError: if there is none.
    """
    panels = [*panels]
    if not panels:
        raise ValueError("panels() gives none; allowed: at least one")
    rows = math.ceil(len(panels) / 4)
    figure = Figure(figsize=(FULL, rows * max(panel.height for panel in panels)))
    axes = list(figure.subplots(rows, math.ceil(len(panels) / rows), squeeze=False).flat)
    for rest in axes[len(panels) :]:
        rest.remove()
    for panel, one, letter in zip(panels, axes, string.ascii_lowercase, strict=False):
        one.set_title(letter, loc="left", fontweight="bold")
        panel.draw(one)
    return figure


def _move(axes: Axes, artists: Iterable[Artist], x: float, y: float) -> None:
    """Move what is drawn by points; the limits of the axes are those of the data."""
    for artist in artists:
        artist.set_transform(_moved(axes, axes.transData, x, y))


def _moved(axes: Axes, places: Transform, x: float, y: float) -> Transform:
    """Return a transform that also moves by points."""
    inches = cast(Figure, axes.get_figure()).dpi_scale_trans
    return places + ScaledTranslation(x / 72, y / 72, inches)
