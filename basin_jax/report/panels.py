"""Draw one panel of a figure of records, on any axes: curves, rows of cells, or the gap."""

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import polars as pl
from matplotlib.axes import Axes
from matplotlib.colors import is_color_like
from matplotlib.ticker import NullLocator
from matplotlib.transforms import ScaledTranslation
from numpy import ndarray

from basin_jax.core.verdict import Rule, Verdict
from basin_jax.report.tables import ORDER, occurring
from basin_jax.results.records import Records
from basin_jax.results.summary import EDGES
from basin_jax.rules.behavior import Behavior
from basin_jax.statistics.estimates import as_verdict


# From Okabe & Ito's palette, which the color-blind can tell apart; greys have their own markers.
LOOKS = {
    Verdict.DECEPTIVE: ("#d55e00", "o"),
    Verdict.PARTIAL: ("#e69f00", "P"),
    Verdict.INTENDED: ("#0072b2", "s"),
    Verdict.OTHER: ("#4d4d4d", "D"),
    Verdict.UNFIT: ("#858585", "^"),
    Verdict.DIVERGED: ("#a8988c", "X"),
    Verdict.ERROR: ("#000000", "*"),
}
COLORS = {verdict: color for verdict, (color, _) in LOOKS.items()}
GRID: Any = {"visible": True, "color": "#e4e4e4", "linewidth": 0.5}
# Below this an axis from 0 to 1 would hide the interval.
RARE = 0.1
DODGE = 6.0  # points between curves
ROWS = 200  # of a figure, beyond which cells are a heat map
Form = Literal["curves", "heat map", "one cell", "forest"]


