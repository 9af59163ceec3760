"""Sets of seeds, in memory that grows with their gaps and not with their seeds."""

import numpy as np
from jaxtyping import Bool, UInt64
from numpy import ndarray


class SeedSet:
    """A set of seeds: 16 bytes for each gapless range of them."""

    def __init__(self) -> None:
        self._first = self._last = np.zeros(0, np.uint64)  # of each gapless range, rising
        self._later: list[tuple[ndarray, ndarray]] = []  # ranges beyond them, not merged yet
        self._largest = -1
        self.count = 0

    def add(self, seeds: UInt64[ndarray, " seed"]) -> None:
        """Add rising seeds, of which the set has none yet."""
        if not len(seeds):
            return
        gaps = np.flatnonzero(seeds[1:] - seeds[:-1] != 1)
        own = seeds[np.append(0, gaps + 1)], seeds[np.append(gaps, len(seeds) - 1)]
        self._later.append(own)
        self.count += len(seeds)
        rises, self._largest = int(seeds[0]) > self._largest, max(self._largest, int(seeds[-1]))
        if not rises:
            self._merge()

    def _merge(self) -> None:
        """Merge all ranges: at once, so that many blocks of rising seeds are sorted once."""
        if not self._later:
            return
        firsts, lasts = zip((self._first, self._last), *self._later, strict=True)
        self._later = []
        first, last = np.concatenate(firsts), np.concatenate(lasts)
        order = np.argsort(first, kind="stable")
        first, last = first[order], last[order]
        apart = first[1:] - last[:-1] != 1
        self._first, self._last = first[np.append(True, apart)], last[np.append(apart, True)]

    def has(self, seeds: UInt64[ndarray, " seed"]) -> Bool[ndarray, " seed"]:
        """Return True for each seed of the set, given rising seeds."""
        if not len(seeds) or int(seeds[0]) > self._largest:
            return np.zeros(len(seeds), bool)
        self._merge()
        at = int(np.searchsorted(self._first, seeds[0], side="right")) - 1
        if at >= 0 and seeds[-1] <= self._last[at]:
            return np.ones(len(seeds), bool)
        at = np.searchsorted(self._first, seeds, side="right") - 1
        return (at >= 0) & (seeds <= self._last[at])

    def between(self, first: int, last: int) -> tuple[int, int]:
        """Return how many seeds from `first` to `last` it has, and the first one that it lacks.

        The latter is last + 1 if it lacks none.
        """
        self._merge()
        low, high = np.uint64(first), np.uint64(last)
        within = (self._last >= low) & (self._first <= high)
        firsts = np.maximum(self._first[within], low)
        lasts = np.minimum(self._last[within], high)
        begins = len(firsts) > 0 and firsts[0] == low
        return int((lasts - firsts).sum()) + len(firsts), int(lasts[0]) + 1 if begins else first


def are_among(
    seeds: UInt64[ndarray, " seed"], these: UInt64[ndarray, " _"]
) -> Bool[ndarray, " seed"]:
    """Return True for each seed that is one of `these`, which rise."""
    if not len(these):
        return np.zeros(len(seeds), bool)
    at = np.minimum(np.searchsorted(these, seeds), len(these) - 1)
    return these[at] == seeds
