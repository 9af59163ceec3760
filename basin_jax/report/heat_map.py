"""Draw the fractions of many cells as a heat map, a panel for each verdict."""

import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy import ndarray

from basin_jax.core.verdict import Verdict
from basin_jax.report.panels import Selection


TICKS = 10  # of an axis, at most
LETTERS = 24  # of a tick's label
HALF = 0.5
NOTE = "Colors: fractions, in each panel up to its largest; fractions.csv has their intervals."
LINE = "Line: between cells on either side of one half."


class Places(NamedTuple):
    """Where cells stand: the row and the column of each, and what these are of.

    Attributes:
        grid: whether neighbors differ in what the axes say; else rows are one long row.
    """

    rows: ndarray
    columns: ndarray
    row_labels: list[str]
    column_labels: list[str]
    row_name: str
    column_name: str
    grid: bool = True

    def spread(self, values: ndarray) -> Float[ndarray, "row column"]:
        """Return a value for each cell as rows and columns, NaN where there is no cell."""
        found = np.full((len(self.row_labels), len(self.column_labels)), np.nan)
        found[self.rows, self.columns] = values
        return found


def heat_map(figure: Figure, selection: Selection) -> None:
    """Draw a panel for each verdict, whose colors end at its largest fraction.

    A line runs between neighbors of which one has a fraction of at least one half.
    """
    places = places_of(selection)
    all_axes = figure.subplots(1, len(selection.verdicts), sharex=True, sharey=True, squeeze=False)
    for axes, verdict in zip(all_axes[0], selection.verdicts, strict=True):
        color, values = selection.colors[verdict], _fractions(places, selection, verdict)
        image = axes.imshow(
            values,
            cmap=LinearSegmentedColormap.from_list(verdict.name, ["#f4f4f4", color]),
            vmin=0,
            vmax=np.nanmax(np.append(values, 1e-9)),
            aspect="auto",
            interpolation="nearest",
            origin="lower",
        )
        # Cased, since it runs over pale and dark cells.
        looks = {
            "colors": "black",
            "lw": 1.0,
            "path_effects": [withStroke(linewidth=2.2, foreground="white")],
        }
        axes.add_collection(LineCollection(_half_line(places, values), **looks), autolim=False)
        figure.colorbar(image, ax=axes, location="bottom", aspect=30)
        axes.set_title(verdict.name, loc="left", color=color, fontweight="bold")
        _ticks(axes, "x", places.column_labels)
        _ticks(axes, "y", places.row_labels)
        axes.set_xlabel(places.column_name, parse_math=False)
    all_axes[0, 0].set_ylabel(places.row_name, parse_math=False)


def note(selection: Selection) -> str:
    """Say what the colors are, and the line if some panel has one."""
    places = places_of(selection)
    lines = (_half_line(places, _fractions(places, selection, one)) for one in selection.verdicts)
    return f"{NOTE} {LINE}" if any(lines) else NOTE


def _fractions(places: Places, selection: Selection, verdict: Verdict) -> ndarray:
    return places.spread(selection.rows(verdict)["fraction"].to_numpy())


def _half_line(places: Places, values: ndarray) -> list[ndarray]:
    """Return the edges between neighbors on either side of one half, as pairs of points."""
    if not places.grid:
        return []
    known, above = np.isfinite(values), values >= HALF
    across = (above[:, 1:] != above[:, :-1]) & known[:, 1:] & known[:, :-1]
    down = (above[1:] != above[:-1]) & known[1:] & known[:-1]
    upright = [np.array([(x + 0.5, y - 0.5), (x + 0.5, y + 0.5)]) for y, x in np.argwhere(across)]
    level = [np.array([(x - 0.5, y + 0.5), (x + 0.5, y + 0.5)]) for y, x in np.argwhere(down)]
    return upright + level


def places_of(selection: Selection) -> Places:
    """Place the cells that are shown."""
    return _places(selection.fields, selection.records.varied)


def _places(cells: Sequence[dict[str, Any]], paths: Sequence[str]) -> Places:
    """Place cells by the field that varies fastest, and by all others.

    Where there is only one field, cells follow each other in rows.
    """
    if len(paths) < 2:
        width = math.ceil(len(cells) ** 0.5)
        places = np.arange(len(cells))
        names = [_text(_values(fields, paths)) for fields in cells[::width]]
        columns = [f"+{i}" for i in range(width)]
        name = paths[0].rpartition(".")[2] if paths else "cell"
        return Places(
            places // width, places % width, names, columns, name, "cells of a row", grid=False
        )
    # The fields of a row: all but the one with the most values, so that rows are few.
    counts = {path: len({json.dumps(fields.get(path)) for fields in cells}) for path in paths}
    across = max(reversed(paths), key=counts.__getitem__)
    down = [path for path in paths if path != across]
    rows, columns = (_numbered(cells, which) for which in (down, [across]))
    name, other = (
        ", ".join(path.rpartition(".")[2] for path in which) for which in (down, [across])
    )
    return Places(np.array(rows[0]), np.array(columns[0]), rows[1], columns[1], name, other)


def _numbered(cells: Sequence[dict[str, Any]], paths: Sequence[str]) -> tuple[list[int], list[str]]:
    """Number the values of some fields, numbers in rising order; return them as text, too."""
    values = {json.dumps(found): found for cell in cells if (found := _values(cell, paths))}
    keys = list(values)
    if all(type(one) in (int, float) for found in values.values() for one in found):
        keys.sort(key=values.__getitem__)
    number = {key: i for i, key in enumerate(keys)}
    labels = [_text(values[key]) for key in keys]
    return [number[json.dumps(_values(cell, paths))] for cell in cells], labels


def _values(fields: dict[str, Any], paths: Sequence[str]) -> list[Any]:
    return [fields.get(path) for path in paths]


def _text(values: Sequence[Any]) -> str:
    said = ", ".join(f"{v:.4g}" if isinstance(v, float) else str(v) for v in values)
    return said if len(said) <= LETTERS else f"{said[: LETTERS - 1]}…"


def _ticks(axes: Axes, which: str, labels: Sequence[str]) -> None:
    step = math.ceil(len(labels) / TICKS)
    axis = axes.xaxis if which == "x" else axes.yaxis
    rotation = 90 if which == "x" else 0
    axis.set_ticks(range(0, len(labels), step), labels[::step], rotation=rotation)
