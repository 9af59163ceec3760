"""Folders that tests write by hand, without training."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from basin_jax.core.identity import identity_hash
from basin_jax.results.store import Store


SOURCES = {"organism": "basin_jax 0"}


def cell_of(fields: dict[str, Any], stops: Sequence[int]) -> tuple[str, dict[str, Any]]:
    """Return a cell's digest and its entry in a manifest."""
    fields = {
        "organism": "Mine",
        **fields,
        "num_steps": stops[-1],
        "save_at": list(stops[:-1]),
    }
    entry = {
        "fields": fields,
        "sources": SOURCES,
        "trace": "",
    }
    return identity_hash(fields, SOURCES, ""), entry


def manifest_of(cells: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return a manifest of such cells."""
    rule = {"fields": {"class": "Behavior"}, "sources": {"Behavior": "basin_jax 0"}}
    made = {"cells": cells, "rule": rule, "chunk": 128, "unit": 64}
    return made | {"machines": [machine_of(cells)], "runs": {}}


def machine_of(cells: Iterable[str], **kind: str) -> dict[str, Any]:
    """Return the entry of a machine in a manifest, with a plan for each cell."""
    plan = {"backend": {"name": "xla", "why": "a test"}, "lanes": 8, "speed": 1000}
    machine = {"basin_jax": "0", "jax": "0", **kind}
    return {"machine": machine, "plans": dict.fromkeys(cells, plan)}


def plans_of(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the plans of all machines of a manifest."""
    return [plan for each in manifest["machines"] for plan in each["plans"].values()]


def run_of(request: dict[str, Any], began: str = "2026-01-01T00:00:00+00:00") -> dict[str, Any]:
    """Return a run's record."""
    return {
        "began": began,
        "host": "host",
        "python": "3",
        "devices": 1,
        "request": request,
        "origin": None,
    }


def columns(seeds: Sequence[int], stops: Sequence[int], salt: float = 0.0) -> dict[str, Any]:
    """Return a chunk's columns, whose values follow from its seeds."""
    seed = np.repeat(np.array(seeds, np.uint64), len(stops))
    x = np.sin(seed.astype(np.float64) + salt).astype(np.float32)
    steps = np.tile(np.array(stops, np.int32), len(seeds))
    return {"seed": seed, "step": steps, "verdict": (x > 0).astype(np.int8), "x": x}


def new_store(folder: Path | str, cells: dict[str, dict[str, Any]]) -> Store:
    """Return a store with a manifest, without chunks."""
    made = Store(folder)
    made.prepare()
    made.update(lambda _: manifest_of(cells))
    return made


def verdicts(store: Store, cell: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the stored seeds of a cell, in rising order, and their verdicts at the last stop."""
    parts = [
        (rows["seed"], rows["step"], rows["verdict"]) for rows in store.rows(store.chunks(cell))
    ]
    seeds, steps, found = (
        np.concatenate([np.zeros(0, kind), *(part[i] for part in parts)])
        for i, kind in enumerate((np.uint64, np.int32, np.int8))
    )
    last = np.flatnonzero(steps == steps.max(initial=0))
    order = last[np.argsort(seeds[last])]
    return seeds[order], found[order]


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
