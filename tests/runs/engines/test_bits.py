"""Runs of each engine with killed workers have the bits of a run without an engine.

They share a process, and thus what they are compared with, and leave the cores to each other.
"""

import os
import shutil
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from engine_runs import SEEDS, WORKERS, assert_same_as, kill_first, train, written

from basin_jax import run
from basin_jax.interrupts import Interrupted
from basin_jax.results.store import Store
from basin_jax.runs.engines.local import Local
from basin_jax.runs.engines.ray import Ray
from basin_jax.runs.engines.slurm import Slurm
from basin_jax.runs.workers import workers_of


# The nodes of a cluster are children of the tests, and JAX warns of a fork.
pytestmark = [pytest.mark.ci, pytest.mark.filterwarnings("ignore:os.fork")]
SCRIPT = Path(__file__).parents[2] / "integration" / "slurm.sh"
PATIENCE = 60  # seconds
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Return the frame of a run without an engine."""
    folder = tmp_path_factory.mktemp("alone") / "out"
    source, _ = written(folder)
    return run(source.cells, SEEDS, folder, lanes=8, progress=False).store.frame()


@pytest.mark.slow
def test_a_local_worker_that_is_killed_starts_again_and_changes_no_bit(alone, tmp_path):
    told = train(Local(), tmp_path / "out", kill_first)
    assert [line for line in told.lines if "was ended by SIGKILL, and starts again" in line]
    assert {"worker 0/2 ended", "worker 1/2 ended"} < {*told.lines}
    assert_same_as(alone, tmp_path / "out")


@pytest.mark.slow
@needs_ray
def test_on_ray_a_worker_and_a_node_that_are_killed_change_no_bit(alone, tmp_path):
    import ray
    from ray.cluster_utils import Cluster

    def kill_both(workers):
        store, end = Store(tmp_path / "out"), time.monotonic() + PATIENCE
        # This process is connected to some node of its machine, which has to live.
        own = ray.get_runtime_context().get_node_id()
        node = next(node for node in nodes if node.node_id != own)
        raylet = node.all_processes["raylet"][0].process.pid
        while len(workers) < WORKERS:
            assert time.monotonic() < end
            time.sleep(0.2)
            workers = [state for state in workers_of(store) if state.shard]
        (process,) = (state.process for state in workers if raylet not in ancestors(state.process))
        os.kill(process, signal.SIGKILL)
        cluster.remove_node(node, allow_graceful=False)
        cluster.add_node(num_cpus=1)

    cluster = Cluster()
    try:
        cluster.add_node(num_cpus=0)
        nodes = [cluster.add_node(num_cpus=1) for _ in range(WORKERS)]
        told = train(Ray(cluster.address), tmp_path / "out", kill_both)
    finally:
        cluster.shutdown()
    lost = [line for line in told.lines if line.endswith(", and starts again")]
    assert len([line for line in lost if "was ended by SIGKILL" in line]) == 1
    assert len([line for line in lost if "was lost: " in line]) == 1
    # One that waits for a node when the other has trained all seeds is no longer waited for.
    assert {"worker 0/2 ended", "worker 1/2 ended"} & {*told.lines}, told.lines
    assert_same_as(alone, tmp_path / "out")


def ancestors(process: int) -> set[int]:
    """Return the processes that started a process, and those that started them."""
    found = set[int]()
    while process > 1:
        said = subprocess.check_output(["ps", "-o", "ppid=", "-p", str(process)], text=True)
        process = int(said)
        found.add(process)
    return found


def test_a_task_that_is_requeued_changes_no_bit(queue, alone, tmp_path):
    def kill_task(workers):
        subprocess.run(["kill", "-KILL", (queue / "0.pid").read_text().strip()], check=True)

    told = train(Slurm(("--partition=gpu",)), tmp_path / "out", kill_task)
    said = [line for line in told.lines if line.startswith("worker 0/2")]
    assert said == [
        "worker 0/2 waits as task 17_0",
        "worker 0/2 started",
        "worker 0/2 was stopped by Slurm, and starts again (RUNNING)",
        "worker 0/2 ended",
    ]
    assert (queue / "options").read_text() == f"--parsable --chdir={tmp_path} --partition=gpu\n"
    assert_same_as(alone, tmp_path / "out")


@pytest.fixture
def real_slurm(tmp_path, monkeypatch):
    """Slurm of one node, with a core for each worker."""
    folder = tmp_path / "slurm"
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    try:
        subprocess.run([SCRIPT, "start", folder, str(WORKERS)], check=True, timeout=PATIENCE)
        yield
    finally:
        subprocess.run([SCRIPT, "stop", folder], check=True, timeout=PATIENCE)


@pytest.mark.skipif(
    shutil.which("slurmctld") is None or os.geteuid() != 0,
    reason="needs Slurm, and to be root: tests/integration/slurm.sh install",
)
def test_a_task_that_is_requeued_by_slurm_changes_no_bit(real_slurm, alone, tmp_path):
    def said(*command):
        return subprocess.check_output(command, text=True, timeout=PATIENCE)

    def requeue(workers):
        tasks = said("squeue", "--noheader", "--array", "--format=%i").split()
        (task,) = (name for name in tasks if name.endswith("_0"))
        said("scontrol", "requeue", task)
        end = time.monotonic() + PATIENCE
        while said("squeue", "--noheader", f"--jobs={task}", "--format=%T") != "PENDING\n":
            assert time.monotonic() < end
            time.sleep(0.2)
        # Slurm would wait for two minutes, so that nothing of the first start is left.
        said("scontrol", "update", f"JobId={task}", "StartTime=now+5")

    told = train(Slurm(("--time=10",)), tmp_path / "out", requeue)
    lines = [line for line in told.lines if line.startswith("worker 0/2")]
    (log,) = (path.read_text() for path in tmp_path.glob("slurm-*_0.out"))
    assert lines[2].startswith("worker 0/2 was stopped by Slurm, and starts again"), log
    assert lines[-1] == "worker 0/2 ended", log
    assert "interrupted by SIGTERM" in log
    assert_same_as(alone, tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize(
    "engine",
    [Local(), pytest.param(Ray(), marks=needs_ray), Slurm()],
    ids=lambda engine: type(engine).__name__,
)
def test_a_signal_stops_all_workers_after_they_have_committed(queue, engine, tmp_path):
    def stop(workers):
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted):
        train(engine, tmp_path / "out", stop, go_on=False)
    store = Store(tmp_path / "out")
    assert not any(worker.is_live for worker in workers_of(store))
    assert store.verify() == []
    assert 0 < len(store.chunks()) < SEEDS // 64
    assert not list((store.folder / "staging").iterdir())
