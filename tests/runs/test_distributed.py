"""Processes of `jax.distributed`: each trains a shard, and one that dies costs no other's seeds."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from basin_jax import Sweep, run
from basin_jax.methods import Gradient
from basin_jax.organisms import DoubleWell
from basin_jax.results.store import Store


PROCESSES, SEEDS, STEPS = 2, 64 * 40, 200
PROCESS = f"""
import os, signal, sys
import jax
folder, port, process, dies = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "dies"
at = f"127.0.0.1:{{port}}"
soon = {{"heartbeat_timeout_seconds": 10, "shutdown_timeout_seconds": 10}}
jax.distributed.initialize(at, {PROCESSES}, process, **soon)
import basin_jax as bj
import basin_jax.runs.chunk_size, basin_jax.runs.progress
from basin_jax.results.store import Store
basin_jax.runs.chunk_size.CHUNK_SECONDS = 0.0
class Dying(basin_jax.runs.progress.Progress):
    def update(self, cells, current):
        if Store(folder).chunks():
            os.kill(os.getpid(), signal.SIGKILL)
method = bj.methods.Gradient(learning_rate=0.1)
sweep = bj.Sweep(organism=bj.organisms.DoubleWell(), method=method, num_steps={STEPS})
bj.run(sweep, {SEEDS}, folder, lanes=8, progress=Dying() if dies else False)
assert len(jax.local_devices()) == 2 and len(jax.devices()) == 4
"""
WELL = Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.1), num_steps=STEPS)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return run(WELL, SEEDS, tmp_path_factory.mktemp("alone"), lanes=8, progress=False).frame


def start_all(folder: Path, dying: int | None) -> list[subprocess.Popen[str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(folder), str(port), str(process), fate],
            env=os.environ | {"JAX_NUM_CPU_DEVICES": "2"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for process in range(PROCESSES)
        for fate in ["dies" if process == dying else "lives"]
    ]


@pytest.mark.ci
def test_processes_share_a_folder_and_give_the_bits_of_one(expected, tmp_path):
    processes = start_all(tmp_path, dying=None)
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    store = Store(tmp_path)
    assert store.verify() == []
    assert len(store.runs()) == PROCESSES
    assert run(WELL, SEEDS, tmp_path, lanes=8, progress=False).frame.equals(expected)


@pytest.mark.slow
def test_what_a_process_has_committed_outlives_another(expected, tmp_path):
    processes = start_all(tmp_path, dying=1)
    _, errors = processes[1].communicate(timeout=300)
    assert processes[1].returncode == -signal.SIGKILL, errors
    processes[0].communicate(timeout=300)  # JAX may end it, once it has found the other dead
    store = Store(tmp_path)
    assert store.chunks()
    assert store.verify() == []
    assert run(WELL, SEEDS, tmp_path, lanes=8, progress=False).frame.equals(expected)
