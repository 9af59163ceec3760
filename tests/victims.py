"""Processes that tests kill: each does one thing with a folder of results."""

import os
from pathlib import Path

import basin_jax.runs.chunk_size
from basin_jax import Sweep, load, run
from basin_jax.methods import Gradient
from basin_jax.organisms import DoubleWell
from basin_jax.report.page import write_report


def sweep() -> Sweep:
    """Return a cheap sweep."""
    return Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.1), num_steps=100)


def train(folder: Path, seeds: int, cache: Path) -> None:
    """Train seeds in many small chunks, so that a random moment is often that of a commit."""
    os.environ["XDG_CACHE_HOME"] = str(cache)
    basin_jax.runs.chunk_size.CHUNK_SECONDS = 0.0
    run(sweep(), seeds, folder, lanes=8, progress=False)


def tune(folder: Path, seeds: int, cache: Path) -> None:
    """Measure the lanes, and train seeds."""
    os.environ["XDG_CACHE_HOME"] = str(cache)
    run(sweep(), seeds, folder, progress=False)


def report(folder: Path) -> None:
    """Write the report of a folder."""
    write_report(load(folder))
