"""The coordinator: it ends when all seeds are stored, and says what workers ended with."""

import pytest
from engine_runs import SEEDS, train, written

from basin_jax import run
from basin_jax.results.store import Store, StoreError
from basin_jax.runs import coordinator
from basin_jax.runs.engines.contract import Engine, Event
from basin_jax.runs.workers import workers_of


class Pretended(Engine):
    """An engine whose workers are what a test makes of them."""

    def __init__(self, make):
        self.make = make

    @property
    def prepares(self):
        return True

    def check(self, workers):
        assert workers == 2

    def run(self, reference, shards):
        return self.make(reference, shards)


def test_seeds_that_are_lacking_are_said_with_what_workers_ended_with(tmp_path):
    def failing(reference, shards):
        yield Event(shards[0], "ended", "ended with code 2: basin-jax: no", 2)
        yield Event(shards[1], "ended", "ended", 0)

    with pytest.raises(StoreError, match=r"lacks seeds \(worker 0/2 ended with code 2: .*: no\)"):
        train(Pretended(failing), tmp_path / "out", lambda _: None)


def test_workers_that_are_no_longer_needed_are_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(coordinator, "LAST_SECONDS", 0.0)
    source, _ = written(tmp_path / "out")
    seen = []

    def waiting(reference, shards):
        run(source.cells, SEEDS, tmp_path / "out", lanes=8, shard=shards[0], progress=False)
        seen.extend(workers_of(Store(tmp_path / "out")))
        try:
            while True:
                yield None
        finally:
            seen.append("stopped")

    train(Pretended(waiting), tmp_path / "out", lambda _: None)
    # Meanwhile the coordinator was one of the folder's workers, so that no other reports.
    assert [worker.doing for worker in seen[:-1]] == ["counting what 2 workers commit"]
    assert seen[-1] == "stopped"


def test_workers_that_try_seeds_again_are_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(coordinator, "LAST_SECONDS", 0.0)
    source, _ = written(tmp_path / "out")
    run(source.cells, SEEDS, tmp_path / "out", lanes=8, progress=False)

    def retrying(reference, shards):
        assert reference.retry_errors
        yield None
        yield None
        yield Event(shards[0], "ended", "ended", 0)

    told = train(Pretended(retrying), tmp_path / "out", lambda _: None, retry_errors=True)
    assert told.lines[-1:] == ("worker 0/2 ended",)


def test_seeds_that_no_worker_could_try_again_are_an_error(tmp_path):
    source, _ = written(tmp_path / "out")
    run(source.cells, SEEDS, tmp_path / "out", lanes=8, progress=False)

    def failing(reference, shards):
        yield from (Event(shard, "ended", "ended with code 1", 1) for shard in shards)

    with pytest.raises(StoreError, match=r"no worker has tried .* worker 1/2 ended with code 1"):
        train(Pretended(failing), tmp_path / "out", lambda _: None, retry_errors=True)
