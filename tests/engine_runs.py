"""A sweep that engines train by several workers, with one of them killed on the way."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
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


SEEDS, WORKERS = 64 * 6, 2
SECONDS, AGAIN_SECONDS = 240, 20  # for a run to end
# Workers commit small chunks, and wait after each for what a test does meanwhile, or to be stopped.
FILE = """
import signal
import sys
import time
from pathlib import Path
import basin_jax.runs.chunk_size
from basin_jax import Sweep
from basin_jax.methods import Gradient
from basin_jax.organisms import DoubleWell
from basin_jax.results.store import Store

commit, go = Store.commit, Path(__file__).with_name("go")

def waiting(*given, **named):
    won, end = commit(*given, **named), time.monotonic() + 60
    stop = signal.getsignal(signal.SIGTERM).__self__
    while not go.exists() and stop.signum is None and time.monotonic() < end:
        time.sleep(0.05)
    return won

if "pytest" not in sys.modules:
    basin_jax.runs.chunk_size.CHUNK_SECONDS = 0.0
    Store.commit = waiting
sweep = Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.1), num_steps=100)
"""


@dataclass
class Told(Progress):
    """Keep messages, and do something when workers have committed a chunk; then they go on.

    Attributes:
        folder: of the results.
        act: what is done, given the workers.
        then: what is done, too, when one of them starts again.
    """

    folder: Path
    act: Callable[[list[WorkerState]], None]
    then: Callable[[], None] | None
    lines: tuple[str, ...] = ()
    acted: bool = False

    def tell(self, line):
        self.lines += (line,)
        if self.then is not None and line.endswith("starts again"):
            self.then()
            self.then = None
            self._go()

    def update(self, cells, current):
        workers = [state for state in workers_of(Store(self.folder)) if state.shard]
        if not self.acted and 0 < current.done < SEEDS:
            self.acted = True
            self.act(workers)
            if self.then is None:
                self._go()

    def _go(self):
        (self.folder.parent / "go").touch()


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


def train(
    engine: Engine,
    folder: Path,
    act: Callable[[list[WorkerState]], None],
    then: Callable[[], None] | None = None,
    **changed: bool,
) -> Told:
    """Train the sweep by the workers of an engine, and return what was told.

    What workers are told may be changed.
    """
    source, reference = written(folder)
    told = Told(folder, act, then)
    given = {"engine": engine, "workers": WORKERS, "progress": told}
    with pytest.MonkeyPatch.context() as patch, bounded():
        patch.setattr(committed, "LIST_SECONDS", 0.1)
        coordinate(source.cells, source.rule, replace(reference, **changed), **given)
    return told


@contextmanager
def bounded() -> Iterator[None]:
    """Raise `TimeoutError` in whatever waits too long, and again where an engine then waits."""

    def late(signum, frame):
        raise TimeoutError(f"a run of {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, SECONDS, AGAIN_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def assert_same_as(alone: pl.DataFrame, folder: Path) -> None:
    """Compare the results of `train` with those of a run without an engine."""
    store = Store(folder)
    assert store.verify() == []
    assert store.frame().equals(alone)
    assert not any(worker.is_live for worker in workers_of(store))
    assert not list((folder / "staging").iterdir())
