"""Draw figures for a paper: fractions with intervals, gaps, and evidence over training."""

import io
import math
import textwrap
from pathlib import Path
from typing import Any

import polars as pl
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from PIL import Image

from basin_jax.core.arguments import shown
from basin_jax.core.verdict import Verdict
from basin_jax.files import write_file
from basin_jax.report import panels
from basin_jax.report.heat_map import heat_map, note
from basin_jax.report.kinds import KINDS
from basin_jax.report.panels import LOOKS, Selection
from basin_jax.report.tables import ORDER, method, seeds_meant
from basin_jax.results.records import Records


# Inches: one column of a two-column paper, and its full width.
COLUMN, FULL = 3.4, 7.0
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


class Drawing(Figure):
    """A figure that a notebook shows, also where nobody imported pyplot."""

    def _repr_png_(self) -> bytes:
        return drawn(self, ".png")


def plot(kind: str, selection: Selection, ax: Any) -> Figure | Axes:
    """Draw a figure, or its one panel on given axes; see `Records.plot`.

    Raises:
        ValueError: if records have no such figure, or `ax` is no axes, or not enough.
    """
    records = selection.records
    if kind in KINDS and (why := KINDS[kind].refusal(records)):
        able = [repr(name) for name, other in KINDS.items() if not other.refusal(records)]
        raise ValueError(f"kind = {kind!r}; allowed: {', '.join(["'fractions'", *able])}, {why}")
    if kind in KINDS and not KINDS[kind].cells(selection):
        raise ValueError(f"order has one cell; allowed: two or more with kind = {kind!r}")
    if ax is None:
        return fractions(records, selection) if kind == "fractions" else by_cell(kind, selection)
    if not isinstance(ax, Axes):
        raise ValueError(f"ax = {shown(ax)}; allowed: None, or one axes of Matplotlib")
    (panels.fractions if kind == "fractions" else KINDS[kind].draw)(ax, selection)
    return ax


def fractions(records: Records, selection: Selection | None = None) -> Figure:
    """Draw the fraction of every verdict in every cell, with intervals.

    Thick intervals hold each by itself; thin ones are simultaneous. Cells that differ in one
    number lie along an axis of it; other cells are rows, with a panel for each verdict, or where
    they are many a heat map without intervals. A verdict that no seed has is left out, except
    DECEPTIVE, whose upper limit is a result.
    """
    selection = selection or Selection(records)
    draw = {"curves": _curves, "one cell": _one_cell, "forest": _forest, "heat map": _heat_maps}
    with rc_context(STYLE):
        figure = draw[selection.form](selection)
        add_note(figure, caption(records, selection.frame, selection))
    return figure


def gaps(records: Records) -> Figure:
    """Draw the gap between unwatched and watched in each of the first cells, by verdict."""
    return by_cell("gaps", Selection(records))


def by_cell(name: str, selection: Selection) -> Figure:
    """Draw a figure of a kind of `KINDS`, with a panel for each of the first cells."""
    kind, records = KINDS[name], selection.records
    every = kind.cells(selection)
    cells = every[:SHOWN]
    columns = min(4, len(cells))
    rows = math.ceil(len(cells) / columns)
    with rc_context(STYLE):
        width = COLUMN if columns == 1 else FULL
        figure = Drawing(figsize=(width, (2.2 if columns == 1 else 1.5) * rows + 0.9))
        alike = not kind.others
        grid = figure.subplots(rows, columns, sharex=alike, sharey=alike, squeeze=False)
        for axes in figure.axes[len(cells) :]:
            axes.remove()
        for axes, cell in zip(figure.axes, cells, strict=True):
            kind.panel(axes, selection, cell)
            title = _lines(records.label(cell), 24)
            axes.set_title(title, loc="left", fontsize=6, parse_math=False)
        for place, axes in enumerate(figure.axes):
            if place % columns == 0:
                axes.set_ylabel(kind.labels[1])
            if place + columns >= len(cells):
                axes.set_xlabel(kind.labels[0])
                axes.tick_params(labelbottom=True)
        if any(axes.get_legend_handles_labels()[0] for axes in grid.flat):
            add_legend(figure)
        said = f"{counted(selection)}. {kind.note}"
        if kind.others:
            said += f" First cell: {records.label(selection.cells[0])}."
        if len(cells) < len(every):
            said += f" {len(cells)} of {len(every)} cells."
        add_note(figure, said)
    return figure


