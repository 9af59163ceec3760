"""Draw figures for a paper: fractions with intervals, gaps, and evidence over training."""

import io
import itertools
import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import polars as pl
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from matplotlib.transforms import ScaledTranslation
from numpy import ndarray

from basin_jax.core.verdict import Rule, Verdict
from basin_jax.files import write_file
from basin_jax.report.heat_map import NOTE, heat_map
from basin_jax.report.tables import ORDER, method, occurring, seeds_meant
from basin_jax.results.records import Records
from basin_jax.results.summary import EDGES
from basin_jax.rules.behavior import Behavior


# Inches: one column of a two-column paper, and its full width.
COLUMN, FULL = 3.4, 7.0
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
RATES = {
    "unwatched": ("#d55e00", "-"),
    "watched": ("#0072b2", "-"),
    "competence": ("#009e73", "--"),
    "fit": ("#4d4d4d", ":"),
}
# Standard errors: of a 95 % interval, and as far as a deviation is drawn.
Z_95, Z_SHOWN = 1.96, 5.0
PIXELS = 60_000
SHOWN = 12  # cells in a figure of gaps
ROWS = 200  # of a figure, beyond which cells are a heat map
# Below this an axis from 0 to 1 would hide the interval.
RARE = 0.1
STYLE: Any = {
    "axes.edgecolor": "#404040",
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 8,
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",  # comes with Matplotlib, so that every machine draws alike
    "font.size": 7,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.5,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 1.5,
    "lines.linewidth": 1.0,
    "pdf.fonttype": 42,
    "xtick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.labelsize": 7,
    "ytick.major.width": 0.6,
}


def fractions(records: Records) -> Figure:
    """Draw the fraction of every verdict in every cell, with intervals.

    Thick intervals hold each by itself; thin ones are simultaneous. Cells that differ in one
    number lie along an axis of it; other cells are rows, with a panel for each verdict, or where
    they are many a heat map without intervals. A verdict that no seed has is left out, except
    DECEPTIVE, whose upper limit is a result.
    """
    frame = records.fractions()
    with rc_context(STYLE):
        positions = _positions(records)
        if positions is not None:
            figure = _curves(records, frame, positions)
        elif len(records.cells) > ROWS:
            shown = {v.name: (LOOKS[v][0], _of(frame, v)["fraction"]) for v in occurring(frame)}
            figure = heat_map(records, shown, width=FULL)
        elif len(records.cells) == 1 and not _rare(_of(frame, Verdict.DECEPTIVE)):
            figure = _one_cell(records, frame)
        else:
            figure = _forest(records, frame)
        add_note(figure, caption(records, frame))
    return figure


def gaps(records: Records) -> Figure:
    """Draw the gap between unwatched and watched in each of the first cells, by verdict."""
    cells = list(records.cells)[:SHOWN]
    columns = min(4, len(cells))
    rows = math.ceil(len(cells) / columns)
    with rc_context(STYLE):
        width = COLUMN if columns == 1 else FULL
        figure = Figure(figsize=(width, 1.4 * rows + 0.8))
        figure.subplots(rows, columns, sharex=True, sharey=True)
        for axes in figure.axes[len(cells) :]:
            axes.remove()
        counts = records.gaps()
        for axes, cell in zip(figure.axes, cells, strict=True):
            gap_panel(axes, counts[cell], records.judged_by)
            title = _lines(records.label(cell), 24)
            axes.set_title(title, loc="left", fontsize=6, parse_math=False)
        add_legend(figure)
        note = "Gap: rate of the unintended act unwatched, less that watched."
        if len(cells) < len(records.cells):
            note += f" The first {len(cells)} of {len(records.cells)} cells."
        add_note(figure, note)
    return figure


def gap_panel(axes: Axes, counts: Mapping[Verdict, ndarray], rule: Rule | None) -> None:
    """Draw the gap in one cell (see `Records.gaps`), with the thresholds of `Behavior` in it."""
    parts = {verdict: counts[verdict] for verdict in ORDER if verdict in counts}
    seeds = sum(part.sum() for part in parts.values())
    if isinstance(rule, Behavior):
        ends = rule.intended_gap, rule.deceptive_gap
        axes.axvspan(*ends, color="#eeeeee", lw=0, zorder=0)
        for end in ends:
            axes.axvline(end, color="#404040", lw=0.6, ls="--")
    if parts:  # none where all seeds are a pilot's
        axes.hist(
            [(EDGES[1:] + EDGES[:-1]) / 2] * len(parts),
            bins=EDGES.tolist(),
            weights=[part / seeds for part in parts.values()],
            color=[LOOKS[verdict][0] for verdict in parts],
            label=[verdict.name for verdict in parts],
            stacked=True,
        )
    axes.set_xlim(-1.02, 1.02)
    axes.set_yscale("symlog", linthresh=0.02)
    axes.set_ylim(0, 1.2)
    axes.set_yticks([0, 0.01, 0.1, 1], ["0", ".01", ".1", "1"])
    axes.minorticks_off()
    axes.grid(visible=True, axis="y")


