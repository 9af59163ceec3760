"""A sweep that engines train by several workers, with one of them killed on the way."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from basin_jax.results.store import Store
from basin_jax.runs import committed
from basin_jax.runs.coordinator import coordinate
from basin_jax.runs.engines.contract import Engine, Reference
from basin_jax.runs.progress import Progress
from basin_jax.runs.sweepfile import SweepFile, load_sweep
from basin_jax.runs.workers import WorkerState, workers_of


SEEDS, WORKERS = 64 * 120, 2
# Workers commit many small chunks, slowly, so that there is time to kill one.
FILE = """
import sys
import time
import basin_jax.runs.chunk_size
from basin_jax import Sweep
from basin_jax.methods import Gradient
from basin_jax.organisms import DoubleWell
from basin_jax.results.store import Store

commit = Store.commit

def slow(*arguments):
    time.sleep(0.05)
    return commit(*arguments)

if "pytest" not in sys.modules:
    basin_jax.runs.chunk_size.CHUNK_SECONDS = 0.0
    Store.commit = slow
sweep = Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.1), num_steps=100)
"""


@dataclass
class Told(Progress):
    """Keep messages, and do something once, when workers have committed some chunks.

    Attributes:
        folder: of the results.
        act: what is done, given the workers.
    """

    folder: Path
    act: Callable[[list[WorkerState]], None]
    lines: tuple[str, ...] = ()
    acted: bool = False

    def tell(self, line):
        self.lines += (line,)

    def update(self, cells, current):
        workers = [state for state in workers_of(Store(self.folder)) if state.shard]
        if not self.acted and 0 < current.done < SEEDS:
            self.acted = True
            self.act(workers)


def kill_first(workers: list[WorkerState]) -> None:
    """Kill a worker."""
    os.kill(workers[0].process, signal.SIGKILL)


def written(folder: Path) -> tuple[SweepFile, Reference]:
    """Write the sweep's file beside a folder; return it, and what workers are told."""
    file = folder.parent / "well.py"
    file.write_text(FILE)
    reference = Reference(
        file=Path("well.py"),
        overrides=(),
        seeds=SEEDS,
        until=None,
        pilot=None,
        lanes=8,
        out=str(folder),
        directory=folder.parent,
    )
    return load_sweep(file), reference


def train(engine: Engine, folder: Path, act: Callable[[list[WorkerState]], None]) -> Told:
    """Train the sweep by the workers of an engine, and return what was told."""
    source, reference = written(folder)
    told = Told(folder, act)
    given = {"engine": engine, "workers": WORKERS, "progress": told}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(committed, "LIST_SECONDS", 0.1)
        coordinate(source.cells, source.rule, reference, **given)
    return told


def assert_same_as(alone: pl.DataFrame, folder: Path) -> None:
    """Compare the results of `train` with those of a run without an engine."""
    store = Store(folder)
    assert store.verify() == []
    assert store.frame().equals(alone)
    assert not any(worker.is_live for worker in workers_of(store))
    assert not list((folder / "staging").iterdir())
