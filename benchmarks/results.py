"""Measure the time and the memory that reading the results of many seeds takes.

    uv run python benchmarks/results.py SEEDS [--folder DIR]

Trains a `DoubleWell` from SEEDS seeds for ten steps, unless DIR has them, and then reads its folder
in ways that have a process each: what they import alone, `fractions`, the commands `report`,
`status` and `verify`, the run again, of which nothing is missing, and the table of all rows. Memory
is the highest resident set of a process, imports included.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer


SWEEP = """
from basin_jax import Sweep
from basin_jax.methods import Gradient
from basin_jax.organisms import DoubleWell
sweep = Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.3), num_steps=10)
"""
IMPORTS = (
    "import jax, polars, matplotlib.figure; import basin_jax.cli.sweeps, basin_jax.report.page"
)
LOAD = "import sys, basin_jax; basin_jax.load(sys.argv[1])"


def measure(command: list[str]) -> tuple[float, float, float]:
    """Run a command; return its seconds, those of the CPU, and the MB of its highest memory."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(said.decode())
    unit = 1 if sys.platform == "darwin" else 1024
    took, cpu = time.perf_counter() - began, usage.ru_utime + usage.ru_stime
    return took, cpu, usage.ru_maxrss * unit / 1e6


def main(
    seeds: Annotated[int, typer.Argument(help="The number of seeds.")],
    folder: Annotated[
        Path | None, typer.Option(help="Where they are kept.  [default: nowhere]")
    ] = None,
) -> None:
    """Measure each way to read the results of some seeds."""
    with tempfile.TemporaryDirectory() as temporary:
        results = str(folder or Path(temporary) / "wells")
        file = Path(temporary) / "wells.py"
        file.write_text(SWEEP)
        ours = ["-m", "basin_jax"]
        run = [*ours, "run", str(file), "--seeds", str(seeds), "--out", results]
        measure(run)
        ways = {
            "imports": ["-c", IMPORTS],
            "fractions": ["-c", f"{LOAD}.fractions()", results],
            "report": [*ours, "report", results],
            "status": [*ours, "status", results],
            "verify": [*ours, "verify", results],
            "run again": run,
            "all rows": ["-c", f"{LOAD}.frame", results],  # last, since they may not fit
        }
        size = sum(path.stat().st_size for path in (Path(results) / "data").iterdir())
        print(f"{seeds:,} seeds, {size / 1e6:,.1f} MB in files")
        for name, command in ways.items():
            seconds, cpu, megabytes = measure(command)
            print(f"{name}: {seconds:.1f} s ({cpu:.1f} s of CPU), {megabytes:,.0f} MB", flush=True)


if __name__ == "__main__":
    typer.run(main)
