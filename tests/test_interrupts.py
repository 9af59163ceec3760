"""Signals: a run ends what it is at, says how to go on, and a second one ends it at once."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from basin_jax.interrupts import (
    ALWAYS,
    UNLESS_RECEIVED,
    GaveUp,
    Interrupted,
    end,
    expect_free_devices,
    give_up,
    interruptible,
)


@pytest.fixture(autouse=True)
def received():
    """Signals as a terminal leaves them; what runs in the background may ignore some."""
    before = {s: signal.getsignal(s) for s in (*ALWAYS, *UNLESS_RECEIVED)}
    for signum in before:
        signal.signal(signum, signal.SIG_DFL)
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU"])
def test_before_training_a_signal_ends_what_runs(name):
    signum = getattr(signal, name)
    before = signal.getsignal(signum)
    with (
        pytest.raises(Interrupted, match=f"interrupted by {name}") as stopped,
        interruptible(),
    ):
        signal.raise_signal(signum)
    assert stopped.value.signum == signum
    assert signal.getsignal(signum) is before


def test_in_training_the_first_signal_is_noted_and_the_second_ends_the_process(monkeypatch, capfd):
    ended = []
    monkeypatch.setattr(os, "_exit", ended.append)
    with suppress(Interrupted), interruptible() as stop:
        stop.finishing = True
        signal.raise_signal(signal.SIGTERM)
        assert stop.signum == signal.SIGTERM
        assert "repeat the signal to stop at once" in capfd.readouterr().err
        assert ended == []
        signal.raise_signal(signal.SIGINT)
        assert ended == [128 + signal.SIGINT]


@pytest.mark.parametrize("of_engine", [False, True])
def test_a_worker_may_be_told_twice_to_stop(monkeypatch, of_engine):
    ended = []
    monkeypatch.setattr(os, "_exit", ended.append)
    monkeypatch.setattr("basin_jax.interrupts.Stop.of_engine", of_engine)
    with suppress(Interrupted), interruptible() as stop:
        stop.finishing = True
        for _ in range(2):
            signal.raise_signal(signal.SIGTERM)
        assert ended == ([] if of_engine else [128 + signal.SIGTERM])
        monkeypatch.setattr("basin_jax.interrupts.TWICE_SECONDS", 0.0)
        signal.raise_signal(signal.SIGTERM)
        assert ended[-1:] == [128 + signal.SIGTERM]


def test_a_signal_that_is_ignored_or_that_the_user_receives_is_left_alone():
    received = []
    before = {s: signal.getsignal(s) for s in (signal.SIGHUP, signal.SIGUSR1)}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
        signal.signal(signal.SIGUSR1, lambda signum, frame: received.append(signum))
        with interruptible():
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGUSR1)
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
    assert received == [signal.SIGUSR1]


class Call:
    has_ended = False

    def is_ready(self):
        return self.has_ended


@pytest.mark.parametrize("code", [2, None])
def test_a_process_ends_with_the_code_that_was_meant_though_a_call_never_does(monkeypatch, code):
    with pytest.raises(SystemExit) as ended:
        end(code)
    assert ended.value.code == code
    call = Call()
    give_up(call)
    with pytest.raises(GaveUp, match="still holds the devices"):
        expect_free_devices()
    monkeypatch.setattr(os, "_exit", lambda code: sys.exit(f"at once, {code}"))
    with pytest.raises(SystemExit, match=f"at once, {code or 0}"):
        end(code)
    call.has_ended = True
    expect_free_devices()


def test_a_run_within_a_command_receives_its_signals():
    def in_training():
        with interruptible() as inner:
            inner.finishing = True
            signal.raise_signal(signal.SIGUSR2)

    with suppress(Interrupted), interruptible() as outer:
        with pytest.raises(Interrupted):
            in_training()
        assert (outer.signum, outer.finishing, outer.raised) == (signal.SIGUSR2, False, False)


def test_an_interrupt_that_is_swallowed_is_raised_again():
    def swallow():
        with suppress(KeyboardInterrupt):  # as code does that a package imports
            signal.raise_signal(signal.SIGUSR2)
        with interruptible():
            pytest.fail("entered")

    def command():
        with interruptible() as stop:
            with pytest.raises(Interrupted):
                swallow()
            assert stop.raised

    with pytest.raises(Interrupted):
        command()


CHILD = """
import sys, time
from pathlib import Path
from basin_jax.interrupts import Interrupted, interruptible, stop_with_parent
try:
    with interruptible() as stop:
        stop_with_parent()
        assert stop.of_engine
        time.sleep(60)
except Interrupted as stopped:
    Path(sys.argv[1]).write_text(str(stopped))
"""
PARENT_THAT_DIES = """
import os, subprocess, sys
from basin_jax.interrupts import PARENT
environment = {**os.environ, PARENT: str(os.getpid())}
subprocess.Popen([sys.executable, "-c", *sys.argv[1:]], env=environment)
"""


def test_a_worker_stops_when_its_engine_has_died(tmp_path):
    command = [sys.executable, "-c", PARENT_THAT_DIES, CHILD, str(tmp_path / "said")]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    patience = time.monotonic() + 60
    said = tmp_path / "said"
    while not (said.exists() and said.read_text()) and time.monotonic() < patience:
        time.sleep(0.05)
    assert said.read_text() == "interrupted by SIGTERM"