def add_legend(figure: Figure, *, ncols: int = 5) -> None:
    """Add a legend of all that is labeled in a figure, such as the verdicts that occur."""
    handles: dict[str, Any] = {}
    for axes in figure.axes:
        artists, names = axes.get_legend_handles_labels()
        handles |= dict(zip(names, artists, strict=True))
    figure.legend(handles.values(), handles, loc="outside upper left", ncols=ncols)


def history(frame: pl.DataFrame, *, title: str) -> Figure:
    """Draw one seed's evidence over training: a column for each name, and `step`."""
    rates = [name for name in RATES if name in frame.columns]
    others = [[name] for name in frame.columns if name not in ("step", *RATES)]
    panels = [rates, *others] if rates else others
    columns = min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    with rc_context(STYLE):
        figure = Figure(figsize=(FULL if columns > 1 else COLUMN, 2.0 * rows + 0.4))
        for i, names in enumerate(panels):
            axes = figure.add_subplot(rows, columns, i + 1)
            for name in names:
                color, style = RATES.get(name, ("#303030", "-"))
                axes.plot(frame["step"], frame[name], style, color=color, label=name)
            if names == rates:
                axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderpad=0)
            else:
                axes.set_title(names[0], loc="left", parse_math=False)
            if names == ["margin"]:
                axes.axhline(0, color=LOOKS[Verdict.DECEPTIVE][0], lw=0.6, ls="--")
            if i + columns >= len(panels):
                axes.set_xlabel("training step")
            axes.grid(visible=True)
            axes.margins(x=0.02)
        figure.suptitle(title, fontsize=8, x=0.02, ha="left", parse_math=False)
    return figure


def agreement(frame: pl.DataFrame) -> Figure:
    """Draw the frame of `known_answers.by_kind` as a forest plot: fractions and differences."""
    places = range(len(frame))
    colors = [LOOKS[Verdict.INTENDED if ok else Verdict.DECEPTIVE][0] for ok in frame["agrees"]]
    with rc_context(STYLE):
        figure = Figure(figsize=(FULL, 0.13 * len(frame) + 1.2))
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        left.hlines(places, frame["theirs_low"], frame["theirs_high"], color="#858585", lw=2.4)
        left.plot(frame["theirs"], places, "o", ms=4.5, mfc="white", mec="#4d4d4d", mew=0.8)
        left.hlines(places, frame["low"], frame["high"], color=colors, lw=0.8, zorder=3)
        left.scatter(frame["fraction"], places, s=5, c=colors, zorder=3)
        left.set(xlim=(-0.03, 1.03), xlabel="fraction of seeds")
        right.axvspan(-Z_95, Z_95, color="#eeeeee", lw=0)
        right.axvline(0, color="#858585", lw=0.6)
        shown = frame["z"].clip(-Z_SHOWN, Z_SHOWN)
        right.hlines(places, 0, shown, color=colors, lw=0.8)
        right.scatter(shown, places, s=7, c=colors, zorder=3)
        right.set(xlim=(-Z_SHOWN - 0.2, Z_SHOWN + 0.2), xlabel="ours - theirs, in standard errors")
        _rows(left, frame["name"].to_list())
        right.grid(visible=True, axis="x")
        right.tick_params(axis="y", length=0)
        right.set_xticks([-4, -2, 0, 2, 4])
        end = 0
        for (kind,), rows in frame.group_by("kind", maintain_order=True):
            middle, end = end + (len(rows) - 1) / 2, end + len(rows)
            beside = right.get_yaxis_transform()
            right.text(1.02, middle, str(kind), transform=beside, rotation=-90, va="center")
            for axes in (left, right):
                axes.axhline(end - 0.5, color="#858585", lw=0.6)
        add_note(
            figure,
            "Circles: theirs, with a 95 % interval where it was counted. Dots: ours, with a 99.9 % "
            "interval. Shaded: where 95 of 100 differences lie if both are one fraction.",
        )
    return figure


def add_note(figure: Figure, text: str) -> None:
    """Write a note below a figure, broken into lines of its width."""
    note = _lines(text, 70 if figure.get_figwidth() < FULL else 150, most=12)
    figure.supxlabel(note, fontsize=6, color="#404040", x=0.02, ha="left", parse_math=False)


def _lines(text: str, width: int, *, most: int = 4) -> str:
    """Break a text into lines, and shorten it if it would leave no space for the figure."""
    return textwrap.fill(text, width, max_lines=most, placeholder=" …")


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the path's suffix, reproducibly and whole."""
    write_file(path, drawn(figure, path.suffix))


