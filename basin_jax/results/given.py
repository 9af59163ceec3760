"""Conditions on seeds, at an earlier stop or in their parents, for conditional fractions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import UInt64
from numpy import ndarray

from basin_jax.core.arguments import checked
from basin_jax.core.verdict import UNJUDGED, Verdict
from basin_jax.results.layout import machines_of
from basin_jax.results.reading import Stored
from basin_jax.results.seed_set import are_among


@checked
@dataclass(frozen=True, eq=False)
class Given:
    """A condition on seeds at an earlier stop, or on their parents.

    The fraction of the seeds that satisfy it is a conditional fraction. The number of these seeds
    is random; given it, the hits are binomial, so the intervals for a fixed number hold.

    Attributes:
        of: the verdict; or a Polars expression on the columns of `Records.history`, true for
            seeds that satisfy the condition. A seed that diverged or failed satisfies only
            `Verdict.DIVERGED` or `Verdict.ERROR`.
        step: the stop (see `Sweep.save_at`); the last one of the parent if None.
        parent: the records of the sweep from which the seeds start (see `Child`), with all
            parents.

    >>> Given(Verdict.DECEPTIVE, step=100).step  # deceptive after 100 steps
    100
    """

    of: Verdict | pl.Expr
    step: int | None = None
    parent: Stored | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.of, Verdict | pl.Expr):
            raise ValueError(f"Given.of = {self.of!r}; allowed: a Verdict, or a Polars expression")
        if self.step is None and self.parent is None:
            raise ValueError(
                "Given.step = None; allowed: a stop before the last, or the records of a parent"
            )

    def seeds(self, records: Stored, cell: str) -> UInt64[ndarray, " seed"]:
        """Return the seeds of a cell that satisfy the condition, in rising order.

        Raises:
            ValueError: if there is no such stop or parent, or the parent of a seed is missing.
        """
        if self.parent is None:
            return self._of(records, cell)
        fields, code = (records.manifest["cells"][cell][part] for part in ("fields", "sources"))
        own, machine = [_of_parent(fields), _of_parent(code)], _only_machine(records)
        found = [
            digest
            for digest, other in self.parent.manifest["cells"].items()
            if [other["fields"], other["sources"]] == own
            and machine == _only_machine(self.parent) is not None
        ]
        if not found:
            raise ValueError(
                f"Given.parent is of {self.parent.store.folder.name}, which has no parent of "
                f"{records.label(cell)}; allowed: the records of the sweep it starts from, trained "
                "by the same code and versions, both on one kind of machine, the same"
            )
        seeds = _together(seeds for seeds, _ in records.verdicts[cell])
        parents = seeds // np.uint64(fields.get("start.children", 1))
        there = _together(seeds for seeds, _ in self.parent.counted(found[0]))
        if lacking := int((~are_among(parents, there)).sum()):
            raise ValueError(
                f"Given.parent lacks the parents of {lacking:,} seeds of "
                f"{records.label(cell)}; allowed: records that have them all"
            )
        return seeds[are_among(parents, self._of(self.parent, found[0]))]

    def _of(self, records: Stored, cell: str) -> UInt64[ndarray, " seed"]:
        stops = records.stops(cell)
        step = stops[-1] if self.step is None else self.step
        if step not in stops:
            known = ", ".join(map(str, stops))
            raise ValueError(f"Given.step = {step}; allowed: one of {known}")
        return satisfying(records, cell, self.of, step=step, what="Given.of")


def _only_machine(records: Stored) -> dict[str, str] | None:
    """Return the only machine that trained some records; None if there were several."""
    first, *others = [one for store in records.stores for one in machines_of(store.manifest())]
    return first if all(other == first for other in others) else None


def _of_parent(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parent's fields of a child, by their paths in the parent."""
    start = "start.of."
    return {path.removeprefix(start): v for path, v in said.items() if path.startswith(start)}


def satisfying(
    records: Stored, cell: str, of: Verdict | pl.Expr, *, step: int, what: str
) -> UInt64[ndarray, " seed"]:
    """Return the seeds of a cell with a verdict at a stop, or for which an expression is true.

    An expression may depend on all rows at once, so that these are read into memory.

    Raises:
        ValueError: if the expression, which is called `what`, is not true or false of each row.
    """
    if isinstance(of, Verdict):
        column = records.stops(cell).index(step)
        return _together(
            seeds[verdicts[:, column] == of] for seeds, verdicts in records.verdicts[cell]
        )
    allowed = "allowed: a Polars expression that is true or false for every row of Records.history"
    history = records.rows(cell)
    try:
        rows = history.with_columns(satisfies=of)
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{what}: {' '.join(str(error).split())}; {allowed}") from None
    found = rows["satisfies"]
    if found.dtype != pl.Boolean or found.null_count():
        raise ValueError(f"{what}: it gives {found.dtype}, {found.null_count()} null; {allowed}")
    # Polars takes NaN for larger than every number.
    found = history.filter(found & ~history["verdict"].is_in([v.name for v in UNJUDGED]))
    return found.filter(step=step)["seed"].to_numpy()


def _together(parts: Iterable[UInt64[ndarray, " _"]]) -> UInt64[ndarray, " seed"]:
    return np.concatenate([np.zeros(0, np.uint64), *parts])
