"""Tell which machine has trained which of the stored seeds, and how."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt64
from numpy import ndarray

from basin_jax.results.chunk import read_machine
from basin_jax.results.layout import machines_of, plan_of
from basin_jax.results.store import Store


class Trained(NamedTuple):
    """Seeds of a cell that one machine has trained.

    Attributes:
        machine: its kind and its versions.
        plan: its backend, its lanes and their speed.
        seeds: the seeds, rising.
    """

    machine: dict[str, str]
    plan: dict[str, Any]
    seeds: UInt64[ndarray, " seed"]


def trained_by(
    stores: Sequence[Store], cell: str, seeds: UInt64[ndarray, " seed"]
) -> Iterator[Trained]:
    """Yield some stored seeds of a cell by the machines that have trained them."""
    for store in stores:
        manifest = store.manifest()
        if cell not in manifest["cells"]:
            continue
        alone = len(stores) == len(manifest["machines"]) == 1
        numbers = np.zeros(len(seeds), int) if alone else _numbers(store, cell, seeds)
        manifest = store.manifest()  # with a machine that has come since
        for number, machine in enumerate(machines_of(manifest)):
            if (own := numbers == number).any():
                yield Trained(machine, plan_of(manifest, cell, number), seeds[own])


def seeds_of_machines(store: Store) -> dict[int, int]:
    """Return how many seeds of all cells each machine of a folder has trained, by its number."""
    counts = Counter[int]()
    for raw, rows in store.loaded(store.chunks()):
        counts[read_machine(raw)] += rows["seed"].n_unique()
    return counts


def _numbers(store: Store, cell: str, seeds: UInt64[ndarray, " seed"]) -> ndarray:
    """Return the number of each seed's machine in a folder, -1 for seeds that it lacks."""
    numbers = np.full(len(seeds), -1)
    for raw, rows in store.loaded(store.chunks(cell)):
        numbers[np.isin(seeds, rows["seed"].to_numpy())] = read_machine(raw)
    return numbers