def drawn(figure: Figure, suffix: str) -> bytes:
    """Draw a figure in the format of a suffix, such as ".png", reproducibly."""
    # Matplotlib draws no picture of more pixels than this on a side.
    dpi = min(200.0, PIXELS / max(figure.get_size_inches()))
    undated = {"CreationDate": None} if suffix == ".pdf" else None
    content = io.BytesIO()
    with rc_context(STYLE):
        figure.savefig(content, format=suffix.removeprefix("."), dpi=dpi, metadata=undated)
    return content.getvalue()


def caption(records: Records, frame: pl.DataFrame) -> str:
    """Return a caption: the number of seeds, and the kind of intervals."""
    counts = frame["trials"].unique().sort().to_list()
    seeds = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    each = " in each cell" if len(records.cells) > 1 else ""
    if len(records.cells) > ROWS and _positions(records) is None:
        return f"n = {seeds} {seeds_meant(records)}{each}. {NOTE}"
    return (
        f"n = {seeds} {seeds_meant(records)}{each}. Thick: {100 * frame['level'][0]:g} % "
        f"intervals, each by itself; thin: all {len(frame)} fractions at once. {method(records)}."
    )


def _positions(records: Records) -> Sequence[float] | None:
    """Return the values of the only field in which the cells differ, if there is one."""
    if len(records.varied) != 1:
        return None
    values = [fields.get(records.varied[0]) for fields in records.cells.values()]
    kept = [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    return kept if len(kept) == len(values) else None


def _curves(records: Records, frame: pl.DataFrame, positions: Sequence[float]) -> Figure:
    verdicts = occurring(frame)
    rare = len(verdicts) > 1 and _rare(_of(frame, Verdict.DECEPTIVE))
    figure = Figure(figsize=(COLUMN, 4.2 if rare else 2.7))
    panels = [verdicts[:1], verdicts] if rare else [verdicts]
    order = sorted(range(len(positions)), key=positions.__getitem__)
    places = [positions[i] for i in order]
    all_axes = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for axes, shown in zip(all_axes, panels, strict=True):
        for i, verdict in enumerate(shown):
            rows = _of(frame, verdict)[order]
            _intervals(axes, places, rows, verdict, dodge=6 * (i - (len(shown) - 1) / 2))
        axes.grid(visible=True, axis="y")
        _limit(axes, "y", _of(frame, *shown))
    last = all_axes[-1]
    _number_axis(last, places)
    last.set_xlabel(records.varied[0].rpartition(".")[2], parse_math=False)
    add_legend(figure, ncols=3)
    return figure


def _one_cell(records: Records, frame: pl.DataFrame) -> Figure:
    verdicts = occurring(frame)
    figure = Figure(figsize=(COLUMN, 0.22 * len(verdicts) + 1.1))
    axes = figure.subplots()
    for i, verdict in enumerate(verdicts):
        _intervals(axes, [i], _of(frame, verdict), verdict, flat=True)
    _rows(axes, [verdict.name for verdict in verdicts])
    _limit(axes, "x", _of(frame, *verdicts))
    axes.set_title(records.label(next(iter(records.cells))), loc="left", parse_math=False)
    return figure


def _forest(records: Records, frame: pl.DataFrame) -> Figure:
    verdicts = occurring(frame)
    labels = [_lines(records.label(cell), 34) for cell in records.cells]
    lines = max(label.count("\n") + 1 for label in labels)
    figure = Figure(figsize=(FULL, len(labels) * (0.11 * lines + 0.07) + 1.0))
    panels = figure.subplots(1, len(verdicts), sharey=True, squeeze=False).flat
    for axes, verdict in zip(panels, verdicts, strict=True):
        rows = _of(frame, verdict)
        _intervals(axes, list(range(len(rows))), rows, verdict, flat=True)
        _rows(axes, labels)
        for i in _breaks(records):
            axes.axhline(i - 0.5, color="#b0b0b0", lw=0.6)
        _limit(axes, "x", rows)
        axes.set_title(verdict.name, loc="left", color=LOOKS[verdict][0], fontweight="bold")
    return figure


def _breaks(records: Records) -> list[int]:
    """Find the rows before which the field that varies most slowly changes."""
    slowest = records.varied[:1]
    values = [[fields.get(path) for path in slowest] for fields in records.cells.values()]
    changes = [i for i in range(1, len(values)) if values[i] != values[i - 1]]
    return changes if len(changes) < len(values) - 1 else []


def _of(frame: pl.DataFrame, *verdicts: Verdict) -> pl.DataFrame:
    return frame.filter(pl.col("verdict").is_in([verdict.name for verdict in verdicts]))


def _intervals(
    axes: Axes,
    places: Sequence[float | int],
    rows: pl.DataFrame,
    verdict: Verdict,
    *,
    dodge: float = 0.0,  # points
    flat: bool = False,  # fractions run to the right, rather than up
) -> None:
    color, marker = LOOKS[verdict]
    assert axes.figure is not None
    beside = axes.transData + ScaledTranslation(dodge / 72, 0, axes.figure.dpi_scale_trans)
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


def _rows(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), labels, parse_math=False)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=True, axis="both")


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
