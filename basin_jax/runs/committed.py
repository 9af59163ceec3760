"""The seeds that a folder holds, kept up to date while several workers add to them."""

import time
from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Int8, UInt64
from numpy import ndarray

from basin_jax.core.verdict import Verdict
from basin_jax.results.store import Store


LIST_SECONDS = 2.0  # between two listings of a folder, which another worker may have added to


class SeedSet:
    """A set of seeds, in memory that grows with its gaps and not with its seeds."""

    def __init__(self) -> None:
        self._first = self._last = np.zeros(0, np.uint64)  # of each gapless range, rising
        self.count = 0

    def add(self, seeds: UInt64[ndarray, " seed"]) -> None:
        """Add rising seeds, of which the set has none yet."""
        if not len(seeds):
            return
        gaps = np.flatnonzero(seeds[1:] - seeds[:-1] != 1)
        first = np.concatenate([self._first, seeds[np.append(0, gaps + 1)]])
        last = np.concatenate([self._last, seeds[np.append(gaps, len(seeds) - 1)]])
        order = np.argsort(first)
        first, last = first[order], last[order]
        apart = first[1:] - last[:-1] != 1
        self._first, self._last = first[np.append(True, apart)], last[np.append(apart, True)]
        self.count += len(seeds)

    def has(self, seeds: UInt64[ndarray, " seed"]) -> Bool[ndarray, " seed"]:
        """Return True for each seed of the set, given rising seeds."""
        if not self.count or not len(seeds):
            return np.zeros(len(seeds), bool)
        at = int(np.searchsorted(self._first, seeds[0], side="right")) - 1
        if at >= 0 and seeds[-1] <= self._last[at]:
            return np.ones(len(seeds), bool)
        at = np.searchsorted(self._first, seeds, side="right") - 1
        return (at >= 0) & (seeds <= self._last[at])

    def below(self, number: int) -> int:
        """Return how many seeds of the set are smaller than a number."""
        inside = self._first < np.uint64(number)
        last = np.minimum(self._last[inside], np.uint64(number - 1))
        return int((last - self._first[inside] + np.uint64(1)).sum())


class CommittedSeeds:
    """The committed seeds of some cells of a folder, and how many of them are deceptive.

    A chunk is read once, whoever has committed it.

    Args:
        store: the folder.
        cells: the digests of the cells.

    Raises:
        StoreError: if a chunk is damaged.
    """

    def __init__(self, store: Store, cells: Iterable[str]):
        self._store = store
        self._seeds = {digest: SeedSet() for digest in cells}
        self._hits = dict.fromkeys(self._seeds, 0)
        self._read: dict[str, set] = {digest: set() for digest in self._seeds}
        self._listed = 0.0
        self.update(at_once=True)

    def update(self, *, at_once: bool = False) -> None:
        """Read what other workers have committed since it was called last."""
        now = time.monotonic()
        if not at_once and now - self._listed < LIST_SECONDS:
            return
        self._listed = now
        found = self._store.by_cell()
        for digest in found.keys() & self._seeds.keys():
            fresh = [chunk for chunk in found[digest] if chunk not in self._read[digest]]
            self._read[digest].update(fresh)
            if fresh:
                self._add(digest, *self._store.verdicts(digest, fresh))

    def commit(self, digest: str, found: dict[str, ndarray]) -> bool:
        """Commit a chunk; return False if another worker has committed its first seed."""
        if not self._store.commit(digest, found):
            self.update(at_once=True)
            return False
        self._read[digest].add(self._store.chunk_of(digest, int(found["seed"].min())))
        last = found["step"] == found["step"].max()
        self._add(digest, found["seed"][last], found["verdict"][last])
        return True

    def missing(self, digest: str, seeds: UInt64[ndarray, " seed"]) -> UInt64[ndarray, " missing"]:
        """Return those of some seeds that a cell lacks."""
        return seeds[~self._seeds[digest].has(seeds)]

    def count(self, digest: str) -> tuple[int, int]:
        """Return a cell's number of seeds, and how many of them are deceptive."""
        return self._seeds[digest].count, self._hits[digest]

    def has_first(self, digest: str, number: int) -> bool:
        """Return True if a cell has all of the first seeds, at least one."""
        return self._seeds[digest].below(number) == number

    def _add(
        self, digest: str, seeds: UInt64[ndarray, " seed"], verdicts: Int8[ndarray, " seed"]
    ) -> None:
        self._seeds[digest].add(seeds)
        self._hits[digest] += int((verdicts == Verdict.DECEPTIVE).sum())
