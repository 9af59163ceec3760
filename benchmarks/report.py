"""The table of a run, and its folder of records."""

import dataclasses
import importlib.metadata
import json
import os
import platform
import re
import subprocess
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import jax
from rich.box import SIMPLE
from rich.table import Column, Table


HERE = Path(__file__).parent
OURS = "basin_jax"
CEILING = "ceiling"
TORCH_PEERS = ("torch.func vmap", "PyTorch loop")
PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "torch")
HEADINGS = ("case", "peer", "seed-steps/s", "ours / peer", "GFLOP/s", "ceiling", "compile", "")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """What is said of one peer on one case: medians over rounds, extremes in brackets."""

    case: str
    peer: str
    speed: float | None = None  # seed-steps a second; None where it is not installed
    ratio: tuple[float, float, float] | None = None  # of ours to it: median, least, most
    gflops: float | None = None
    share: float | None = None  # of the ceiling
    compile_seconds: float | None = None
    note: str = ""

    def cells(self) -> tuple[str, ...]:
        """Return the row as text."""
        if self.speed is None:
            return (self.case, self.peer, self.note, "", "", "", "", "")
        # Three digits, whether it is a few per cent or a factor of a hundred.
        ratio = "" if self.ratio is None else "{:.3g} [{:.3g}, {:.3g}]".format(*self.ratio)
        return (
            self.case,
            self.peer,
            "" if self.case == CEILING else f"{self.speed:,.0f}",
            ratio,
            f"{self.gflops:.1f}",
            "" if self.case == CEILING else f"{self.share:.0%}",
            "" if self.compile_seconds is None else f"{self.compile_seconds:.1f} s",
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
        speeds, flop = timed["speeds"], results["flop"].get(case, 1)
        ratio = None
        if case != CEILING and peer != OURS:
            ratios = [a / b for a, b in zip(best[case, OURS]["speeds"], speeds, strict=True)]
            ratio = median(ratios), min(ratios), max(ratios)
        rows.append(
            Row(
                case=case,
                peer=peer,
                speed=median(speeds),
                ratio=ratio,
                gflops=median(speeds) * flop / 1e9,
                share=median(s * flop / r for s, r in zip(speeds, roof, strict=True)),
                compile_seconds=timed["compile_seconds"],
                note=timed["note"],
            )
        )
    return rows + _missing(rows)


def _missing(rows: list[Row]) -> list[Row]:
    shown = {(row.case, row.peer) for row in rows}
    cases = dict.fromkeys(row.case for row in rows if row.case != CEILING)
    return [
        Row(case=case, peer=peer, note="not installed")
        for case in cases
        for peer in TORCH_PEERS
        if (case, peer) not in shown
    ]


def table(rows: list[Row]) -> Table:
    """Return the table for a terminal."""
    shown = Table(*(Column(heading, no_wrap=True) for heading in HEADINGS), box=SIMPLE)
    for row in rows:
        shown.add_row(*row.cells())
    return shown


def markdown(rows: list[Row]) -> str:
    """Return the table for a file."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *(row.cells() for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def record_folder() -> Path:
    """Return the folder of today's record of this kind of device."""
    kind = jax.local_devices()[0].device_kind
    device = f"cpu-{os.cpu_count()}" if kind == "cpu" else re.sub(r"\W+", "-", kind.lower())
    return HERE / "records" / f"{date.today().isoformat()}_{device}_throughput"


def write(folder: Path, results: dict[str, Any], rows: list[Row]) -> None:
    """Write all raw rounds, the table, the versions, and the code that measured."""
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "table.md").write_text(markdown(rows))
    (folder / "versions.json").write_text(json.dumps(versions(), indent=1) + "\n")
    for file in sorted(HERE.glob("*.py")):
        # Not as .py, or the checks of the code would find it.
        (folder / f"{file.name}.txt").write_text(file.read_text())


def versions() -> dict[str, Any]:
    """Return what the numbers hang on besides the code."""
    return {
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "device": jax.local_devices()[0].device_kind,
        "devices": len(jax.local_devices()),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        # A flag that names a file says nothing of the speed, and where the machine keeps it.
        "XLA_FLAGS": [flag for flag in os.environ.get("XLA_FLAGS", "").split() if "/" not in flag],
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain")),
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=HERE, capture_output=True, text=True)
    return done.stdout.strip()
