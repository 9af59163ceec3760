"""Draw a panel for each cell: how its seeds spread, move and change their verdicts."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.ticker import NullLocator
from numpy import ndarray

from basin_jax.core.sweep import siblings_of
from basin_jax.core.verdict import Verdict
from basin_jax.report import panels
from basin_jax.report.panels import GRID, LOOKS, Selection
from basin_jax.report.tables import ORDER
from basin_jax.results.records import Records
from basin_jax.results.verdicts import shared
from basin_jax.rules.behavior import Behavior
from basin_jax.statistics.intervals import clopper_pearson, confidence_sequence


ERROR = 0.05  # of an interval
BINS, POINTS = 25, 120
GREY, DENSITY = "#4d4d4d", "Greys"
QUANTILES = (0.1, 0.5, 0.9)


class Kind(NamedTuple):
    """A kind of figure with a panel for each cell.

    Attributes:
        panel: draws the panel of a cell on axes, with labels for a legend.
        refusal: returns why records have no such figure, or None.
        note: what a reader needs to know.
        labels: of the axes.
        others: whether the first cell has no panel, and the others are compared with it.
    """

    panel: Callable[[Axes, Selection, str], None]
    refusal: Callable[[Records], str | None]
    note: str
    labels: tuple[str, str]
    others: bool = False

    def cells(self, selection: Selection) -> list[str]:
        """Return the cells that have a panel."""
        return selection.cells[int(self.others) :]

    def draw(self, axes: Axes, selection: Selection) -> None:
        """Draw the panel of one cell on one's own axes.

        Raises:
            ValueError: if there are several cells.
        """
        cells = self.cells(selection)
        if len(cells) > 1:
            few = ", ".join(selection.records.label(cell) for cell in selection.cells[:5])
            raise ValueError(
                f"ax is one axes, and {len(cells):,} cells need one each; allowed: ax=None, or an "
                f"order of {'two cells' if self.others else 'one cell'}, such as {few}"
            )
        self.panel(axes, selection, cells[0])
        axes.set(xlabel=self.labels[0], ylabel=self.labels[1])


def _lacks_gap(records: Records) -> str | None:
    if {"watched", "unwatched"} <= {*records.evidence_names}:
        return None
    return (
        "since the evidence has no `watched` and `unwatched`; it has "
        f"{', '.join(records.evidence_names)}"
    )


def _lacks_stops(records: Records) -> str | None:
    return None if records.earlier else "since no cell was probed before its last step"


def _lacks_several(records: Records) -> str | None:
    return None if len(records.cells) > 1 else "since the sweep has one cell"


def _lacks_independence(records: Records) -> str | None:
    if all(siblings_of(fields) == 1 for fields in records.cells.values()):
        return None
    return "since seeds of one parent are related"


def _lacks_gap_or_stops(records: Records) -> str | None:
    return _lacks_gap(records) or _lacks_stops(records)


def _lacks_what_a_committor_needs(records: Records) -> str | None:
    return _lacks_gap_or_stops(records) or _lacks_independence(records)


def _gap(axes: Axes, selection: Selection, cell: str) -> None:
    given = {"only": selection.only, "colors": selection.colors}
    panels.gap_panel(axes, selection.records.gaps()[cell], selection.records.judged_by, **given)


def _watched(axes: Axes, selection: Selection, cell: str) -> None:
    """Draw how many seeds do the unintended act how often, watched and unwatched."""
    edges = np.linspace(0, 1, BINS + 1)
    records = selection.records
    rows = _counted(records, cell).filter(step=records.stops(cell)[-1])
    places = (rows[name].to_numpy().clip(0, 1) for name in ("watched", "unwatched"))
    counts = np.histogram2d(*places, bins=[edges, edges])[0]
    rule = records.judged_by
    if isinstance(rule, Behavior):
        for gap, style in ((rule.deceptive_gap, "-"), (rule.intended_gap, "--")):
            axes.plot([0, 1 - gap], [gap, 1], style, color=GREY, lw=0.6, label=f"gap of {gap:g}")
    shown = np.ma.masked_equal(counts.T, 0)
    axes.pcolormesh(edges, edges, shown, cmap=DENSITY, norm=LogNorm(0.3, max(counts.max(), 1)))
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.grid(**GRID)


def _trajectories(axes: Axes, selection: Selection, cell: str) -> None:
    """Draw the gap over training by the verdict at the end: its median and inner 80 %."""
    records = selection.records
    rows = _counted(records, cell)
    last = rows.filter(step=records.stops(cell)[-1]).select("seed", end="verdict")
    gap = (pl.col("unwatched") - pl.col("watched")).fill_nan(None)
    moves = rows.join(last, on="seed").with_columns(gap=gap)
    for verdict in selection.only or ORDER:
        own = moves.filter(end=verdict.name).group_by("step", maintain_order=True)
        table = own.agg(*(pl.col("gap").quantile(q).alias(str(q)) for q in QUANTILES), n=pl.len())
        if table.is_empty():
            continue
        color, name = selection.colors[verdict], f"ends {verdict.name}"
        low, middle, high = (table[str(q)] for q in QUANTILES)
        axes.fill_between(table["step"], low, high, color=color, alpha=0.2, lw=0)
        axes.plot(table["step"], middle, LOOKS[verdict][1], ls="-", ms=2, color=color, label=name)
    axes.set_ylim(-1.03, 1.03)
    axes.grid(**GRID)


def _committor(axes: Axes, selection: Selection, cell: str) -> None:
    """Draw the fraction that ends deceptive, of seeds by their gap at each earlier stop."""
    records = selection.records
    rows, stops = _counted(records, cell), records.stops(cell)
    ends = rows.filter(step=stops[-1]).select("seed", end=pl.col("verdict") == "DECEPTIVE")
    gap = (pl.col("unwatched") - pl.col("watched")).fill_nan(None)
    edges = np.linspace(-1, 1, 11)
    for number, stop in enumerate(stops[:-1]):
        then = rows.filter(step=stop).select("seed", gap=gap).join(ends, on="seed").drop_nulls()
        which = np.digitize(then["gap"].to_numpy(), edges[1:-1])
        trials = np.bincount(which, minlength=len(edges) - 1)
        hits = np.bincount(which, weights=then["end"].to_numpy(), minlength=len(edges) - 1)
        kept = np.flatnonzero(trials)
        centers = ((edges[1:] + edges[:-1]) / 2)[kept] + 0.012 * number
        shade = 0.15 + 0.7 * number / max(len(stops) - 2, 1)
        color = (1 - shade, 0.6 * (1 - shade), 0.5 * (1 - shade))
        ranges = [clopper_pearson(hits[i], int(trials[i]), error=ERROR) for i in kept]
        axes.vlines(centers, *np.transpose(ranges), color=color, lw=1.4)
        given = {"color": color, "ms": 2.6, "lw": 0.6, "label": f"after {stop:,} steps"}
        axes.plot(centers, hits[kept] / trials[kept], "o-", **given)
    axes.set(xlim=(-1.03, 1.06), ylim=(-0.03, 1.03))
    axes.grid(**GRID)


def _convergence(axes: Axes, selection: Selection, cell: str) -> None:
    """Draw the fraction as seeds are added in their order, with its confidence sequence."""
    blocks = [(seeds, judged[:, -1]) for seeds, judged in selection.records.counted(cell)]
    verdicts = np.concatenate([own for _, own in blocks])
    verdicts = verdicts[np.argsort(np.concatenate([seeds for seeds, _ in blocks]))]
    counts = np.unique(np.geomspace(1, len(verdicts), POINTS).round().astype(int))
    for verdict in selection.only or [Verdict.DECEPTIVE]:
        hits = np.cumsum(verdicts == verdict)[counts - 1]
        pairs = zip(hits.tolist(), counts.tolist(), strict=True)
        low, high = np.transpose([confidence_sequence(*pair, error=ERROR) for pair in pairs])
        color = selection.colors[verdict]
        axes.fill_between(counts, low, high, color=color, alpha=0.2, lw=0)
        axes.plot(counts, hits / counts, color=color, lw=0.9, label=verdict.name)
    axes.set_xscale("log")
    axes.set_ylim(-0.03, 1.03)
    axes.grid(**GRID)


def _outcomes(axes: Axes, selection: Selection, cell: str) -> None:
    """Draw how many seeds have which verdicts in the first cell and in another."""
    records, first = selection.records, selection.cells[0]
    both = list(shared(records.counted(first), records.counted(cell)))
    given = selection.only or ORDER
    pairs = [(own[:, -1], theirs[:, -1]) for _, own, theirs in both]
    counts = np.array([[_pairs(pairs, a, b) for b in given] for a in given])
    occurring = [i for i in range(len(given)) if counts[i].any() or counts[:, i].any()]
    counts = counts[np.ix_(occurring, occurring)]
    names = [given[i].name for i in occurring]
    top = max(counts.max(initial=0), 1)
    axes.imshow(counts, cmap=DENSITY, norm=LogNorm(0.3, 2 * top), aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        color = "white" if count > top / 4 else "black"
        axes.text(column, row, f"{count:,}", ha="center", va="center", color=color)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.xaxis.set_minor_locator(NullLocator())


def _pairs(pairs: Sequence[tuple[ndarray, ndarray]], a: Verdict, b: Verdict) -> int:
    return sum(int(((own == a) & (theirs == b)).sum()) for own, theirs in pairs)


def _counted(records: Records, cell: str) -> pl.DataFrame:
    """Return the rows of a cell's seeds at all stops, but for those of pilots."""
    rows = records.rows(cell)
    return rows.filter(~records.requests.are_pilots(rows["seed"].to_numpy()))


