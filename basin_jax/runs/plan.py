"""Plan chunks: divide the seeds that are to be trained, and lay evidence out.

Seeds are divided into units, aligned ranges whose size grows with the seed: the same for every
worker of a folder. A chunk holds seeds of one unit, in an aligned range of a power of two, and each
worker trains a unit's missing seeds in rising order, whatever the order of its units. So two
workers, also with different sizes of chunks, can at worst plan chunks with the same first seed, and
one of them then finds the chunk's name taken: no seed is ever stored twice.
"""

import bisect
from collections.abc import Callable, Collection, Iterator, Sequence

import numpy as np
from jaxtyping import UInt64
from numpy import ndarray

from basin_jax.core.verdict import Rule, Verdict, judge_again


# Units in each doubling of the seeds, so that many workers share even a few seeds; the largest one.
PARTS, LARGEST_UNIT = 16, 2**17


def unit_size(seed: int, smallest: int) -> int:
    """Return the size of a seed's unit: a power of two."""
    return max(smallest, min(LARGEST_UNIT, 1 << max((seed // PARTS).bit_length() - 1, 0)))


def units(seeds: Sequence[int], *, smallest: int) -> Iterator[slice]:
    """Yield the units of seeds, as slices of them in rising order.

    Args:
        seeds: all seeds that are asked for, rising.
        smallest: the size of the first units, a power of two.
    """
    first = 0
    while first < len(seeds):
        seed = int(seeds[first])
        size = unit_size(seed, smallest)
        last = bisect.bisect_left(seeds, (seed // size + 1) * size, lo=first)
        yield slice(first, last)
        first = last


def next_chunk(
    seeds: Sequence[int],
    *,
    missing: Callable[[UInt64[ndarray, " seed"]], UInt64[ndarray, " missing"]],
    size: int,
) -> tuple[UInt64[ndarray, " chunk"], bool]:
    """Return the first missing seeds of a unit, in one aligned range, and whether no more are.

    Args:
        seeds: the unit's seeds that are asked for, rising.
        missing: returns those of some seeds that are not stored.
        size: the size of the range.
    """
    if isinstance(seeds, range):  # without an object for each seed
        step, count = np.uint64(abs(seeds.step)), np.arange(len(seeds), dtype=np.uint64)
        asked = np.uint64(seeds.start) + step * count
    else:
        asked = np.array(seeds, dtype=np.uint64)
    todo = missing(asked)
    if not len(todo):
        return todo, True
    end = (int(todo[0]) // size + 1) * size
    chunk = todo[: bisect.bisect_left(todo, end)]
    return chunk, len(chunk) == len(todo)


def columns(
    parts: list[tuple[ndarray, dict[str, ndarray]]],
    stops: Sequence[int],
    rule: Rule,
    failed: Collection[int] = (),
) -> dict[str, ndarray]:
    """Lay evidence [seed, stop] out as columns, a row for each seed and stop, in their order.

    The verdict of seeds that failed is ERROR.
    """
    seeds = np.concatenate([seeds for seeds, _ in parts])
    order = np.argsort(seeds)
    names = parts[0][1]
    evidence = {n: np.concatenate([e[n] for _, e in parts])[order].reshape(-1) for n in names}
    repeated = np.repeat(seeds[order], len(stops))
    known = np.isin(repeated, np.array([*failed], np.uint64)) * Verdict.ERROR
    return {
        "seed": repeated,
        "step": np.tile(np.array(stops, np.int32), len(seeds)),
        "verdict": judge_again(rule, evidence, known),
        **evidence,
    }


def leading(chunk: UInt64[ndarray, " chunk"], rows: dict[str, ndarray]) -> dict[str, ndarray]:
    """Return the rows of a chunk's seeds before the first of which there are none.

    Those after it would be stored twice if another worker trains this chunk, too.
    """
    seeds, stops = np.unique(rows["seed"], return_counts=True)
    differ = np.flatnonzero(seeds != chunk[: len(seeds)])
    last = int(differ[0] if len(differ) else len(seeds)) * int(stops[0])
    return {name: values[:last] for name, values in rows.items()}
