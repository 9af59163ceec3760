"""Prepare work for timing, and time it."""

import contextlib
import ctypes
import gc
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import jax

from basin_jax.statistics.estimates import Estimate


OURS = "basin_jax"
# Seconds that a candidate is tried for, of which the fastest is taken.
TRIAL_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Work that is compiled, warm, and ready to be timed."""

    work: int | float  # of a call: steps of one seed, seeds, points, operations, or bytes
    call: Callable[[], Any]  # returns when the work is done
    compile_seconds: float | None = None
    note: str = ""
    basin: Callable[[], Estimate] | None = None  # the fraction that the last call found


Work: TypeAlias = list[tuple[str, str, Prepared]]  # case, peer, and a way to run it


def measure(prepared: Prepared, seconds: float) -> float:
    """Measure work per second, over whole calls that take at least `seconds`."""
    calls, began = 0, time.perf_counter()
    while True:
        prepared.call()
        calls += 1
        took = time.perf_counter() - began
        if took >= seconds:
            return calls * prepared.work / took


def peak_bytes(prepared: Prepared) -> int | None:
    """Measure the peak of memory that a call adds to the process, on Linux."""
    this = Path("/proc/self")
    try:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)  # or what was freed would be used again unseen
        (this / "clear_refs").write_text("5")  # the peak is now
    except (OSError, AttributeError):
        return None
    before = _resident(this, "VmHWM")
    prepared.call()
    return _resident(this, "VmHWM") - before


def process_peak() -> int:
    """Return the peak memory of this process in bytes."""
    try:
        return _resident(Path("/proc/self"), "VmHWM")
    except OSError:  # not on Linux, where `ru_maxrss` would be the parent's at the fork, or more
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _resident(process: Path, name: str) -> int:
    lines = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    return int(lines[name].split()[0]) * 1024


def fastest(candidates: list[Prepared], seconds: float) -> Prepared:
    """Return the fastest candidate, by the better of two tries of each."""
    tries = [[measure(candidate, seconds) for candidate in candidates] for _ in range(2)]
    best = [max(speeds) for speeds in zip(*tries, strict=True)]
    return candidates[best.index(max(best))]


@contextlib.contextmanager
def cold() -> Iterator[None]:
    """Ignore compiled programs and tunings of before."""
    before, cached = os.environ.get("XDG_CACHE_HOME"), jax.config.jax_enable_compilation_cache
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["XDG_CACHE_HOME"] = scratch
        jax.config.update("jax_enable_compilation_cache", False)
        try:
            yield
        finally:
            jax.config.update("jax_enable_compilation_cache", cached)
            del os.environ["XDG_CACHE_HOME"]
            if before is not None:
                os.environ["XDG_CACHE_HOME"] = before
