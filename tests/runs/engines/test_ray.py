"""Workers on a Ray cluster, with a module in place of Ray (test_bits: a real one)."""

import signal
import sys

import pytest
from engine_runs import written

from basin_jax.runs.engines.ray import Ray
from basin_jax.runs.shard import Shard


SHARDS = [Shard(0, 2), Shard(1, 2)]


class RayError(Exception):
    """A worker or a node that died."""


class RayTaskError(RayError):
    """The cause of an exception that a task raised."""

    def __init__(self, cause):
        super().__init__(f"\x1b[36mray::work()\x1b[39m (pid=7)\n{cause}")
        self.cause = cause


class Pretended:
    """Ray as far as the engine calls it.

    Args:
        results: what becomes of each start of a task.
    """

    RayError, RayTaskError = RayError, RayTaskError

    def __init__(self, results):
        self.results, self.started, self.options = results, 0, {}
        self.exceptions = self

    def init(self, **options):
        pass

    def shutdown(self):
        pass

    def nodes(self):
        return [{"Alive": True, "Resources": {"CPU": 2.0}}]

    def remote(self, function=None, /, *given, **options):
        if options:
            self.options = options
            return self.remote
        if not given:
            return self
        self.started += 1
        return self.started - 1

    def wait(self, running, **options):
        return running[:1], running[1:]

    def get(self, task):
        if isinstance(self.results[task], Exception):
            raise self.results[task]
        return self.results[task]


@pytest.fixture
def events(monkeypatch, tmp_path):
    def of(*results):
        ray = Pretended(results)
        monkeypatch.setitem(sys.modules, "ray", ray)
        _, reference = written(tmp_path / "out")
        told = [event for event in Ray().run(reference, SHARDS[: len(results)]) if event]
        assert ray.options == {"max_retries": 0, "num_cpus": 2 // min(len(results), 2)}
        assert ray.started == len(results)
        return [str(event) for event in told if event.kind != "started"]

    return of


def test_workers_and_nodes_that_die_are_counted_together(events):
    killed = (-signal.SIGKILL, "")
    assert events(RayError("gone\nwhy"), killed, killed, (0, ""), RayError("gone")) == [
        "worker 0/2 was lost: gone, and starts again",
        "worker 1/2 was ended by SIGKILL, and starts again",
        "worker 0/2 was ended by SIGKILL, and starts again",
        "worker 1/2 ended",
        "worker 0/2 was lost: gone",
    ]


def test_a_task_that_cannot_start_says_why(events):
    cause = FileNotFoundError(2, "No such file or directory", "/far/away")
    assert events(RayTaskError(cause)) == [
        "worker 0/2 cannot start: [Errno 2] No such file or directory: '/far/away'"
    ]
