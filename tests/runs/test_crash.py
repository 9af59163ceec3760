"""A run may be stopped at any moment: nothing committed is lost, broken or stored twice."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from basin_jax import Sweep, run
from basin_jax.methods import Gradient
from basin_jax.organisms import DoubleWell
from basin_jax.results.store import Store
from basin_jax.runs.progress import Progress
from basin_jax.runs.training import Interrupted


# A sweep of many small chunks, so that a random moment is often that of a commit.
RUN = """
import sys
import basin_jax.runs.chunk_size
from basin_jax import Sweep, run
from basin_jax.methods import Gradient
from basin_jax.organisms import DoubleWell
basin_jax.runs.chunk_size.CHUNK_SECONDS = float(sys.argv[3])
sweep = Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.1), num_steps=100)
run(sweep, int(sys.argv[2]), sys.argv[1], lanes=8)
"""
SEEDS = 64 * 3000


def start(folder: Path, seeds: int = SEEDS, chunk: str = "0.0") -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(folder), str(seeds), chunk], stderr=subprocess.PIPE
    )


def wait_for_commits(store: Store, process: subprocess.Popen[bytes], more: int) -> int:
    """Wait until some chunks more are committed, or the run has ended."""
    before = len(store.chunks())
    while process.poll() is None and len(store.chunks()) < before + more:
        time.sleep(0.005)
    return len(store.chunks())


@pytest.mark.ci
def test_a_signal_commits_what_was_trained(tmp_path):
    signum = signal.SIGTERM  # SIGINT is sent to the command
    process = start(tmp_path, SEEDS)
    store = Store(tmp_path)
    committed = wait_for_commits(store, process, more=1)
    process.send_signal(signum)
    _, errors = process.communicate(timeout=60)
    assert b"interrupted by " + signum.name.encode() in errors
    assert committed <= len(store.chunks()) < SEEDS // 64
    assert store.verify() == []
    assert not list((store.folder / "staging").iterdir())


def test_a_signal_keeps_the_other_cells_from_starting(tmp_path):
    class Impatient(Progress):
        def update(self, cells, current):
            os.kill(os.getpid(), signal.SIGTERM)

    wells = [
        Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.1), num_steps=steps)
        for steps in (9, 10, 11)  # so that they cannot share lanes
    ]
    with pytest.raises(Interrupted):
        run(wells, 64, tmp_path, lanes=8, progress=Impatient())
    assert len(Store(tmp_path).chunks()) == 1


@pytest.mark.ci
def test_two_workers_that_start_together_share_a_folder(tmp_path):
    # They choose chunks of other sizes.
    seeds = 64 * 80
    workers = [start(tmp_path, seeds, chunk) for chunk in ("0.0", "0.001")]
    for worker in workers:
        _, errors = worker.communicate()
        assert worker.returncode == 0, errors.decode()
    store = Store(tmp_path)
    assert store.verify() == []
    assert np.array_equal(store.frame()["seed"], np.arange(seeds))


def test_help_does_not_wait_for_jax():
    code = (
        "import sys, basin_jax.cli.main; print([m for m in sys.modules if m in ('jax', 'scipy')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