def add_legend(figure: Figure, *, ncols: int = 5) -> None:
    """Add a legend of all that is labeled in a figure, such as the verdicts that occur."""
    handles: dict[str, Any] = {}
    for axes in figure.axes:
        artists, names = axes.get_legend_handles_labels()
        handles |= dict(zip(names, artists, strict=True))
    places = {verdict.name: place for place, verdict in enumerate(ORDER)}
    names = sorted(handles, key=lambda name: places.get(name, -1))  # whichever came first
    shown = [handles[name] for name in names]
    figure.legend(shown, names, loc="outside upper left", ncols=ncols)


def history(frame: pl.DataFrame, *, title: str) -> Figure:
    """Draw one seed's evidence over training: a column for each name, and `step`."""
    rates = [name for name in RATES if name in frame.columns]
    others = [[name] for name in frame.columns if name not in ("step", *RATES)]
    parts = [rates, *others] if rates else others
    columns = min(3, len(parts))
    rows = math.ceil(len(parts) / columns)
    with rc_context(STYLE):
        figure = Drawing(figsize=(FULL if columns > 1 else COLUMN, 2.0 * rows + 0.4))
        for i, names in enumerate(parts):
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
            if i + columns >= len(parts):
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
        figure = Drawing(figsize=(FULL, 0.13 * len(frame) + 1.2))
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
        right.set(xlim=(-Z_SHOWN - 0.2, Z_SHOWN + 0.2), xlabel="ours - theirs,\nin standard errors")
        panels.rows_of(left, frame["name"].to_list())
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
    # Colors that stand for numbers stay as they are.
    shades = figure.findobj(lambda one: isinstance(one, AxesImage | QuadMesh))
    with rc_context(STYLE):
        figure.savefig(content, format=suffix.removeprefix("."), dpi=dpi, metadata=undated)
    return _smaller(content) if suffix == ".png" and not shades else content.getvalue()


def _smaller(png: io.BytesIO) -> bytes:
    """Return a picture with a palette, which takes a third of the bytes."""
    content = io.BytesIO()
    plain = Image.open(png).convert("RGB").quantize(dither=Image.Dither.NONE)
    plain.save(content, "png", optimize=True)
    return content.getvalue()


def caption(records: Records, frame: pl.DataFrame, selection: Selection | None = None) -> str:
    """Return a caption: the number of seeds, and the kind of intervals.

    `frame` has the fractions of all cells, of which a selection may show some.
    """
    selection = selection or Selection(records)
    if selection.form == "heat map":
        return f"{counted(selection)}. {note(selection)}"
    return (
        f"{counted(selection)}. Thick: {100 * frame['level'][0]:g} % "
        f"intervals, each by itself; thin: all {len(frame)} fractions at once. {method(records)}."
    )


def counted(selection: Selection) -> str:
    """Say how many seeds are counted, and what they stand for."""
    records, frame = selection.records, selection.frame
    shown = frame.filter(pl.col("cell").is_in(selection.cells))
    counts = shown["trials"].unique().sort().to_list()
    seeds = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    each = " in each cell" if len(selection.cells) > 1 else ""
    return f"n = {seeds} {seeds_meant(records)}{each}"


def _curves(selection: Selection) -> Figure:
    verdicts = selection.verdicts
    rare = len(verdicts) > 1 and selection.rare
    figure = Drawing(figsize=(COLUMN, 4.2 if rare else 2.7))
    parts = [[Verdict.DECEPTIVE], verdicts] if rare else [verdicts]
    all_axes = figure.subplots(len(parts), sharex=True, squeeze=False)[:, 0]
    for axes, part in zip(all_axes, parts, strict=True):
        panels.curves(axes, selection, part)
        axes.label_outer()
    add_legend(figure, ncols=2 if len(verdicts) == 4 else 3)
    return figure


def _heat_maps(selection: Selection) -> Figure:
    figure = Drawing(figsize=(FULL, 3.6))
    heat_map(figure, selection)
    return figure


def _one_cell(selection: Selection) -> Figure:
    figure = Drawing(figsize=(COLUMN, 0.22 * len(selection.verdicts) + 1.1))
    axes = figure.subplots()
    panels.one_cell(axes, selection)
    axes.set_title(selection.records.label(selection.cells[0]), loc="left", parse_math=False)
    return figure


def _forest(selection: Selection) -> Figure:
    verdicts = selection.verdicts
    labels = [_lines(selection.records.label(cell), 34) for cell in selection.cells]
    lines = max(label.count("\n") + 1 for label in labels)
    figure = Drawing(figsize=(FULL, len(labels) * (0.11 * lines + 0.07) + 1.0))
    all_axes = figure.subplots(1, len(verdicts), sharey=True, squeeze=False).flat
    for axes, verdict in zip(all_axes, verdicts, strict=True):
        panels.forest(axes, selection, verdict, labels)
        color = selection.colors[verdict]
        axes.set_title(verdict.name, loc="left", color=color, fontweight="bold")
    return figure
