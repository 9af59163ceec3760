"""The verdicts of a cell's seeds, in memory of a byte for each seed and stop."""

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Int8, UInt64
from numpy import ndarray


# Seeds that rise, and a row of verdicts for each: one for each stop, or for each of some rules.
Judged = tuple[UInt64[ndarray, " seed"], Int8[ndarray, "seed column"]]


class CellVerdicts:
    """The verdicts of a cell, block by block in the order of the seeds.

    Seeds at equal distances take no memory, others eight bytes each.
    """

    def __init__(self) -> None:
        self._seeds: list[UInt64[ndarray, " seed"] | range] = []
        self._verdicts: list[Int8[ndarray, "seed column"]] = []

    def add(self, seeds: UInt64[ndarray, " seed"], verdicts: Int8[ndarray, "seed column"]) -> None:
        """Add a block of seeds that rise, and are larger than those before."""
        first, last, count = int(seeds[0]), int(seeds[-1]), len(seeds)
        step = (last - first) // max(count - 1, 1) or 1
        even = bool((seeds[1:] - seeds[:-1] == step).all())
        self._seeds.append(range(first, last + 1, step) if even else seeds.copy())
        self._verdicts.append(np.array(verdicts, np.int8))

    def __iter__(self) -> Iterator[Judged]:
        for seeds, verdicts in zip(self._seeds, self._verdicts, strict=True):
            if isinstance(seeds, range):
                count = np.arange(len(seeds), dtype=np.uint64)
                seeds = np.uint64(seeds.start) + np.uint64(seeds.step) * count
            yield seeds, verdicts


def shared(some: Iterable[Judged], others: Iterable[Judged]) -> Iterator[tuple[ndarray, ...]]:
    """Yield the seeds that two cells have both, with the verdicts of each, block by block."""
    rest = iter(others)
    theirs = next(rest, None)
    for seeds, verdicts in some:
        while theirs is not None:
            at = np.minimum(np.searchsorted(theirs[0], seeds), len(theirs[0]) - 1)
            both = theirs[0][at] == seeds
            yield seeds[both], verdicts[both], theirs[1][at[both]]
            if theirs[0][-1] > seeds[-1]:
                break
            theirs = next(rest, None)
