"""Find the seeds of a store that failed, and replace them by what another try gave."""

from collections.abc import Mapping

import polars as pl
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
    found, keys = [pl.DataFrame([], FAILED)], store.chunks(cell)
    for key, (raw, rows) in zip(keys, store.loaded(keys), strict=True):
        own, machine = rows["cell"][0], read_machine(raw)
        failed = [(own, seed, why, key, machine) for seed, why in read_errors(raw, rows).items()]
        found += [pl.DataFrame(failed, FAILED, orient="row")] if failed else []
    return pl.concat(found)


def mend(store: Store, key: str, columns: Mapping[str, ndarray], errors: Mapping[int, str]) -> bool:
    """Replace the rows of seeds that failed by those of another try, as one.

    Args:
        store: where they are.
        key: that of their chunk.
        columns: the rows of some of its seeds that failed.
        errors: why seeds of them failed again.

    Returns:
        False if another worker has replaced them.
    """
    raw, old = next(store.loaded([key]))
    before, now = read_errors(raw, old), {*columns["seed"].tolist()}
    if not now <= before.keys():
        return False
    kept = old.filter(~pl.col("seed").is_in(list(now)))
    rows = pl.concat([kept, rows_of(old["cell"][0], columns)]).sort("seed", "step")
    left = {seed: why for seed, why in before.items() if seed not in now}
    content = write_chunk(rows, {**left, **errors}, machine=read_machine(raw))
    return store.place.swap(key, raw, content)
