"""Waiting: a call that does not end is given up, sooner after a signal."""

import signal

import pytest

from basin_jax.engine import waiting
from basin_jax.engine.preflight import examine
from basin_jax.engine.waiting import Patience
from basin_jax.interrupts import GaveUp, Interrupted, Stop


class Call:
    """Stands in for a result that is ready after some looks at it."""

    def __init__(self, looks=10**9):
        self.looks = looks

    def is_ready(self):
        self.looks -= 1
        return self.looks < 0


@pytest.fixture
def codes(monkeypatch) -> list[int]:
    """The exit codes of processes whose devices are held."""
    codes = []
    monkeypatch.setattr(waiting, "give_up", lambda result, code=75: codes.append(code))
    monkeypatch.setattr(waiting, "AFTER_SIGNAL", 0.01)
    return codes


def test_a_call_that_does_not_end_is_given_up(codes):
    Patience(1e9).wait_for(Call(3))
    with pytest.raises(GaveUp, match=r"has not ended after 0\.01 s"):
        Patience(0.01).wait_for(Call())
    assert codes == [75]


def test_a_signal_ends_the_waiting_for_a_call_soon(codes):
    stop = Stop()
    stop.signum = signal.SIGTERM
    Patience(1e9, stop).wait_for(Call(2))  # what ends by itself is kept
    with pytest.raises(Interrupted, match="SIGTERM"):
        Patience(1e9, stop).wait_for(Call())
    assert codes == [128 + signal.SIGTERM]


def test_a_first_step_is_waited_for(wells, monkeypatch):
    class Mine(type(wells[0].organism)):
        pass

    def never(patience, value):
        raise GaveUp(f"after {patience.seconds:g} s")

    monkeypatch.setattr(Patience, "wait_for", never)
    with pytest.raises(GaveUp, match="after 7 s"):
        examine(wells[0].replace(organism=Mine()), Patience(7.0))
