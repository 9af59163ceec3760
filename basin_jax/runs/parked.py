"""Parked seeds: those of a call that was given up, of which at least one never ends.

Each file in FOLDER/parked has the seeds of one cell in one such call. A run trains them last, and
in halves; each time that it gives up, a file has fewer seeds, until it has one: that is ERROR.
"""

import json
import math
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace

from jaxtyping import UInt64
from numpy import ndarray

from basin_jax.files import FolderError
from basin_jax.interrupts import expect_free_devices
from basin_jax.results.store import Store
from basin_jax.schema import SEEDS, listed, number, optional, parse, record, text, truth, whole


SUBFOLDER, BYTES = "parked", 2**24
# Seconds to wait for a call: at least so many, and so many times what the longest took.
PATIENCE, TIMES = 600.0, 50
# Times that some seeds of a cell are given up before any of it was trained: it is the sweep.
TRIES = 5
SAID = re.compile(r"gave up after (\d[\d.e+]*) s")

_count = whole(0, SEEDS)
_entry = record(
    {
        "cell": text,
        "seeds": listed(_count),
        "tries": _count,
        "seconds": number(0.0, math.inf),
        "trained": optional(_count),
        "alone": truth,
    }
)


@dataclass(frozen=True, kw_only=True)
class Parked:
    """Some seeds of a cell of which at least one never ends.

    Attributes:
        cell: the digest of the cell.
        seeds: the seeds, rising.
        tries: how often they, and more seeds with them, were given up.
        seconds: after how long.
        trained: a seed of the cell that was trained before, if there is one.
        alone: whether it is one seed, with which no other was trained.
    """

    cell: str
    seeds: list[int]
    tries: int
    seconds: float
    trained: int | None
    alone: bool

    @property
    def key(self) -> str:
        """The key of its file."""
        return f"{SUBFOLDER}/{self.cell}-{self.seeds[0]:020d}.json"


def check_patience(seconds: float | None) -> None:
    """Raise `ValueError` if nobody can wait for so long, `GaveUp` if a call was given up before."""
    expect_free_devices()
    if seconds is not None and not seconds > 0:
        raise ValueError(f"patience = {seconds}; allowed: seconds above 0")


def gave_up(seconds: float) -> TimeoutError:
    """Return the error of a seed that was given up alone."""
    return TimeoutError(f"gave up after {seconds:g} s")


def given_up_after(reason: str) -> float:
    """Return after how many seconds a seed was given up, given why it failed; 0 if it was not."""
    found = SAID.search(reason)
    return float(found[1]) if found else 0.0


class ParkedSeeds:
    """The parked seeds of a folder.

    Args:
        store: the folder.
    """

    def __init__(self, store: Store):
        self._place = store.place
        self._entries = self._listed()

    def _listed(self) -> list[Parked]:
        entries = []
        for key in self._place.list(SUBFOLDER):
            with suppress(OSError, ValueError):  # without it the seeds are given up once more
                content = parse(self._place.get(key, at_most=BYTES))
                _entry("", content)
                entries.append(Parked(**content))
        return entries

    @property
    def cells(self) -> set[str]:
        """The cells that have some."""
        return {entry.cell for entry in self._entries}

    def of(self, cell: str) -> list[Parked]:
        """Return those of a cell."""
        return [entry for entry in self._entries if entry.cell == cell and entry.seeds]

    def are_among(self, cell: str, seeds: Sequence[int]) -> bool:
        """Return True if some of a cell are among rising seeds."""
        return any(
            entry.seeds[0] <= seeds[-1]
            and seeds[0] <= entry.seeds[-1]
            and not {*entry.seeds}.isdisjoint(seeds)
            for entry in self.of(cell)
        )

    def park(self, entry: Parked) -> Parked:
        """Park the seeds of a call that was given up, in the place of those they were parked with.

        Nothing is parked where another process has parked some of these seeds alone by now.

        Returns:
            The entry, with the tries of all; or the other process's.
        """
        self._entries, seeds = self._listed(), {*entry.seeds}
        own = self.of(entry.cell)
        if narrower := next((old for old in own if {*old.seeds} < seeds), None):
            return narrower
        before = [old for old in own if {*old.seeds} >= seeds]
        trained = next((one.trained for one in [entry, *before] if one.trained is not None), None)
        tries = entry.tries + max((old.tries for old in before), default=0)
        entry = replace(entry, tries=tries, trained=trained)
        self._place.replace(entry.key, json.dumps(asdict(entry)).encode())
        self._remove([old for old in before if old.key != entry.key])
        self._entries = [old for old in self._entries if old.key != entry.key] + [entry]
        return entry

    def free(self, cell: str, seeds: UInt64[ndarray, " seed"]) -> None:
        """Remove those of a cell that are stored now."""
        stored = {*seeds.tolist()}
        self._remove([entry for entry in self.of(cell) if {*entry.seeds} <= stored])

    def _remove(self, entries: list[Parked]) -> None:
        for entry in entries:
            with suppress(OSError, FolderError):
                self._place.delete(entry.key)
        self._entries = [entry for entry in self._entries if entry not in entries]
