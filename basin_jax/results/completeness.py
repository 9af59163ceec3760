"""Find seeds of finished runs that are missing, and runs that did not finish."""

from collections.abc import Mapping
from typing import Any

from basin_jax.results.layout import UNSEALED, range_of, request_in
from basin_jax.results.seed_set import SeedSet


def missing(
    manifest: Mapping[str, Any],
    runs: Mapping[str, Mapping[str, Any]],
    seeds: Mapping[str, SeedSet],
) -> list[str]:
    """Describe the missing seeds of finished runs, a line for each group.

    Args:
        manifest: the folder's.
        runs: the readable records by their names.
        seeds: the stored seeds of each cell.
    """
    if manifest["format"] == UNSEALED:
        return []
    lines = {}
    for name, run in manifest["runs"].items():
        for cell, count in run["seeds"].items():
            if count is None:
                continue
            asked = range_of(runs[name]) if name in runs else None
            lacking, first = _lacking(seeds[cell], count, asked)
            if lacking:
                where = "" if first is None else f", from seed {first} on"
                lines[cell, lacking, first] = (
                    f"cell {cell} lacks {lacking:,} of the {count:,} seeds that a finished run "
                    f"left there{where}: a chunk is missing"
                    + ("" if first is None else f" ({cell}-{first:020d}.parquet, or one after it)")
                )
    return [*lines.values()]


def _lacking(seeds: SeedSet, count: int, asked: tuple[int, int] | None) -> tuple[int, int | None]:
    """Return the number of missing seeds, and the first of them if it is known."""
    if asked is None or asked[1] + 1 - asked[0] != count:
        return max(count - seeds.count, 0), None
    there, first = seeds.between(*asked)
    return count - there, None if there == count else first


def unfinished(manifest: Mapping[str, Any], runs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Describe the runs that did not finish, unless a later one trained their seeds."""
    lines, done = [], []
    for name in sorted(runs, reverse=True):
        asked, run = range_of(runs[name]), runs[name]
        if None not in manifest["runs"][name]["seeds"].values():
            done.append((asked, request_in(run)))
        elif not any(_covers(later, asked) or same == request_in(run) for later, same in done):
            lines.append(
                f"incomplete: the run of {run['began']} has not finished (it was stopped, or "
                "still runs); repeat its command to resume it"
            )
    return lines[::-1]


def _covers(later: tuple[int, int] | None, asked: tuple[int, int] | None) -> bool:
    if later is None or asked is None:
        return False
    return later[0] <= asked[0] and asked[1] <= later[1]
