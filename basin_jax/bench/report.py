"""The rows of a run, and their tables."""

import dataclasses
from collections.abc import Collection
from statistics import median
from typing import Any

from rich.table import Table as RichTable

from basin_jax.bench.cases import GRID, PENDULUM, RUN
from basin_jax.bench.engine import STOPPING
from basin_jax.bench.measure import BANDWIDTH, CEILING
from basin_jax.bench.pendulum import PUBLISHED, TRIALS
from basin_jax.bench.timing import OURS
from basin_jax.report.render import Group, Line, Table
from basin_jax.statistics.estimates import estimate


TORCH_PEERS = ("torch.func vmap", "PyTorch loop")
# What a speed counts a second, and how many of it the row shows as one.
UNITS = {
    CEILING: ("GFLOP/s", 1e9),
    BANDWIDTH: ("GB/s", 1e9),
    PENDULUM: ("points/s", 1.0),
    **{case: ("seeds/s", 1.0) for case in (*STOPPING, GRID, RUN)},
}
TRAINING = ("seed-steps/s", 1.0)
SPEEDS = ("speed", "ours / peer", "GFLOP/s", "ceiling")
HEADINGS = ("case", "peer", *SPEEDS, "compile", "memory", "")
RUN_HEADINGS = ("whole run", "a seed", "peak memory")
BASIN_HEADINGS = ("case", "counted by", "limit cycle", "of", "fraction [95 %]")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """The result of one peer on one case: medians over rounds, extremes in brackets."""

    case: str
    peer: str
    speed: float | None = None  # in its unit; None where it is not installed
    unit: str = ""
    ratio: tuple[float, float, float] | None = None  # of ours to it: median, least, most
    gflops: float | None = None
    share: float | None = None  # of the ceiling
    compile_seconds: float | None = None
    peak_bytes: int | None = None
    note: str = ""

    def cells(self) -> tuple[str, ...]:
        """Format the row."""
        if self.speed is None:
            return (self.case, self.peer, self.note, *[""] * (len(HEADINGS) - 3))
        digits = 1 if self.unit.startswith("G") else 0
        # Three digits, whether it is a few per cent or a factor of a hundred.
        ratio = self.ratio and "{:.3g} [{:.3g}, {:.3g}]".format(*self.ratio)
        memory = self.peak_bytes and f"{self.peak_bytes / 1e6:.1f} MB"
        return (
            self.case,
            self.peer,
            f"{self.speed:,.{digits}f} {self.unit}",
            ratio or "",
            "" if self.gflops is None else f"{self.gflops:.1f}",
            "" if self.share is None else f"{self.share:.0%}",
            "" if self.compile_seconds is None else f"{self.compile_seconds:.1f} s",
            memory or "",
            self.note,
        )


def summarize(results: dict[str, Any]) -> list[Row]:
    """Return a row for each ceiling and for each peer of each case, at its best."""
    best: dict[tuple[str, str], dict[str, Any]] = {}
    for timed in sorted(results["timed"], key=lambda timed: -median(timed["speeds"])):
        best.setdefault((timed["case"], timed["peer"]), timed)
    # The fastest ceiling is the roof; shares and ratios are taken within each round.
    roof = next(timed["speeds"] for (case, _), timed in best.items() if case == CEILING)
    rows = []
    for case, peer in dict.fromkeys((timed["case"], timed["peer"]) for timed in results["timed"]):
        timed = best[case, peer]
        speeds, flop = timed["speeds"], results["flop"].get(case)
        unit, size = UNITS.get(case, TRAINING)
        ratio = gflops = share = None
        if (case, OURS) in best and peer != OURS:
            ratios = [a / b for a, b in zip(best[case, OURS]["speeds"], speeds, strict=True)]
            ratio = median(ratios), min(ratios), max(ratios)
        if flop is not None:
            gflops = median(speeds) * flop / 1e9
            share = median(s * flop / r for s, r in zip(speeds, roof, strict=True))
        rows.append(
            Row(
                case=case,
                peer=peer,
                speed=median(speeds) / size,
                unit=unit,
                ratio=ratio,
                gflops=gflops,
                share=share,
                compile_seconds=timed["compile_seconds"],
                peak_bytes=timed["peak_bytes"],
                note=timed["note"],
            )
        )
    return rows + (_missing(rows, results["flop"]) if results["settings"]["peers"] else [])


def _missing(rows: list[Row], networks: Collection[str]) -> list[Row]:
    shown = {(row.case, row.peer) for row in rows}
    peers = dict.fromkeys(networks, TORCH_PEERS) | {PENDULUM: ("pybasin",)}
    return [
        Row(case=case, peer=peer, note="not installed")
        for case in dict.fromkeys(row.case for row in rows)
        for peer in peers.get(case, ())
        if (case, peer) not in shown
    ]


def basins(results: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the counts of initial conditions in the limit cycle, as text."""
    published = {"case": PENDULUM, "peer": "pybasin's case study"}
    theirs = [published | estimate(PUBLISHED, TRIALS).row()] if results["basins"] else []
    return [
        (
            found["case"],
            found["peer"],
            str(found["hits"]),
            f"{found['trials']:,}",
            f"{found['fraction']:.4f} [{found['low']:.4f}, {found['high']:.4f}]",
        )
        for found in [*results["basins"], *theirs]
    ]


def runs(results: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the cost of a seed in runs of different sizes, as text."""
    return [
        (
            f"{run['seeds']:,} seeds",
            f"{run['seconds'] / run['seeds'] * 1e6:.1f} µs",
            f"{run['peak_bytes'] / 1e6:,.0f} MB",
        )
        for run in results["runs"]
    ]


def _tables(results: dict[str, Any], rows: list[Row]) -> list[Table]:
    content = {
        HEADINGS: [row.cells() for row in rows],
        BASIN_HEADINGS: basins(results),
        RUN_HEADINGS: runs(results),
    }
    return [
        Table(head=head, groups=[Group([Line(cells) for cells in lines])])
        for head, lines in content.items()
        if lines
    ]


def text_tables(results: dict[str, Any], rows: list[Row]) -> list[RichTable]:
    """Return the tables for a terminal."""
    return [table.rich() for table in _tables(results, rows)]


def markdown(results: dict[str, Any], rows: list[Row]) -> str:
    """Return the tables for a file."""
    return "\n\n".join(table.markdown() for table in _tables(results, rows)) + "\n"
