"""The figures of a record: every peer under the machine's ceilings, and scaling."""

import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from basin_jax.bench.measure import BANDWIDTH, CEILING
from basin_jax.bench.report import Row
from basin_jax.bench.scaling import BATCH, LANES, NUM_STEPS, SECONDS, SEEDS, TRIES, WIDTH
from basin_jax.bench.timing import OURS
from basin_jax.report.figures import FULL, STYLE


# From Okabe & Ito's palette, as in `plots`; ours is the only filled circle of its color.
LOOKS = {
    OURS: ("#d55e00", "o"),
    "plain vmap, our organism": ("#56b4e9", "v"),
    "plain vmap": ("#0072b2", "s"),
    "plain vmap, 1,024 seeds": ("#4d4d4d", "D"),
    "torch.func vmap": ("#009e73", "^"),
    "PyTorch loop": ("#cc79a7", "X"),
}
BACKENDS = {"cpu": ("#d55e00", "o", "-"), "xla": ("#0072b2", "s", "--")}
HELD = {"seeds": SEEDS, "lanes": LANES, "width": WIDTH}
NAMES = {
    "seeds": "seeds in a run",
    "lanes": "lanes",
    "width": "width of the hidden layers",
    "devices": "devices",
}


def roofline(results: dict[str, Any], rows: Sequence[Row]) -> Figure:
    """Draw the model FLOP/s of every peer on every case, below the machine's ceilings."""
    compute = max(row.speed or 0 for row in rows if row.case == CEILING)
    bandwidth = max(row.speed or 0 for row in rows if row.case == BANDWIDTH)
    cases = list(results["flop"])
    with rc_context(STYLE):
        figure = Figure(figsize=(FULL, 0.27 * len(cases) + 1.6))
        axes = figure.subplots()
        axes.set_xscale("log")
        axes.axvspan(compute, 1e9, color="#eeeeee", lw=0)
        axes.axvline(compute, color="#404040", lw=0.8)
        for place, case in enumerate(cases):
            streamed = bandwidth * results["flop"][case] / results["state_bytes"][case]
            axes.vlines(streamed, place - 0.38, place + 0.38, color="#404040", lw=1.4, zorder=2)
            shown = [row for row in rows if row.case == case and row.gflops]
            ends = [row.gflops or 0 for row in shown]
            axes.hlines(place, min(ends), max(ends), color="#d0d0d0", lw=0.8, zorder=1)
            for row in shown:
                color, marker = LOOKS[row.peer]
                axes.plot(
                    *([row.gflops or 0], [place]),
                    marker=marker,
                    ms=5.5 if row.peer == OURS else 4,
                    mec="white",
                    mew=0.4,
                    color=color,
                    zorder=4 if row.peer == OURS else 3,
                )
            ours = next(row for row in shown if row.peer == OURS)
            said = f"{ours.share:.0%}"
            place_of = {"xytext": (0, 5), "textcoords": "offset points", "ha": "center"}
            axes.annotate(said, (ours.gflops or 0, place), color=LOOKS[OURS][0], **place_of)
        _finish(axes, cases, rows, compute, bandwidth, results)
        _legend(figure, {row.peer for row in rows})
        note = (
            "Model FLOP: those of the matrix products alone. Line: the largest product rate "
            f"of this machine, {compute:,.0f} GFLOP/s; the percentages are our shares of it. "
            "Bars: as fast as a case could be if parameters and optimizer went from memory and "
            f"back at each step, at {bandwidth:,.0f} GB/s. Medians over "
            f"{results['settings']['rounds']} rounds."
        )
        note = textwrap.fill(note, 150)
        figure.supxlabel(note, fontsize=6, color="#404040", x=0.02, ha="left")
    return figure


def _finish(
    axes: Axes,
    cases: Sequence[str],
    rows: Sequence[Row],
    compute: float,
    bandwidth: float,
    results: dict[str, Any],
) -> None:
    lowest = min(row.gflops for row in rows if row.gflops)
    streams = [bandwidth * results["flop"][c] / results["state_bytes"][c] for c in cases]
    axes.set_xlim(lowest / 1.6, 1.6 * max(compute, *streams))
    axes.set_yticks(range(len(cases)), cases)
    axes.set_ylim(len(cases) - 0.4, -0.7)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=True, axis="x")
    axes.set_axisbelow(True)
    axes.set_xlabel("model GFLOP/s")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _legend(figure: Figure, shown: set[str]) -> None:
    handles = [
        Line2D([], [], ls="none", marker=marker, color=color, ms=4, mec="white", mew=0.4)
        for peer, (color, marker) in LOOKS.items()
        if peer in shown
    ]
    names = [peer for peer in LOOKS if peer in shown]
    roofs = (
        Line2D([], [], color="#404040", lw=0.8),
        Line2D([], [], ls="none", marker="|", color="#404040", ms=6, mew=1.4),
    )
    figure.legend(
        [*handles, *roofs],
        [*names, "roof: matrix products", "roof: state through memory"],
        loc="outside upper left",
        ncols=4,
        handlelength=1.5,
    )


def growth(points: Sequence[dict[str, Any]]) -> Figure:
    """Draw the points of `scaling`: speed against seeds, lanes, width and devices."""
    with rc_context(STYLE):
        figure = Figure(figsize=(FULL, 2.5))
        panels = figure.subplots(1, len(NAMES), sharey=True)
        for axes, axis in zip(panels, NAMES, strict=True):
            values = sorted({point["value"] for point in points if point["axis"] == axis})
            for backend, (color, marker, line) in BACKENDS.items():
                along = [p for p in points if (p["axis"], p["backend"]) == (axis, backend)]
                axes.plot(
                    [point["value"] for point in along],
                    [point["speed"] for point in along],
                    line,
                    marker=marker,
                    ms=3.5,
                    mec="white",
                    mew=0.4,
                    color=color,
                    label=backend,
                )
            axes.set(xscale="log", yscale="log", xlabel=NAMES[axis])
            axes.set_xticks(values, [f"{value:,}" for value in values])
            axes.xaxis.set_minor_locator(NullLocator())
            axes.grid(visible=True)
            # All devices, the last of the values, are where the others were measured.
            axes.axvline(HELD.get(axis, values[-1]), color="#a0a0a0", lw=0.9, zorder=0)
        panels[0].set_ylabel("seed-steps/s")
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper left", ncols=2)
        note = (
            f"MLP 16-W-W-2 on batches of {BATCH}, SGD. Where it does not vary (grey): "
            f"{SEEDS:,} seeds of {NUM_STEPS} steps, {LANES} lanes, "
            f"W = {WIDTH}, all devices. Each point is the better of {TRIES} "
            f"measurements of at least {SECONDS} s."
        )
        figure.supxlabel(textwrap.fill(note, 150), fontsize=6, color="#404040", x=0.02, ha="left")
    return figure
