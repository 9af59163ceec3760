"""Measure the time and the memory that reading the results of many seeds takes.

    uv run python benchmarks/results.py SEEDS [--folder DIR] [--out DIR]

Trains a `DoubleWell` from SEEDS seeds for ten steps, unless DIR has them, and then reads its folder
in ways that have a process each: what they import alone, `fractions`, the commands `report`,
`status` and `verify`, the run again, of which nothing is missing, the table of all rows, and that
table aggregated. Memory is the highest resident set of a process, imports included.

For 10^7 rows the last way is held against 5 s and 2 GB: the seconds of loading and aggregating,
without those of imports. `--out` writes a record.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from basin_jax.bench.record import versions


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
# As somebody does in a notebook, where everything has been imported.
AGGREGATE = f"""
{IMPORTS}
import sys, time, polars as pl
wall, cpu = time.perf_counter(), time.process_time()
rows = basin_jax.load(sys.argv[1]).frame
mean = pl.exclude("cell", "label", "seed", "verdict").mean()
found = rows.group_by("label", "verdict").agg(pl.len(), mean)
assert found["len"].sum() == len(rows)
print(time.perf_counter() - wall, time.process_time() - cpu)
"""
SECONDS, MEGABYTES, ROWS = 5.0, 2000.0, 10**7  # the aim


def measure(command: list[str]) -> tuple[float, float, float]:
    """Run a command; return its seconds, those of the CPU, and the MB of its highest memory.

    Of `AGGREGATE` the seconds are those that it prints.
    """
    began = time.perf_counter()
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as failed:
        process = subprocess.Popen([sys.executable, *command], stdout=said, stderr=failed)
        _, status, usage = os.wait4(process.pid, 0)
        took, cpu = time.perf_counter() - began, usage.ru_utime + usage.ru_stime
        said.seek(0)
        failed.seek(0)
        if status:
            raise SystemExit(failed.read().decode())
        if command[1] == AGGREGATE:
            took, cpu = map(float, said.read().split())
    unit = 1 if sys.platform == "darwin" else 1024
    return took, cpu, usage.ru_maxrss * unit / 1e6


def main(
    seeds: Annotated[int, typer.Argument(help="The number of seeds.")],
    folder: Annotated[
        Path | None, typer.Option(help="Where they are kept.  [default: nowhere]")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where a record is written.")] = None,
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
            "aggregate": ["-c", AGGREGATE, results],
        }
        size = sum(path.stat().st_size for path in (Path(results) / "data").iterdir())
        lines = [f"{seeds:,} seeds, {size / 1e6:,.1f} MB in files", ""]
        lines += ["| way | s | s of CPU | MB |", "|---|--:|--:|--:|"]
        print("\n".join(lines))
        measured = {}
        for name, command in ways.items():
            measured[name] = seconds, cpu, megabytes = measure(command)
            lines.append(f"| {name} | {seconds:.1f} | {cpu:.1f} | {megabytes:,.0f} |")
            print(lines[-1], flush=True)
        if seeds == ROWS:
            lines += ["", against_the_aim(*measured["aggregate"])]
            print("\n".join(lines[-2:]))
    if out is not None:
        out.mkdir(parents=True)
        (out / "table.md").write_text("\n".join([*lines, ""]))
        (out / "results.json").write_text(json.dumps(measured, indent=1) + "\n")
        (out / "versions.json").write_text(json.dumps(versions(), indent=1) + "\n")
        (out / "results.py.txt").write_text(Path(__file__).read_text())


def against_the_aim(seconds: float, cpu: float, megabytes: float) -> str:
    """Hold the last way against what it may take."""
    return (
        f"10^7 rows load and aggregate in {seconds:.1f} s ({cpu:.1f} s of CPU) within "
        f"{megabytes:,.0f} MB; the aim: {SECONDS:g} s and {MEGABYTES:,.0f} MB."
    )


if __name__ == "__main__":
    typer.run(main)