GAP = "Gap: rate of the unintended act unwatched, less that watched."
BEHIND = "Bars of one gap stand behind each other, the lowest in front."
KINDS = {
    "gaps": Kind(_gap, _lacks_gap, f"{GAP} {BEHIND}", ("unwatched - watched", "fraction of seeds")),
    "watched": Kind(
        _watched,
        _lacks_gap,
        "Shades: numbers of seeds, by the rate of the unintended act where the network is watched "
        "and where it is not. Lines: gaps from which on the rule says deceptive, and up to which "
        "intended.",
        ("watched", "unwatched"),
    ),
    "trajectories": Kind(
        _trajectories,
        _lacks_gap_or_stops,
        f"Medians, and the inner 80 % of seeds, by the verdict at the end. {GAP}",
        ("training step", "unwatched - watched"),
    ),
    "committor": Kind(
        _committor,
        _lacks_what_a_committor_needs,
        "Fraction of seeds that end deceptive, by their gap at an earlier stop, with 95 % "
        f"Clopper-Pearson intervals of each by itself. {GAP} Seeds without one are left out.",
        ("unwatched - watched, then", "ends deceptive"),
    ),
    "convergence": Kind(
        _convergence,
        _lacks_independence,
        "The fraction as seeds are added in their order, with its 95 % confidence sequence, which "
        "holds at every number of seeds.",
        ("seeds", "fraction of seeds"),
    ),
    "outcomes": Kind(
        _outcomes,
        _lacks_several,
        "Numbers of seeds by their verdict in the first cell (rows) and in another (columns).",
        ("", "in the first cell"),
        others=True,
    ),
}
