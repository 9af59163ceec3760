"""The figures of a record: every peer under the machine's ceilings, and scaling."""

from collections.abc import Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from basin_jax.bench.measure import BANDWIDTH, CEILING
from basin_jax.bench.report import Row
from basin_jax.bench.scaling import BATCH, LANES, NUM_STEPS, SECONDS, SEEDS, TRIES, WIDTH
from basin_jax.bench.timing import OURS
from basin_jax.report.figures import FULL, STYLE, add_legend, add_note


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
    compute, bandwidth = (
        max(row.speed or 0 for row in rows if row.case == roof) for roof in (CEILING, BANDWIDTH)
    )
    places = {case: place for place, case in enumerate(results["flop"])}
    streams = [bandwidth * results["flop"][c] / results["state_bytes"][c] for c in places]
    points = [(row, row.gflops, places[row.case]) for row in rows if row.gflops]
    with rc_context(STYLE):
        figure = Figure(figsize=(FULL, 0.27 * len(places) + 1.6))
        axes = figure.subplots()
        axes.axvspan(compute, 1e9, color="#eeeeee", lw=0)
        axes.axvline(compute, color="#404040", lw=0.8, label="roof: matrix products")
        bar: Any = {"marker": "|", "ms": 11, "mew": 1.4, "color": "#404040", "ls": "none"}
        axes.plot(streams, range(len(places)), label="roof: state through memory", **bar)
        for place in places.values():
            speeds = [speed for _, speed, at in points if at == place]
            axes.hlines(place, min(speeds), max(speeds), color="#d0d0d0", lw=0.8, zorder=1)
        for peer, (color, marker) in LOOKS.items():
            look: Any = {"marker": marker, "color": color, "mec": "white", "mew": 0.4, "ls": "none"}
            look |= {"ms": 5.5, "zorder": 4} if peer == OURS else {"ms": 4, "zorder": 3}
            along = [(speed, place) for row, speed, place in points if row.peer == peer]
            if along:
                axes.plot(*zip(*along, strict=True), label=peer, **look)
        for row, speed, place in points:
            if row.peer == OURS:
                above: Any = {"xytext": (0, 5), "textcoords": "offset points", "ha": "center"}
                axes.annotate(f"{row.share:.0%}", (speed, place), color=LOOKS[OURS][0], **above)
        axes.set(xscale="log", xlabel="model GFLOP/s", ylim=(len(places) - 0.4, -0.7))
        lowest = min(speed for _, speed, _ in points)
        axes.set_xlim(lowest / 1.6, 1.6 * max(compute, *streams))
        axes.set_yticks(range(len(places)), list(places))
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=True, axis="x")
        axes.set_axisbelow(True)
        axes.xaxis.set_major_formatter("{x:g}")
        add_legend(figure, ncols=4)
        add_note(
            figure,
            "Model FLOP: those of the matrix products alone. Line: the largest product rate "
            f"of this machine, {compute:,.0f} GFLOP/s; the percentages are our shares of it. "
            "Bars: as fast as a case could be if parameters and optimizer went from memory and "
            f"back at each step, at {bandwidth:,.0f} GB/s. Medians over "
            f"{results['settings']['rounds']} rounds.",
        )
    return figure


def growth(points: Sequence[dict[str, Any]]) -> Figure:
    """Draw the points of `scaling`: speed against seeds, lanes, width and devices."""
    with rc_context(STYLE):
        figure = Figure(figsize=(FULL, 2.5))
        panels = figure.subplots(1, len(NAMES), sharey=True)
        for axes, axis in zip(panels, NAMES, strict=True):
            values = sorted({point["value"] for point in points if point["axis"] == axis})
            for backend, (color, marker, line) in BACKENDS.items():
                along = [p for p in points if (p["axis"], p["backend"]) == (axis, backend)]
                x, y = ([point[name] for point in along] for name in ("value", "speed"))
                look: Any = {"marker": marker, "ms": 3.5, "mec": "white", "mew": 0.4}
                axes.plot(x, y, line, color=color, label=backend, **look)
            axes.set(xscale="log", yscale="log", xlabel=NAMES[axis])
            axes.set_xticks(values, [f"{value:,}" for value in values])
            axes.xaxis.set_minor_locator(NullLocator())
            axes.grid(visible=True)
            # All devices, the last of the values, are where the others were measured.
            axes.axvline(HELD.get(axis, values[-1]), color="#a0a0a0", lw=0.9, zorder=0)
        panels[0].set_ylabel("seed-steps/s")
        add_legend(figure)
        add_note(
            figure,
            f"MLP 16-W-W-2 on batches of {BATCH}, SGD. Where it does not vary (grey): "
            f"{SEEDS:,} seeds of {NUM_STEPS} steps, {LANES} lanes, "
            f"W = {WIDTH}, all devices. Each point is the better of {TRIES} "
            f"measurements of at least {SECONDS} s.",
        )
    return figure
