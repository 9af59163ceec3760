"""Workers on this machine: one that is killed starts again, and all of them can be stopped."""

import os
import signal

import pytest
from engine_runs import assert_same_as, kill_first, train

from basin_jax.interrupts import Interrupted
from basin_jax.results.store import Store
from basin_jax.runs.engines.local import Local
from basin_jax.runs.workers import workers_of


@pytest.mark.ci
def test_a_worker_that_is_killed_starts_again_and_changes_no_bit(alone, tmp_path):
    told = train(Local(), tmp_path / "out", kill_first)
    assert [line for line in told.lines if "was ended by SIGKILL, and starts again" in line]
    assert {"worker 0/2 ended", "worker 1/2 ended"} < {*told.lines}
    assert_same_as(alone, tmp_path / "out")


@pytest.mark.ci
def test_a_signal_stops_all_workers_after_they_have_committed(tmp_path):
    with pytest.raises(Interrupted):
        train(Local(), tmp_path / "out", lambda _: os.kill(os.getpid(), signal.SIGTERM))
    store = Store(tmp_path / "out")
    assert workers_of(store) == []
    assert store.verify() == []
    assert store.chunks()
    assert not list((store.folder / "staging").iterdir())


def test_more_workers_than_cores_are_refused():
    with pytest.raises(ValueError, match="workers = 10000; allowed: 1 to"):
        Local().check(10_000)
