"""Measure what several workers of one folder gain over one process.

    uv run python benchmarks/workers.py [--workers 2] [--rounds 3]

Each round trains the same seeds in new folders: in one process, in as many with a shard each, and
in as many without. The kernel and its lanes are cached beforehand. A ratio is the time of one
process over that of several.
"""

import os
import re
import statistics
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
from basin_jax.organisms import Audit
sweep = Sweep(organism=Audit(), method=Gradient(learning_rate=0.1), num_steps=1000)
"""
LOST = re.compile(r"([\d,]+) of the seeds trained here")


def train(file: Path, folder: Path, seeds: int, shards: list[str]) -> tuple[float, int]:
    """Train in a process for each shard (none: an empty text); return seconds, and seeds lost."""
    command = [sys.executable, "-m", "basin_jax", "run", str(file), "--out", str(folder)]
    command += ["--seeds", str(seeds), "--lanes", "64"]
    began = time.perf_counter()
    processes = [
        subprocess.Popen(
            command + (["--shard", shard] if shard else []),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ,
        )
        for shard in shards
    ]
    errors = [process.communicate()[1] for process in processes]
    took = time.perf_counter() - began
    if any(process.returncode for process in processes):
        raise SystemExit("\n".join(errors))
    lost = [int(found.replace(",", "")) for text in errors for found in LOST.findall(text)]
    return took, sum(lost)


def main(
    workers: Annotated[int, typer.Option(help="The number of workers.")] = 2,
    rounds: Annotated[int, typer.Option(help="The number of rounds.")] = 3,
    seeds: Annotated[int, typer.Option(help="The number of seeds.")] = 32768,
) -> None:
    """Measure one process, shards, and workers without a shard, in turns."""
    kinds = {
        "one process": [""],
        "shards": [f"{i}/{workers}" for i in range(workers)],
        "workers without a shard": [""] * workers,
    }
    times: dict[str, list[float]] = {name: [] for name in kinds}
    lost: dict[str, int] = dict.fromkeys(kinds, 0)
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "audit.py"
        file.write_text(SWEEP)
        train(file, Path(temporary) / "first", 128, [""])
        for number in range(rounds):
            for name, shards in kinds.items():
                took, more = train(file, Path(temporary) / f"{number} {name}", seeds, shards)
                times[name].append(took)
                lost[name] += more
    for name, taken in times.items():
        ratios = sorted(one / own for one, own in zip(times["one process"], taken, strict=True))
        print(
            f"{name}: {statistics.median(taken):.1f} s; one process / this "
            f"{statistics.median(ratios):.2f} [{ratios[0]:.2f}, {ratios[-1]:.2f}]; "
            f"seeds trained twice {lost[name] / (rounds * seeds):.1%}"
        )


if __name__ == "__main__":
    typer.run(main)
