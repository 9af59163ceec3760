"""Plan chunks: divide the seeds that are to be trained, and lay evidence out.

A chunk holds seeds of one aligned range of a power of two, and never crosses its border. Each
worker trains missing seeds in rising order. So two workers, also with different sizes, can at worst
plan chunks with the same first seed, and one of them then finds the chunk's name taken: no seed is
ever stored twice.
"""

import bisect
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import UInt64
from numpy import ndarray

from basin_jax.core.verdict import Rule, judge


def chunks(
    seeds: Sequence[int], *, done: UInt64[ndarray, " done"], size: Callable[[], int]
) -> Iterator[UInt64[ndarray, " chunk"]]:
    """Yield the seeds still to be trained, in rising order, an aligned chunk at a time.

    Args:
        seeds: all seeds that are asked for.
        done: those that are stored.
        size: returns the size of the range of the next chunk.
    """
    ordered = seeds[::-1] if seeds[0] > seeds[-1] else seeds
    first = 0
    while first < len(ordered):
        wide = size()
        end = (int(ordered[first]) // wide + 1) * wide
        last = bisect.bisect_left(ordered, end, lo=first)
        chunk = np.array(ordered[first:last], dtype=np.uint64)
        todo = np.setdiff1d(chunk, done, assume_unique=True)
        if len(todo):
            yield todo
        first = last


def columns(
    parts: list[tuple[ndarray, dict[str, ndarray]]], stops: Sequence[int], rule: Rule
) -> dict[str, ndarray]:
    """Lay evidence [seed, stop] out as columns, a row for each seed and stop, in their order."""
    seeds = np.concatenate([seeds for seeds, _ in parts])
    order = np.argsort(seeds)
    names = parts[0][1]
    evidence = {n: np.concatenate([e[n] for _, e in parts])[order].reshape(-1) for n in names}
    return {
        "seed": np.repeat(seeds[order], len(stops)),
        "step": np.tile(np.array(stops, np.int32), len(seeds)),
        "verdict": judge(rule, evidence),
        **evidence,
    }
