"""What a study is, and where it is made: a question as an object, and a folder with a size."""

import abc
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import jax
import numpy as np
import polars as pl
from numpy import ndarray

from basin_jax.base import Plugin
from basin_jax.critical import critical
from basin_jax.identity import describe, package_identity, short_hash
from basin_jax.loop import run
from basin_jax.progress import Progress, Silent
from basin_jax.records import Records
from basin_jax.spec import Sweep
from basin_jax.studies.finding import Finding, Row
from basin_jax.studies.subject import AUDIT, Subject
from basin_jax.tune import FIRST
from basin_jax.verdict import Rule, Verdict


# Of the gap from which on a seed counts as deceptive.
GAPS = (0.25, 0.5, 0.75)
# Halvings of a bisection: to a thousandth, and as far as floats go.
COARSE, FINE = 10, 30


@dataclass(frozen=True, kw_only=True)
class Lab:
    """Trains what a study asks for, as far as it is not there yet, in one folder."""

    folder: Path
    quick: bool  # a figure in minutes on two cores, rather than an accelerator's hours
    progress: Progress = Silent()  # noqa: RUF009 (has no state)

    @property
    def lanes(self) -> int | None:
        """The lanes of a sweep: measured where that is worth its time."""
        cpu = jax.local_devices()[0].platform == "cpu"
        return FIRST["simd"] if self.quick and cpu else None

    def run(
        self,
        name: str,
        cells: Sequence[Sweep],
        seeds: int | ndarray,
        *,
        rule: Rule,
    ) -> Records:
        """Train the seeds of some cells, and return their records."""
        return run(
            cells, seeds, self.folder / name, rule=rule, lanes=self.lanes, progress=self.progress
        )

    def critical(
        self,
        sweep: Sweep,
        path: str,
        seeds: int | ndarray,
        *,
        between: tuple[float, float],
        rule: Rule,
        of: Collection[Verdict] = (Verdict.DECEPTIVE,),
        halvings: int | None = None,
    ) -> pl.DataFrame:
        """Bisect each seed's own critical value, or read what was found before."""
        halvings = halvings or (COARSE if self.quick else FINE)
        asked = np.arange(seeds) if isinstance(seeds, int) else seeds
        given = [path, asked.tolist(), between, describe(rule), sorted(of), halvings]
        identity = [package_identity(), sweep.digest(), *given]
        file = self.folder / "critical" / f"{short_hash(json.dumps(identity))}.parquet"
        if not file.exists():
            self.progress.tell(f"bisecting {path} of {len(asked):,} seeds")
            found = critical(
                sweep,
                path,
                asked,
                between=between,
                rule=rule,
                of=of,
                halvings=halvings,
                lanes=self.lanes,
            )
            file.parent.mkdir(parents=True, exist_ok=True)
            staged = file.with_suffix(".part")
            found.write_parquet(staged)
            staged.replace(file)
        return pl.read_parquet(file)


class Study(Plugin, abc.ABC):
    """Put a question to an organism: train a few sweeps, and read them together.

    The number of seeds of a cell is `quick` for a figure in minutes on two cores, and `full` for
    one from an accelerator. Its last word is what it cannot tell.
    """

    subject: Subject = AUDIT
    quick: int = 256
    full: int = 20_000

    limits: ClassVar[tuple[str, ...]]

    def seeds(self, lab: Lab) -> int:
        """Return how many seeds a cell trains."""
        return self.quick if lab.quick else self.full

    @abc.abstractmethod
    def measure(self, lab: Lab) -> Finding:
        """Train what is not there yet, and return what it says."""


def thresholds(records: Records, rule: Rule, what: str, *, cell: str | None = None) -> list[Row]:
    """Return how the deceptive fraction of a cell moves with the rule's threshold of the gap."""
    if not hasattr(rule, "deceptive_gap"):
        return []
    judged = Records(records.store.folder, rule=rule)
    table = judged.sensitivity("deceptive_gap", GAPS)
    chosen = table.filter(cell=cell or next(iter(records.cells)), verdict="DECEPTIVE")
    return [
        Row(
            kind="sensitivity",
            what=f"{what}, by a gap of at least {found['deceptive_gap']:g}",
            value=found["fraction"],
            low=found["low"],
            high=found["high"],
            seeds=found["trials"],
        )
        for found in chosen.to_dicts()
    ]
