"""The seeds that a folder holds, kept up to date while several workers add to them."""

import time
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from jaxtyping import Int8, UInt64
from numpy import ndarray

from basin_jax.core.verdict import Verdict
from basin_jax.results.failed import failed_in, failed_seeds, mend
from basin_jax.results.seed_set import SeedSet
from basin_jax.results.store import Store
from basin_jax.runs.parked import given_up_after
from basin_jax.runs.shard import Order, rising


# The columns that tell a seed's verdict at the last stop.
LAST = ("seed", "step", "verdict")
LIST_SECONDS = 2.0  # between two listings of a folder, which another worker may have added to


class CommittedSeeds:
    """The committed seeds of some cells of a folder, and how many of them are deceptive.

    A chunk is read once, whoever has committed it.

    Attributes:
        store: the folder.

    Args:
        cells: the digests of the cells.

    Raises:
        StoreError: if a chunk is damaged.
    """

    def __init__(self, store: Store, cells: Iterable[str]):
        self.store = store
        self._seeds = {digest: SeedSet() for digest in cells}
        self._hits = dict.fromkeys(self._seeds, 0)
        self._trained = dict[str, int]()
        self._read: dict[str, set] = {digest: set() for digest in self._seeds}
        self._mending: dict[tuple[str, int], str] = {}
        self._listed = 0.0
        self.update(at_once=True)

    def update(self, *, at_once: bool = False) -> None:
        """Read what other workers have committed since it was called last."""
        now = time.monotonic()
        if not at_once and now - self._listed < LIST_SECONDS:
            return
        self._listed = now
        found = self.store.by_cell()
        for digest in found.keys() & self._seeds.keys():
            fresh = [chunk for chunk in found[digest] if chunk not in self._read[digest]]
            self._read[digest].update(fresh)
            for rows in self.store.rows(fresh) if fresh else ():
                self._add(digest, {name: rows[name].to_numpy() for name in LAST})

    def commit(
        self, digest: str, found: dict[str, ndarray], errors: Mapping[int, str], *, machine: int = 0
    ) -> bool:
        """Commit a chunk, or what another try of seeds that failed gave.

        Args:
            digest: the cell.
            found: the rows.
            errors: why seeds failed.
            machine: the number of the machine that trained them.

        Returns:
            False if another worker has committed its first seed, or all those that failed.
        """
        first = int(found["seed"].min())
        last = found["step"] == found["step"].max()
        seeds, verdicts = found["seed"][last], found["verdict"][last]
        if key := self._mending.pop((digest, first), None):
            own = np.isin(seeds, mend(self.store, key, found, errors))
            self._note(digest, seeds[own], verdicts[own])
            return bool(own.any())
        if not self.store.commit(digest, found, errors, machine=machine):
            self.update(at_once=True)
            return False
        self._read[digest].add(self.store.chunk_of(digest, first))
        self._add(digest, found)
        return True

    def failed(
        self, digest: str, patience: float, *, machine: int = 0, order: Order = rising
    ) -> tuple[Iterator[UInt64[ndarray, " seed"]], int]:
        """Find the seeds of a cell that failed on a machine.

        Args:
            digest: the cell.
            patience: not those that were given up after so many seconds: they would be again.
            machine: the number of the machine.
            order: the order of chunks.

        Returns:
            Those of each chunk together, which fail still when their turn comes; and the number of
            those that failed on other machines.
        """
        told = failed_seeds(self.store, digest)
        own = told.filter(machine=machine)
        chunks = own["chunk"].unique().sort().to_list()

        def still() -> Iterator[UInt64[ndarray, " seed"]]:
            for place in order((slice(n, n + 1) for n in range(len(chunks))), 0):
                now = failed_in(self.store, chunks[place])
                now = now.filter([given_up_after(why) < patience for why in now["reason"]])
                if len(now):
                    seeds = now["seed"].sort().to_numpy()
                    self._mending[digest, int(seeds[0])] = chunks[place.start]
                    yield seeds

        return still(), len(told) - len(own)

    def trained(self, digest: str) -> int | None:
        """Return a seed of a cell that did not fail, if there is one."""
        return self._trained.get(digest)

    def missing(self, digest: str, seeds: UInt64[ndarray, " seed"]) -> UInt64[ndarray, " missing"]:
        """Return those of some seeds that a cell lacks."""
        return seeds[~self._seeds[digest].has(seeds)]

    def count(self, digest: str) -> tuple[int, int]:
        """Return a cell's number of seeds, and how many of them are deceptive."""
        return self._seeds[digest].count, self._hits[digest]

    def has_first(self, digest: str, number: int) -> bool:
        """Return True if a cell has all of the first seeds, at least one."""
        return self._seeds[digest].between(0, number - 1)[0] == number

    def _add(self, digest: str, rows: dict[str, ndarray]) -> None:
        last = rows["step"] == rows["step"].max()
        seeds, verdicts = rows["seed"][last], rows["verdict"][last]
        self._seeds[digest].add(seeds)
        self._note(digest, seeds, verdicts)

    def _note(
        self, digest: str, seeds: UInt64[ndarray, " seed"], verdicts: Int8[ndarray, " seed"]
    ) -> None:
        sound = seeds[verdicts != Verdict.ERROR]
        self._trained |= {digest: int(sound[0])} if len(sound) else {}
        self._hits[digest] += int((verdicts == Verdict.DECEPTIVE).sum())
