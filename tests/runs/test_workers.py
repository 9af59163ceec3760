"""Workers: each tells what it is at, and the last one to end writes the report."""

import json
import os
import time
from typing import Any

import pytest

from basin_jax import Sweep, load, run
from basin_jax.methods import Gradient
from basin_jax.organisms import DoubleWell
from basin_jax.report.status import cells_table, workers_table
from basin_jax.results.request import request_of
from basin_jax.results.store import Store, StoreError
from basin_jax.runs import workers
from basin_jax.runs.shard import Shard
from basin_jax.runs.workers import Worker, WorkerState, workers_of


WELL = Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.1), num_steps=10)
STATE: dict[str, Any] = {
    "host": "here",
    "process": 1,
    "shard": "0/2",
    "asked": "the first seeds",
    "began": 5.0,
    "doing": "x",
    "seeds": 3,
}


_, ASKED = request_of(300)


def state(**changes: Any) -> WorkerState:
    own = {"host": os.uname().nodename, "process": os.getpid()}
    return WorkerState(**{**STATE, **own, **changes})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("workers") / "well"
    run(WELL, 300, made, lanes=8, shard=Shard(1, 2), progress=False)
    return made


def test_a_shard_that_is_alone_trains_all_seeds_and_leaves_no_file(folder):
    assert load(folder).frame["seed"].to_list() == [*range(300)]
    assert workers_of(Store(folder)) == []


def test_a_worker_tells_what_it_is_at_until_it_ends(folder, monkeypatch):
    monkeypatch.setattr(workers, "BEAT_SECONDS", 0.01)
    store = Store(folder)
    with Worker(store, Shard(0, 3), ASKED).alive() as worker:
        worker.begin("a cell")
        worker.add(7)
        patience = time.monotonic() + 30
        while workers_of(store)[0].seeds == 0 and time.monotonic() < patience:
            time.sleep(0.01)
        (one,) = workers_of(store)
        assert (one.doing, one.seeds, one.shard) == ("a cell", 7, "0/3")
        assert one.is_live
    assert workers_of(store) == []


def test_a_worker_that_is_not_heard_of_is_dead():
    assert state().is_live
    assert not state(age=2 * workers.LIVE_SECONDS).is_live
    assert not state(process=2**22 + 1).is_live
    assert state(process=2**22 + 1, host="other").is_live


def test_the_clock_of_a_worker_decides_nothing(folder):
    place, told = Store(folder).place, STATE | {"host": "other"}
    with Worker(Store(folder), None, ASKED).alive():
        place.replace("workers/other.json", json.dumps(told | {"began": 1.0}).encode())
        try:
            now = place.modified("workers/other.json")  # of a server whose clock is another
            later = now + 2 * workers.LIVE_SECONDS
            for time_there, live in ((now, True), (later, False)):
                (other,) = [s for s in workers_of(Store(folder), time_there) if s.host == "other"]
                assert other.is_live == live
        finally:
            place.delete("workers/other.json")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        json.dumps(STATE | {"process": "1"}).encode(),
        json.dumps(STATE | {"began": "soon"}).encode(),
        json.dumps(STATE | {"age": 0.0}).encode(),
        json.dumps(STATE | {"host": 3}).encode(),
        json.dumps(STATE | {"more": 3}).encode(),
    ],
)
def test_a_malformed_file_of_a_worker_is_left_out(folder, content):
    store = Store(folder)
    store.place.replace("workers/bad.json", content)
    try:
        assert workers_of(store) == []
    finally:
        store.place.delete("workers/bad.json")


def test_what_a_file_says_is_printable():
    read = WorkerState.read(json.dumps(STATE | {"doing": "a\x1b[31m"}).encode(), age=0.0)
    assert read.doing == "a?[31m"


def test_the_tables_of_a_status_show_cells_and_workers(folder):
    (group,) = cells_table(load(folder)).groups
    (line,) = group.lines
    assert [*line.cells[:3]] == ["DoubleWell", "300", "300"]
    dead = state(age=2 * workers.LIVE_SECONDS)
    (group,) = workers_table([state(), dead]).groups
    assert [line.failed for line in group.lines] == [False, True]


def test_a_second_worker_without_a_shard_has_an_order_of_its_own(folder, tmp_path, monkeypatch):
    orders = []

    def train(self, cells):
        orders.append(
            [unit.start for unit in self.worker.order((slice(i, i + 1) for i in range(40)), 0)]
        )

    monkeypatch.setattr("basin_jax.runs.training.Training.train", train)
    monkeypatch.setattr("basin_jax.results.store.Store.finish_run", lambda *_: None)
    run(WELL, 300, folder, progress=False)
    with Worker(Store(folder), None, ASKED).alive():
        run(WELL, 300, folder, progress=False)
    assert orders[0] != orders[1]
    assert len(orders[1]) == 40


def test_workers_of_one_folder_ask_for_the_same_seeds(folder):
    with Worker(Store(folder), None, ASKED).alive():
        assert len(run(WELL, 310, folder, progress=False).frame) == 310  # more of the same
        with pytest.raises(StoreError, match="which trains the first seeds; wait until it ends"):
            run(WELL, [500, 501], folder, progress=False)


def test_requests_with_other_chunks_have_other_plans():
    requests = [None, 3, range(1), range(2), range(1, 3), range(0, 9, 2), [1, 5, 9], [1, 6, 9]]
    plans = [request_of(seeds, until=0.1 if seeds is None else None)[1].plan for seeds in requests]
    assert {*plans[:4]} == {"the first seeds"}
    assert len({*plans}) == 5
