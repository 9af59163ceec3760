"""Draw the fractions of many cells as a heat map, a panel for each verdict."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy import ndarray


TICKS = 10  # of an axis, at most
LETTERS = 24  # of a tick's label
NOTE = "Colors: fractions, in each panel up to its largest; fractions.csv has their intervals."


class Places(NamedTuple):
    """Where cells stand: the row and the column of each, and what these are of."""

    rows: ndarray
    columns: ndarray
    row_labels: list[str]
    column_labels: list[str]
    row_name: str
    column_name: str


def heat_map(
    figure: Figure,
    panels: Mapping[str, tuple[Any, pl.Series]],
    cells: Sequence[dict[str, Any]],
    varied: Sequence[str],
) -> None:
    """Draw panels, whose colors end at the largest fraction of each.

    Args:
        figure: the figure that is filled.
        panels: a color, and a fraction for each cell, by the title of the panel.
        cells: the fields of each cell.
        varied: the paths of the fields in which they differ.
    """
    places = _places(cells, varied)
    all_axes = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (title, (color, fractions)) in zip(all_axes, panels.items(), strict=True):
        values = np.full((len(places.row_labels), len(places.column_labels)), np.nan)
        values[places.rows, places.columns] = fractions.to_numpy()
        image = axes.imshow(
            values,
            cmap=LinearSegmentedColormap.from_list(title, ["#f4f4f4", color]),
            vmin=0,
            vmax=np.nanmax(np.append(fractions.to_numpy(), 1e-9)),
            aspect="auto",
            interpolation="nearest",
            origin="lower",
        )
        figure.colorbar(image, ax=axes, location="bottom", aspect=30)
        axes.set_title(title, loc="left", color=color, fontweight="bold")
        _ticks(axes, "x", places.column_labels)
        _ticks(axes, "y", places.row_labels)
        axes.set_xlabel(places.column_name, parse_math=False)
    all_axes[0].set_ylabel(places.row_name, parse_math=False)


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
        return Places(places // width, places % width, names, columns, name, "cells of a row")
    # The fields of a row: all but the one with the most values, so that rows are few.
    counts = {path: len({json.dumps(fields.get(path)) for fields in cells}) for path in paths}
    across = max(reversed(paths), key=counts.__getitem__)
    down = [path for path in paths if path != across]
    rows, columns = (_numbered(cells, which) for which in (down, [across]))
    names = [", ".join(path.rpartition(".")[2] for path in which) for which in (down, [across])]
    return Places(np.array(rows[0]), np.array(columns[0]), rows[1], columns[1], *names)


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
