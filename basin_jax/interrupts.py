"""Signals that stop a run: its trained seeds are committed first, and it says how to go on.

Imported without JAX, so that a command can be stopped while it still imports.
"""

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn


# What a keyboard and a scheduler send; what a closed terminal sends, and what schedulers may warn
# by, unless the user's own code receives it.
ALWAYS = (signal.SIGINT, signal.SIGTERM)
UNLESS_RECEIVED = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU)

# The variable of the environment in which an engine tells its workers which process it is.
PARENT, PARENT_SECONDS = "BASIN_JAX_PARENT", 1.0
# A service or a scheduler stops an engine and its workers at once, and then the engine the workers.
TWICE_SECONDS = 10.0


class Interrupted(KeyboardInterrupt):
    """A run stopped by a signal, after its trained seeds were committed."""

    def __init__(self, signum: int):
        super().__init__(f"interrupted by {signal.Signals(signum).name}")
        self.signum = signum


class GaveUp(Exception):
    """Raised when a call was waited for in vain: it holds its devices until the process ends.

    The same command goes on, in another process.
    """


GAVE_UP = 75  # the exit code of a process with a call that was given up
_left = list[tuple[Any, int]]()  # results of calls that were given up, and exit codes


def devices_are_held() -> bool:
    """Return True if a call of this process was given up, and has not ended: it holds devices."""
    return any(not result.is_ready() for result, _ in _left)


def expect_free_devices() -> None:
    """Raise `GaveUp` if a call of this process was given up, and has not ended."""
    if devices_are_held():
        raise GaveUp("a call that was given up still holds the devices; start another process")


def give_up(result: Any, code: int = GAVE_UP) -> None:
    """Give up a call, so that the process ends at its exit with a code though the call may never.

    Args:
        result: what the call returned, which tells by `is_ready` whether it has ended.
        code: the exit code.
    """
    if not _left:
        atexit.register(_end_at_exit)
    _left.append((result, code))


def _end_at_exit() -> None:
    if devices_are_held():
        end(_left[-1][1])


def end(code: int | None) -> NoReturn:
    """End the process as `sys.exit` does, but do not wait for a call that was given up."""
    if not devices_are_held():
        raise SystemExit(code)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


class Stop:
    """The signal that was received, if any.

    Until `finishing` is set, a signal raises `Interrupted` where it is received; afterwards the
    run is expected to look at `signum`. A second signal ends the process at once, since nothing
    that is committed can be lost by it; to a worker of an engine SIGTERM may come twice.

    Attributes:
        signum: the signal.
        raised: whether `Interrupted` was raised where it was received. Code that a package imports
            or calls may swallow that, or raise something else instead.
    """

    signum: int | None = None
    raised = False
    finishing = False
    of_engine = False  # whether an engine started this process
    _noted = 0.0

    def note(self, signum: int, frame: FrameType | None) -> None:
        """Receive a signal."""
        if self.signum is not None:
            if self._is_again(signum):
                return
            _say(b"stopped at once\n")
            os._exit(128 + signum)
        self.signum, self._noted = signum, time.monotonic()
        if not self.finishing:
            self.raised = True
            raise Interrupted(signum)
        # Past Python's own buffers, which the signal may have interrupted.
        _say(b"stopping after the current block; repeat the signal to stop at once\n")

    def expect_none(self) -> None:
        """Raise `Interrupted` if a signal was received."""
        if self.signum is not None:
            raise Interrupted(self.signum)

    def _is_again(self, signum: int) -> bool:
        soon = time.monotonic() - self._noted < TWICE_SECONDS
        return self.of_engine and soon and signum == self.signum == signal.SIGTERM


def _say(line: bytes) -> None:
    with suppress(OSError):
        os.write(2, line)


@contextmanager
def interruptible() -> Iterator[Stop]:
    """Receive signals that stop a run, in the main thread.

    A run within a command has the command's `Stop`. SIGHUP stays ignored under `nohup`.

    Raises:
        Interrupted: on a signal, at the latest when the outermost of these contexts or another
            inner one is entered or left without an error.
    """
    if threading.current_thread() is not threading.main_thread():
        yield Stop()
        return
    before = {s: signal.getsignal(s) for s in (*ALWAYS, *UNLESS_RECEIVED)}
    owners = [getattr(handler, "__self__", None) for handler in before.values()]
    stop = next((owner for owner in owners if isinstance(owner, Stop)), None)
    free: dict[signal.Signals, Any] = {}
    if stop is None:
        stop = Stop()
        free = {s: handler for s, handler in before.items() if _is_free(s, handler)}
    stop.expect_none()
    for signum in free:
        signal.signal(signum, stop.note)
    try:
        yield stop
        stop.finishing = False
        stop.expect_none()
    finally:
        stop.finishing = False
        for signum, handler in free.items():
            signal.signal(signum, handler or signal.SIG_DFL)


def _is_free(signum: int, handler: Any) -> bool:
    return signum in ALWAYS or handler is signal.SIG_DFL


def stop_with_parent() -> None:
    """Stop this process by SIGTERM when the engine that started it has died, if one has."""
    parent = os.environ.pop(PARENT, None)

    def watch() -> None:
        while str(os.getppid()) == parent:
            time.sleep(PARENT_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)

    if parent is not None:
        Stop.of_engine = True
        threading.Thread(target=watch, name="parent", daemon=True).start()
