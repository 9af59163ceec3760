"""A worker as a child process of an engine."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from basin_jax.files import printable
from basin_jax.interrupts import PARENT
from basin_jax.runs.engines.contract import POLL_SECONDS


LINE_BYTES = 2000  # of what a worker said last
LINE = 300  # characters of it


class Process:
    """A worker of this machine, which stops when this process dies.

    Args:
        arguments: those of Python.
        directory: where it runs.
        environment: what differs from the environment of this process.
    """

    def __init__(
        self, arguments: Sequence[str], directory: Path, environment: Mapping[str, str]
    ) -> None:
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `ended`)
        self._ended: tuple[int, str] | None = None
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=directory,
            env={**os.environ, **environment, PARENT: str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=self._messages,
            stderr=subprocess.STDOUT,
            # A keyboard's interrupt would come twice, from the terminal and from the engine.
            start_new_session=True,
        )

    def ended(self) -> tuple[int, str] | None:
        """Return its exit code, or less a signal's number, and its last line; None if it runs."""
        code = self._process.poll()
        if code is not None and self._ended is None:
            with self._messages as messages:
                messages.seek(max(messages.seek(0, os.SEEK_END) - LINE_BYTES, 0))
                lines = messages.read().decode(errors="replace").split("\n")
            said = next((line for line in reversed(lines) if line.strip()), "")
            self._ended = code, printable(said)[:LINE]
        return self._ended

    def stop(self) -> None:
        """Tell it to stop: it commits what it has trained."""
        if self.ended() is None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self) -> tuple[int, str]:
        """Wait until it has ended, and return what `ended` does."""
        while (ended := self.ended()) is None:
            time.sleep(POLL_SECONDS)
        return ended


def is_lost(code: int) -> bool:
    """Return True if a worker was killed, and neither ended nor was told to stop."""
    return code < 0 and -code not in (signal.SIGINT, signal.SIGTERM)


def ending(code: int, said: str) -> str:
    """Say how a worker ended.

    Args:
        code: its exit code, or less a signal's number.
        said: its last line.
    """
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {code}: {said}" if code else "ended"
