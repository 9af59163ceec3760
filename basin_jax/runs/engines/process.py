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
from basin_jax.runs.engines.contract import POLL_SECONDS


LINE_BYTES = 2000  # of what a worker said last
LINE = 300  # characters of it


class Process:
    """A worker of this machine.

    Args:
        arguments: those of Python.
        directory: where it runs.
        environment: what differs from the environment of this process.
    """

    def __init__(
        self, arguments: Sequence[str], directory: Path, environment: Mapping[str, str]
    ) -> None:
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115 (closed with this)
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=directory,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=self._messages,
            stderr=subprocess.STDOUT,
            # A keyboard's interrupt would come twice, from the terminal and from the engine.
            start_new_session=True,
        )

    @property
    def code(self) -> int | None:
        """Its exit code, or less a signal's number; None while it runs."""
        return self._process.poll()

    @property
    def said(self) -> str:
        """The last line that it has written."""
        with open(os.dup(self._messages.fileno()), "rb") as messages:
            messages.seek(max(messages.seek(0, os.SEEK_END) - LINE_BYTES, 0))
            lines = messages.read().decode(errors="replace").split("\n")
        return printable(next((line for line in reversed(lines) if line.strip()), ""))[:LINE]

    def stop(self) -> None:
        """Tell it to stop: it commits what it has trained."""
        if self.code is None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self) -> None:
        """Wait until it has ended."""
        while self.code is None:
            time.sleep(POLL_SECONDS)


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
