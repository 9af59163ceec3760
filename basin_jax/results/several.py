"""Read several folders as one: shards from several machines, or cells that are compared."""

from collections.abc import Sequence
from typing import Any

from basin_jax.results.store import Store, StoreError


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


def runs_of(stores: Sequence[Store]) -> list[dict[str, Any]]:
    """Return the records of all runs, the oldest first."""
    return sorted((run for store in stores for run in store.runs()), key=lambda run: run["began"])
