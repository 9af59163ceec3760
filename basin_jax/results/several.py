"""Read several folders as one: shards from several machines, or cells that are compared."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from basin_jax.results.store import Store, StoreError


KEYS = ("cell", "seed", "step")


def manifest_of(stores: Sequence[Store], *, judged_anew: bool) -> dict[str, Any]:
    """Return the manifest of the first folder with the cells of all.

    Args:
        stores: the folders.
        judged_anew: whether another rule than theirs judges the evidence.

    Raises:
        StoreError: if their verdicts are of several rules.
    """
    manifests = [store.manifest() for store in stores]
    first, cells = manifests[0], dict[str, Any]()
    for store, manifest in zip(stores, manifests, strict=True):
        if not judged_anew and manifest["rule"] != first["rule"]:
            raise StoreError(
                f"{stores[0].where} and {store.where} have verdicts of different rules; allowed: "
                "a rule to judge all of their evidence by, as in load([...], rule=Behavior())"
            )
        cells = {**manifest["cells"], **cells}
    return first | {"cells": cells}


def frame_of(stores: Sequence[Store]) -> pl.DataFrame:
    """Return the rows of all folders, in the order of cell, seed and step.

    Raises:
        StoreError: if a folder is damaged, none has seeds, or two have the same seed of a cell.
    """
    filled = [store for store in stores if store.chunks()] or stores[:1]
    if len(filled) == 1:
        return filled[0].frame()
    frames = [store.frame() for store in filled]
    for store, frame in zip(filled, frames, strict=True):
        if frame.columns != frames[0].columns:
            raise StoreError(
                f"{filled[0].where} and {store.where} have different evidence; allowed: folders of "
                "sweeps with the same evidence"
            )
    marked = [frame.with_columns(folder=pl.lit(i, pl.Int32)) for i, frame in enumerate(frames)]
    together = pl.concat(marked, how="vertical_relaxed").sort(*KEYS, "folder")
    same = pl.all_horizontal(pl.col(name) == pl.col(name).shift() for name in KEYS)
    twice = together.with_columns(other=pl.col("folder").shift()).filter(same).head(1)
    for cell, seed, folder, other in twice.select("cell", "seed", "folder", "other").iter_rows():
        raise StoreError(
            f"seed {seed} of cell {cell} is in {filled[other].where} and in "
            f"{filled[folder].where}; allowed: folders that share no seed of a cell"
        )
    return together.drop("folder")


def runs_of(stores: Sequence[Store]) -> list[dict[str, Any]]:
    """Return the records of all runs, the oldest first."""
    return sorted((run for store in stores for run in store.runs()), key=lambda run: run["began"])
