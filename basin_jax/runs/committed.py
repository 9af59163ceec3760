"""The seeds that a folder holds, kept up to date while several workers add to them."""

import time
from collections.abc import Iterable

from jaxtyping import UInt64
from numpy import ndarray

from basin_jax.core.verdict import Verdict
from basin_jax.results.seed_set import SeedSet
from basin_jax.results.store import Store


# The columns that tell a seed's verdict at the last stop.
LAST = ("seed", "step", "verdict")
LIST_SECONDS = 2.0  # between two listings of a folder, which another worker may have added to


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
            for rows in self._store.rows(fresh) if fresh else ():
                self._add(digest, {name: rows[name].to_numpy() for name in LAST})

    def commit(self, digest: str, found: dict[str, ndarray]) -> bool:
        """Commit a chunk; return False if another worker has committed its first seed."""
        if not self._store.commit(digest, found):
            self.update(at_once=True)
            return False
        self._read[digest].add(self._store.chunk_of(digest, int(found["seed"].min())))
        self._add(digest, found)
        return True

    def missing(self, digest: str, seeds: UInt64[ndarray, " seed"]) -> UInt64[ndarray, " missing"]:
        """Return those of some seeds that a cell lacks."""
        return seeds[~self._seeds[digest].has(seeds)]

    def count(self, digest: str) -> tuple[int, int]:
        """Return a cell's number of seeds, and how many of them are deceptive."""
        return self._seeds[digest].count, self._hits[digest]

    def _add(self, digest: str, rows: dict[str, ndarray]) -> None:
        last = rows["step"] == rows["step"].max()
        self._seeds[digest].add(rows["seed"][last])
        self._hits[digest] += int((rows["verdict"][last] == Verdict.DECEPTIVE).sum())
