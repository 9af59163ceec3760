"""Faults of compiled programs: what a callback or the device raises while one runs."""

import re
from contextlib import suppress
from pathlib import PurePath

import jax

from basin_jax.files import printable


LETTERS = 200  # of a reason
FRAME = re.compile(r'File "([^"]+)", line (\d+)')
MEMORY = "RESOURCE_EXHAUSTED"
FAULTS = (RuntimeError, MemoryError)  # of JAX, which names those of callbacks in its own


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


def forget_callbacks() -> None:
    """Wait for what was called, whose errors JAX would raise again when the process ends."""
    with suppress(Exception):
        jax.effects_barrier()
