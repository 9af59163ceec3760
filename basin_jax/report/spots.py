"""Spots of a figure: what it tells of the place that a reader points at."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy import ndarray

from basin_jax.core.sweep import siblings_of
from basin_jax.core.verdict import Verdict
from basin_jax.report.cells import Cell
from basin_jax.report.heat_map import places_of
from basin_jax.report.panels import Selection, dodge
from basin_jax.report.tables import ORDER, cell_name, numbers
from basin_jax.results.records import Records
from basin_jax.results.summary import EDGES
from basin_jax.statistics.estimates import estimate
from basin_jax.statistics.rows import interval_of


DECIMALS = 4  # of a place, as a share of a figure


class Spot(NamedTuple):
    """A place in a figure: a pointer on its axes is at the nearest one.

    Attributes:
        axes: the axes.
        x: where it is along them, in their data; None if that does not matter.
        y: the same, up.
        told: its numbers.
        dodge: how far it is moved to the right, in points.
    """

    axes: Axes
    x: float | None
    y: float | None
    told: str
    dodge: float = 0.0


def of_fractions(figure: Figure, selection: Selection, cells: Sequence[Cell]) -> Iterator[Spot]:
    """Yield the spots of a figure of fractions (see `figures.fractions`), given its cells."""
    if selection.form == "curves":
        yield from _of_curves(figure, selection, cells)
        return
    if selection.form == "one cell":
        for i in range(len(selection.verdicts)):
            yield Spot(figure.axes[0], None, i, _told(cells[0], i))
        return
    all_axes, places = figure.axes, [(None, row) for row in range(len(cells))]
    if selection.form == "heat map":
        all_axes = [axes for axes in all_axes if axes.get_images()]  # but for color bars
        grid = places_of(selection)
        places = list(zip(grid.columns.tolist(), grid.rows.tolist(), strict=True))
    for i, axes in enumerate(all_axes):
        for cell, (x, y) in zip(cells, places, strict=True):
            yield Spot(axes, x, y, _told(cell, i))


def _of_curves(figure: Figure, selection: Selection, cells: Sequence[Cell]) -> Iterator[Spot]:
    assert selection.positions is not None
    for axes in figure.axes:
        # What is rare has axes of its own, above those of all.
        shown = selection.verdicts if axes is figure.axes[-1] else [Verdict.DECEPTIVE]
        for i, verdict in enumerate(shown):
            fractions = selection.rows(verdict)["fraction"].to_list()
            aside, column = dodge(i, len(shown)), selection.verdicts.index(verdict)
            for cell, x, y in zip(cells, selection.positions, fractions, strict=True):
                if cell.shares[column].told:
                    yield Spot(axes, x, y, _told(cell, column), aside)


def _told(cell: Cell, column: int) -> str:
    share = cell.shares[column]
    many = "s" if len(share.seeds) > 1 else ""
    seeds = f"\nsuch as seed{many} {', '.join(share.seeds)}" if share.seeds else ""
    return f"{cell.name}\n{share.told or 'no seeds yet'}{seeds}"


def of_gaps(figure: Figure, records: Records) -> Iterator[Spot]:
    """Yield the spots of a figure of gaps (see `figures.gaps`), one for each bin of a cell."""
    # Some cells have no axes.
    for axes, (cell, gaps) in zip(figure.axes, records.gaps().items(), strict=False):
        for place, (low, high) in enumerate(itertools.pairwise(EDGES.tolist())):
            said = [cell_name(records, cell), f"gap {low:.2f} to {high:.2f}"]
            said += _bars(records, cell, place) or [f"none of {_trials(gaps):,}"]
            yield Spot(axes, (low + high) / 2, None, "\n".join(said))


def _bars(records: Records, cell: str, place: int) -> list[str]:
    """Tell the numbers of each verdict in a bin."""
    gaps, said = records.gaps()[cell], list[str]()
    for verdict in ORDER:
        hits = int(gaps[verdict][place]) if verdict in gaps else 0
        if hits:
            found = estimate(hits, _trials(gaps), interval=interval_of(records.interval))
            point, low, high = numbers(found.row())
            said.append(f"{verdict.name}: {hits:,} of {found.trials:,}, fraction {point};")
            if siblings_of(records.cells[cell]) == 1:  # else seeds are related
                said.append(f"{100 * found.level:g} % interval, this bar alone: {low} to {high}")
            said.append(f"such as seed {records.gap_examples()[cell][verdict][place]}")
    return said


def _trials(gaps: Mapping[Verdict, ndarray]) -> int:
    return sum(int(counts.sum()) for counts in gaps.values())


def located(figure: Figure, spots: Iterable[Spot]) -> list[list[Any]]:
    """Return where spots are in a figure that has been drawn, as shares from its upper left.

    Returns:
        For each run of spots of the same axes, the left, top, right and bottom end of these, and
        the place of each spot.
    """
    width, shares, whole = figure.get_figwidth(), figure.transFigure.inverted(), []
    for axes, own in itertools.groupby(spots, key=lambda spot: spot.axes):
        box, places = axes.get_position(), []
        for spot in own:
            x = axes.get_xlim()[0] if spot.x is None else spot.x
            y = axes.get_ylim()[0] if spot.y is None else spot.y
            x, y = shares.transform(axes.transData.transform((x, y)))
            across = None if spot.x is None else _rounded(x + spot.dodge / 72 / width)
            places.append([across, None if spot.y is None else _rounded(1 - y)])
        ends = map(_rounded, (box.x0, 1 - box.y1, box.x1, 1 - box.y0))
        whole.append([*ends, places])
    return whole


def _rounded(share: float) -> float:
    return round(float(share), DECIMALS)
