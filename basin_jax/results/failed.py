"""Find the seeds of a store that failed, and replace them by what another try gave."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from jaxtyping import UInt64
from numpy import ndarray

from basin_jax.results.chunk import read_errors, read_machine, rows_of, write_chunk
from basin_jax.results.store import Store


FAILED = {
    "cell": pl.String,
    "seed": pl.UInt64,
    "reason": pl.String,
    "chunk": pl.String,
    "machine": pl.Int32,
}


def failed_seeds(store: Store, cell: str = "") -> pl.DataFrame:
    """Return the seeds that failed, of one cell or of all, a row for each.

    `reason` says why, `chunk` is the key of its chunk, `machine` the number of what trained it.
    """
    return failed_in(store, store.chunks(cell))


def failed_in(store: Store, keys: Sequence[str]) -> pl.DataFrame:
    """Return the seeds of some chunks that failed, as `failed_seeds` does."""
    found = [pl.DataFrame([], FAILED)]
    for key, (raw, rows) in zip(keys, store.loaded(keys), strict=True):
        own, machine = rows["cell"][0], read_machine(raw)
        failed = [(own, seed, why, key, machine) for seed, why in read_errors(raw, rows).items()]
        found += [pl.DataFrame(failed, FAILED, orient="row")] if failed else []
    return pl.concat(found)


def mend(
    store: Store, key: str, columns: Mapping[str, ndarray], errors: Mapping[int, str]
) -> UInt64[ndarray, " seed"]:
    """Replace the rows of seeds that failed, and that fail still, by those of another try, as one.

    Args:
        store: where they are.
        key: that of their chunk.
        columns: the rows of some of its seeds that failed.
        errors: why seeds of them failed again.

    Returns:
        The seeds that were replaced: those that no other worker has trained meanwhile.
    """
    while True:
        raw, old = next(store.loaded([key]))
        before = read_errors(raw, old)
        now = [seed for seed in np.unique(columns["seed"]).tolist() if seed in before]
        if not now:
            return np.zeros(0, np.uint64)
        kept = old.filter(~pl.col("seed").is_in(now))
        again = rows_of(old["cell"][0], columns).filter(pl.col("seed").is_in(now))
        rows = pl.concat([kept, again]).sort("seed", "step")
        left = {seed: why for seed, why in before.items() if seed not in now}
        left |= {seed: why for seed, why in errors.items() if seed in before}
        if store.place.swap(key, raw, write_chunk(rows, left, machine=read_machine(raw))):
            return np.array(now, np.uint64)
