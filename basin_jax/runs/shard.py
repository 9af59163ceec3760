"""Shards: the part of a run's missing seeds that each of several workers trains first."""

import itertools
import os
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import jax


WINDOW = 64  # units that a worker without a shard takes in an order of its own

# Takes the units of a cell and the cell's number, and yields them in the order of a worker.
Order = Callable[[Iterator[slice], int], Iterator[slice]]


@dataclass(frozen=True)
class Shard:
    """One of several equal parts of the units of a run.

    Attributes:
        index: its number, from 0.
        count: the number of shards.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ValueError(
                f"shard = {self}; allowed: 0/{self.count} to {self.count - 1}/{self.count}"
                if self.count > 0
                else f"shard = {self}; allowed: at least one shard"
            )

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read a shard from a text such as "0/4".

        Raises:
            ValueError: if it is none.
        """
        found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
        if found is None:
            raise ValueError(f"shard = {text!r}; allowed: I/N, such as 0/4 to 3/4")
        return cls(int(found[1]), int(found[2]))

    def order(self, units: Iterator[slice], cell: int) -> Iterator[slice]:
        """Yield the shard's own units in rising order, then those of others in an order of its own.

        Shards that end together would otherwise all train the same unit of another that has died.
        """
        others = []
        for number, unit in enumerate(units, cell):
            if number % self.count == self.index:
                yield unit
            else:
                others.append(unit)
        random.Random(f"{self} {cell}").shuffle(others)
        yield from others


def given_shard(environment: Mapping[str, str] = os.environ) -> Shard | None:
    """Return the shard of this task of a Slurm array, or of this process of `jax.distributed`."""
    jax.local_devices()  # all processes have to look for them, and not one after the other
    if jax.distributed.is_initialized() and jax.process_count() > 1:
        return Shard(jax.process_index(), jax.process_count())
    try:
        task, count = (int(environment[f"SLURM_ARRAY_TASK_{name}"]) for name in ("ID", "COUNT"))
        first, step = (
            int(environment.get(f"SLURM_ARRAY_TASK_{name}", default))
            for name, default in (("MIN", 0), ("STEP", 1))
        )
    except (KeyError, ValueError):
        return None
    index = (task - first) // max(step, 1)
    return Shard(index, count) if 0 <= index < count else None


def rising(units: Iterator[slice], cell: int) -> Iterator[slice]:
    """Yield units in rising order, for the only worker of a folder."""
    return units


def shuffled(name: str) -> Order:
    """Return an order for one more worker without a shard, which rarely meets another.

    Args:
        name: the worker's name, which decides the order.
    """

    def order(units: Iterator[slice], cell: int) -> Iterator[slice]:
        chance = random.Random(f"{name} {cell}")
        while window := list(itertools.islice(units, WINDOW)):
            chance.shuffle(window)
            yield from window

    return order
