"""Workers on a Ray cluster: one that is killed runs again, and so does one whose node is."""

import os
import signal

import pytest
from engine_runs import WORKERS, assert_same_as, kill_first, train

from basin_jax.interrupts import Interrupted
from basin_jax.results.store import Store
from basin_jax.runs.engines.ray import Ray
from basin_jax.runs.workers import workers_of


pytest.importorskip("ray")
# The nodes of a cluster are children of the tests, and JAX warns of a fork.
pytestmark = [pytest.mark.ci, pytest.mark.filterwarnings("ignore:os.fork")]


@pytest.fixture(scope="module")
def cluster():
    """A cluster of a node for each worker, beside the one that has the address."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(WORKERS):
        made.add_node(num_cpus=1)
    yield made
    made.shutdown()


def test_a_worker_that_is_killed_runs_again_and_changes_no_bit(alone, tmp_path):
    told = train(Ray(), tmp_path / "out", kill_first)
    assert [line for line in told.lines if "was ended by SIGKILL, and starts again" in line]
    assert_same_as(alone, tmp_path / "out")


@pytest.mark.slow
def test_a_signal_stops_all_tasks_after_they_have_committed(cluster, tmp_path):
    with pytest.raises(Interrupted):
        train(Ray(cluster.address), tmp_path / "out", lambda _: os.kill(os.getpid(), signal.SIGINT))
    store = Store(tmp_path / "out")
    assert not any(worker.is_live for worker in workers_of(store))
    assert store.verify() == []
    assert store.chunks()


def test_a_worker_whose_node_is_killed_runs_again_and_changes_no_bit(cluster, alone, tmp_path):
    def kill_node(workers):
        cluster.remove_node(cluster.worker_nodes.copy().pop(), allow_graceful=False)
        cluster.add_node(num_cpus=1)

    told = train(Ray(cluster.address), tmp_path / "out", kill_node)
    assert {"worker 0/2 ended", "worker 1/2 ended"} < {*told.lines}
    assert_same_as(alone, tmp_path / "out")
