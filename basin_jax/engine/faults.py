"""Faults of compiled programs: what a callback or the device raises while one runs."""

import atexit
import os
import re
import sys
from contextlib import suppress
from pathlib import PurePath

import jax

from basin_jax.files import printable
from basin_jax.interrupts import GaveUp


LETTERS = 200  # of a reason
FRAME = re.compile(r'File "([^"]+)", line (\d+)')
MEMORY = "RESOURCE_EXHAUSTED"
GAVE_UP = 75  # the exit code of a process with a call that was given up
FAULTS = (RuntimeError, MemoryError)  # of JAX, which names those of callbacks in its own


_given_up = list[bool]()


def reason_of(error: Exception) -> str:
    """Return what an exception says, with the user's line where it is known, on one line."""
    said = str(error)
    frames = list(FRAME.finditer(said))
    if not frames:
        said = f"{type(error).__name__}: {said}"
    else:  # a callback's
        own = [frame for frame in frames if "site-packages" not in frame[1]] or frames
        what = said[frames[-1].end() :].partition("\n")[2]
        said = f"{what} ({PurePath(own[-1][1]).name}, line {own[-1][2]})"
    return printable(" ".join(said.split()))[:LETTERS]


def expect_free_devices() -> None:
    """Raise `GaveUp` if a call of this process was given up, which still holds its devices."""
    if _given_up:
        raise GaveUp("a call that was given up still holds the devices; start another process")


def end_at_exit() -> None:
    """Let the process end at its exit, though a call that was given up never does."""
    if not _given_up:
        _given_up.append(True)
        atexit.register(_end)


def _end() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(GAVE_UP)


def forget_callbacks() -> None:
    """Wait for what was called, whose errors JAX would raise again when the process ends."""
    with suppress(Exception):
        jax.effects_barrier()