class Selection:
    """The cells, verdicts and colors of a figure.

    Args:
        records: the records.
        of: the verdicts to show; those that occur, and DECEPTIVE, if None.
        order: the digests or the labels of the cells to show, in their order; all if None.
        palette: colors of verdicts, in place of their own.

    Raises:
        ValueError: if there is no such verdict or cell, or a color is none.
    """

    def __init__(
        self,
        records: Records,
        *,
        of: Sequence[Verdict | str | int] | None = None,
        order: Sequence[str] | None = None,
        palette: Mapping[Any, Any] | None = None,
    ):
        for argument, values in (("of", of), ("order", order)):
            if values is not None and not len(values):
                raise ValueError(f"{argument} is empty; allowed: at least one, or None for all")
        self.records = records
        cells = records.cells if order is None else [records.digest(one, "order") for one in order]
        self.cells = list(dict.fromkeys(cells))
        self.only = None if of is None else list(dict.fromkeys(map(as_verdict, of)))
        for verdict, color in (palette or {}).items():
            if not is_color_like(color):
                raise ValueError(
                    f"palette[{verdict!r}] = {color!r}; allowed: a color as Matplotlib names it"
                )
        given = {as_verdict(verdict): color for verdict, color in (palette or {}).items()}
        self.colors = {**COLORS, **given}

    @functools.cached_property
    def frame(self) -> pl.DataFrame:
        """The fractions of all cells."""
        return self.records.fractions()

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdicts that are shown."""
        return self.only or occurring(self.rows(*Verdict))

    def rows(self, *verdicts: Verdict) -> pl.DataFrame:
        """Return the fractions of some verdicts, in the order of the cells that are shown."""
        names = [verdict.name for verdict in verdicts]
        found = self.frame.filter(pl.col("verdict").is_in(names))
        return pl.DataFrame({"cell": self.cells}).join(found, on="cell", maintain_order="left")

    @property
    def fields(self) -> list[dict[str, Any]]:
        """The fields of the cells that are shown."""
        return [self.records.cells[cell] for cell in self.cells]

    @property
    def rare(self) -> bool:
        """Whether deception is so rare that it has an axis of its own."""
        return Verdict.DECEPTIVE in self.verdicts and _rare(self.rows(Verdict.DECEPTIVE))

    @property
    def positions(self) -> list[float] | None:
        """The values of the only field in which the cells differ, if they are numbers."""
        if len(self.records.varied) != 1 or len(self.cells) < 2:
            return None
        values = [fields.get(self.records.varied[0]) for fields in self.fields]
        kept = [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
        return kept if len(kept) == len(values) else None

    @property
    def form(self) -> Form:
        """How fractions are drawn."""
        if self.positions is not None:
            return "curves"
        if len(self.cells) > ROWS:
            return "heat map"
        return "one cell" if len(self.cells) == 1 and not self.rare else "forest"


def fractions(axes: Axes, selection: Selection) -> None:
    """Draw fractions on one axes; what is drawn is labeled for a legend.

    Raises:
        ValueError: if they need several axes.
    """
    form, verdicts = selection.form, selection.verdicts
    if form == "heat map":
        raise ValueError(
            f"ax is one axes, and {len(selection.cells):,} cells are heat maps; allowed: "
            f"ax=None, or an order of at most {ROWS}"
        )
    if form == "forest" and len(verdicts) > 1:
        names = ", ".join(verdict.name for verdict in verdicts)
        raise ValueError(
            f"ax is one axes, and rows of cells need one for each verdict; allowed: ax=None, or "
            f"of = one of {names}"
        )
    if form == "curves":
        curves(axes, selection, verdicts)
    elif form == "one cell":
        one_cell(axes, selection)
    else:
        forest(axes, selection, verdicts[0], [selection.records.label(c) for c in selection.cells])
        axes.set_xlabel(f"{axes.get_xlabel()} that are {verdicts[0].name}")


def gap_panel(
    axes: Axes,
    counts: Mapping[Verdict, ndarray],
    rule: Rule | None,
    *,
    only: Sequence[Verdict] | None = None,
    colors: Mapping[Verdict, Any] = COLORS,
) -> None:
    """Draw the gap in one cell (see `Records.gaps`), with the thresholds of `Behavior` in it.

    The bars of a bin stand behind each other, the lowest in front.
    """
    seeds = sum(part.sum() for part in counts.values())
    parts = {verdict: counts[verdict] for verdict in only or ORDER if verdict in counts}
    if isinstance(rule, Behavior):
        ends = rule.intended_gap, rule.deceptive_gap
        axes.axvspan(*ends, color="#eeeeee", lw=0, zorder=0)
        for end in ends:
            axes.axvline(end, color="#404040", lw=0.6, ls="--")
    middles, width = (EDGES[1:] + EDGES[:-1]) / 2, EDGES[1] - EDGES[0]
    for verdict, part in parts.items():
        heights = part / max(seeds, 1)
        looks = {"color": colors[verdict], "label": verdict.name}
        for bar in axes.bar(middles, heights, width, **looks):
            # All stand on 0, since on this axis what lies on another has no height of its own.
            bar.set_zorder(2 - bar.get_height())
    axes.set_xlim(-1.02, 1.02)
    axes.set_yscale("symlog", linthresh=0.02)
    axes.set_ylim(0, 1.2)
    axes.set_yticks([0, 0.01, 0.1, 1], ["0", ".01", ".1", "1"])
    axes.minorticks_off()
    axes.set_axisbelow(True)  # else its lines run over the bars
    axes.grid(axis="y", **GRID)


def dodge(i: int, curves: int) -> float:
    """Return how far a curve of several is moved to the right, in points."""
    return DODGE * (i - (curves - 1) / 2)


def curves(axes: Axes, selection: Selection, verdicts: Sequence[Verdict]) -> None:
    """Draw fractions along the number in which the cells differ."""
    positions = selection.positions
    assert positions is not None
    order = sorted(range(len(positions)), key=positions.__getitem__)
    places = [positions[i] for i in order]
    for i, verdict in enumerate(verdicts):
        rows, aside = selection.rows(verdict)[order], dodge(i, len(verdicts))
        _intervals(axes, places, rows, selection, verdict, aside=aside)
    axes.grid(axis="y", **GRID)
    _limit(axes, "y", selection.rows(*verdicts))
    _number_axis(axes, places)
    axes.set_xlabel(selection.records.varied[0].rpartition(".")[2], parse_math=False)


def one_cell(axes: Axes, selection: Selection) -> None:
    """Draw the fractions of one cell, a row for each verdict."""
    verdicts = selection.verdicts
    for i, verdict in enumerate(verdicts):
        _intervals(axes, [i], selection.rows(verdict), selection, verdict, flat=True)
    rows_of(axes, [verdict.name for verdict in verdicts])
    _limit(axes, "x", selection.rows(*verdicts))


def forest(axes: Axes, selection: Selection, verdict: Verdict, labels: Sequence[str]) -> None:
    """Draw the fractions of one verdict, a row for each cell."""
    rows = selection.rows(verdict)
    _intervals(axes, list(range(len(rows))), rows, selection, verdict, flat=True)
    rows_of(axes, labels)
    for i in _breaks(selection):
        axes.axhline(i - 0.5, color="#b0b0b0", lw=0.6)
    _limit(axes, "x", rows)


def _breaks(selection: Selection) -> list[int]:
    """Find the rows before which the field that varies most slowly changes."""
    slowest = selection.records.varied[:1]
    values = [[fields.get(path) for path in slowest] for fields in selection.fields]
    changes = [i for i in range(1, len(values)) if values[i] != values[i - 1]]
    return changes if len(changes) < len(values) - 1 else []


def _intervals(
    axes: Axes,
    places: Sequence[float | int],
    rows: pl.DataFrame,
    selection: Selection,
    verdict: Verdict,
    *,
    aside: float = 0.0,  # points
    flat: bool = False,  # fractions run to the right, rather than up
) -> None:
    color, marker = selection.colors[verdict], LOOKS[verdict][1]
    assert axes.figure is not None
    beside = axes.transData + ScaledTranslation(aside / 72, 0, axes.figure.dpi_scale_trans)
    draw = axes.hlines if flat else axes.vlines
    for low, high, width in (("low_all", "high_all", 0.7), ("low", "high", 2.4)):
        draw(places, rows[low], rows[high], color=color, lw=width, transform=beside)
    points = (rows["fraction"], places) if flat else (places, rows["fraction"])
    axes.plot(
        *points,
        linestyle="none" if flat else "-",
        lw=0.5,
        marker=marker,
        ms=2.6,
        mec="white",
        mew=0.3,
        color=color,
        label=verdict.name,
        transform=beside,
        clip_on=False,
        zorder=3,
    )


def rows_of(axes: Axes, labels: Sequence[str]) -> None:
    """Lay out rows with labels, the first at the top."""
    axes.set_yticks(range(len(labels)), labels, parse_math=False)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="both", **GRID)


def _rare(rows: pl.DataFrame) -> bool:
    return max(rows["high_all"]) < RARE


def _limit(axes: Axes, axis: Literal["x", "y"], rows: pl.DataFrame) -> None:
    """Scale the axis of fractions to 1, or to the largest upper limit if all are rare."""
    end = 1.1 * max(rows["high_all"]) if _rare(rows) else 1.0
    whose = "chosen seeds" if rows["sample"][0] == "chosen" else "seeds"
    name = "fraction (magnified)" if _rare(rows) else f"fraction of {whose}"
    axes.set(**{f"{axis}lim": (-0.03 * end, 1.03 * end), f"{axis}label": name})
    axes.locator_params(axis=axis, nbins=5)
    scale = axes.xaxis if axis == "x" else axes.yaxis
    scale.set_major_formatter(lambda value, _: f"{value:g}".replace("e-0", "e-"))


def _number_axis(axes: Axes, places: Sequence[float]) -> None:
    """Choose the scale of an axis for rising values; mark these if they are well apart."""
    log = places[0] > 0 and places[-1] / places[0] > 100
    along = [math.log(place) for place in places] if log else places
    length = along[-1] - along[0]
    ends = [along[0] - 0.06 * length, along[-1] + 0.06 * length]
    axes.set_xscale("log" if log else "linear")
    axes.set_xlim(*(map(math.exp, ends) if log else ends))
    if min(b - a for a, b in itertools.pairwise(along)) > length / 12:
        axes.set_xticks(places, [f"{place:g}" for place in places])
        axes.xaxis.set_minor_locator(NullLocator())
