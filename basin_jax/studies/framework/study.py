"""What a study is, and where it is made: a question as an object, and a folder with a size."""

import abc
import inspect
import json
import math
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import jax
import numpy as np
import polars as pl
from numpy import ndarray

from basin_jax.core.identity import digest_of, draws
from basin_jax.core.plugin import Plugin
from basin_jax.core.seeds import as_seeds
from basin_jax.core.sources import short_hash
from basin_jax.core.sweep import Child, Sweep
from basin_jax.core.verdict import Rule, Verdict, judge
from basin_jax.engine.backends import CPU
from basin_jax.engine.bisect import critical
from basin_jax.files import write_file
from basin_jax.methods.gradient import Gradient
from basin_jax.organisms.double_well import DoubleWell
from basin_jax.results.chunk import KEYS, check_seal, write_chunk
from basin_jax.results.rule import rule_identity
from basin_jax.rules.behavior import Behavior
from basin_jax.rules.preference import Preference
from basin_jax.runs.progress import Progress, Silent
from basin_jax.runs.provenance import machine_identity, package_identity
from basin_jax.runs.run import run
from basin_jax.statistics.estimates import Estimate, basin_fraction, quantile
from basin_jax.statistics.families import Families, betting_interval
from basin_jax.statistics.intervals import bonferroni_error
from basin_jax.studies.framework.rows import Finding, Kind, Row, level_of, row
from basin_jax.studies.framework.testbed import AUDIT, Subject


# Of the gap from which on a seed counts as deceptive.
GAPS = (0.25, 0.5, 0.75)
# What a fraction passes at its turn.
HALF = 0.5
# Halvings of a bisection: to a thousandth, and as far as floats go.
COARSE, FINE = 10, 30
# Seeds that are bisected, and stored, at once.
CHUNK = 4096
# Particles in a double well, whose fates are known: what controls a study's own machinery.
WELL = Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.05), num_steps=400)
WELL_RULE = Behavior(deceptive_gap=0.5)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of the seeds of some cells: of those that were asked for, and no others."""

    history: pl.DataFrame  # keys, and evidence
    rule: Rule
    root: int = 0  # of the study

    def at(self, cell: Sweep, step: int | None = None) -> pl.DataFrame:
        """Return a cell's seeds in their order, after a step; after the last one if None."""
        step = cell.num_steps if step is None else step
        digest = digest_of(rooted(cell, self.root))
        return self.history.filter(cell=digest, step=step).sort("seed")

    def verdicts(self, cell: Sweep, step: int | None = None) -> ndarray:
        """Return the names of a cell's verdicts."""
        return self.at(cell, step)["verdict"].to_numpy()

    def deceptive(self, cell: Sweep, step: int | None = None) -> ndarray:
        """Return which of a cell's seeds are deceptive."""
        return self.verdicts(cell, step) == Verdict.DECEPTIVE.name

    def evidence(self, cell: Sweep, step: int | None = None) -> dict[str, ndarray]:
        """Return the evidence of a cell's seeds, by name, such as any rule may judge."""
        frame = self.at(cell, step).select(pl.exclude(*KEYS))
        return {column.name: column.to_numpy() for column in frame}

    def fraction(
        self,
        cell: Sweep,
        of: Verdict = Verdict.DECEPTIVE,
        *,
        step: int | None = None,
        cells: int = 1,
    ) -> Estimate:
        """Estimate the fraction of a verdict; so many estimates are to hold at once."""
        return basin_fraction(self.verdicts(cell, step), of, num_intervals=cells)

    def untrained(self, cell: Sweep, *, cells: int = 1) -> Estimate:
        """Estimate the fraction that is deceptive before training, where no network is fit."""
        verdicts = judge(whatever_fit(self.rule), self.evidence(cell, 0))
        return basin_fraction(verdicts, num_intervals=cells)

    def shares(
        self, cell: Sweep, what: str, *, step: int | None = None, cells: int = 1
    ) -> tuple[Row, Row]:
        """Return the fractions that are deceptive, and that are partial: so in some contexts."""
        deceptive, partial = (
            row(f"{what}: {of.name.lower()}", self.fraction(cell, of, step=step, cells=cells))
            for of in (Verdict.DECEPTIVE, Verdict.PARTIAL)
        )
        return deceptive, partial

    def seeds(self, cell: Sweep, of: Verdict) -> ndarray:
        """Return the seeds of a verdict."""
        return self.at(cell).filter(verdict=of.name)["seed"].to_numpy().astype(np.uint64)

    def by_gap(self, cell: Sweep, step: int | None = None) -> dict[float, ndarray]:
        """Return a cell's verdicts by each threshold of the gap, as far as the rule has one."""
        least = getattr(self.rule, "intended_gap", 1.0)
        gaps = [gap for gap in GAPS if gap >= least] if hasattr(self.rule, "deceptive_gap") else []
        evidence = self.evidence(cell, step)
        return self.rule.sensitivity(evidence, "deceptive_gap", gaps) if gaps else {}

    def thresholds(
        self, cell: Sweep, what: str, *, step: int | None = None, cells: int = 1
    ) -> list[Row]:
        """Return how a cell's deceptive fraction moves with the rule's threshold of the gap."""
        return [
            row(
                f"{what}, by a gap of at least {gap:g}",
                basin_fraction(verdicts, num_intervals=cells),
                kind="sensitivity",
            )
            for gap, verdicts in self.by_gap(cell, step).items()
        ]


@dataclass(frozen=True, kw_only=True)
class Lab:
    """Trains what a study asks for, as far as it is not there yet, in one folder.

    All that it trains has its root, parents included, whatever the root of the sweep it is given.
    So the rows of a study share seeds, and studies of different roots share none.
    """

    folder: Path
    root: int = 0
    quick: bool  # a figure in minutes on two cores, rather than an accelerator's hours
    progress: Progress = Silent()  # noqa: RUF009 (has no state)

    @property
    def lanes(self) -> int | None:
        """The lanes of a sweep: measured where that is worth its time."""
        on_cpu = jax.local_devices()[0].platform == "cpu"
        return CPU.first_lanes if self.quick and on_cpu else None

    def run(
        self,
        name: str,
        cells: Sequence[Sweep],
        seeds: int | ndarray,
        *,
        rule: Rule,
        lanes: int | None = None,
    ) -> Outcome:
        """Train the seeds of some cells, and return what became of them.

        What hangs on the number of seeds that are trained side by side may ask for its `lanes`.

        Raises:
            ValueError: where there are no seeds, such as of a verdict that none had.
        """
        asked = _some(name, seeds)
        records = run(
            [rooted(cell, self.root) for cell in cells],
            seeds if isinstance(seeds, int) else asked,
            self.folder / name,
            rule=rule,
            lanes=lanes or self.lanes,
            progress=self.progress,
        )
        wanted = pl.DataFrame({"seed": asked}, schema_overrides={"seed": pl.UInt64})
        # The fields that vary are of the cells, and no evidence.
        history = records.history.select(*KEYS, *records.evidence_names)
        history = history.cast({"seed": pl.UInt64})
        history = history.join(wanted, on="seed", how="semi")
        return Outcome(history=history, rule=rule, root=self.root)

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
        """Bisect each seed's own critical value, or read what was found before.

        Raises:
            ValueError: where there are no seeds, such as of a verdict that none had.
        """
        asked, sweep = _some(path, seeds), rooted(sweep, self.root)
        halvings = halvings or (COARSE if self.quick else FINE)
        given = [path, between, rule_identity(rule), sorted(of), halvings, self.lanes]
        made = [package_identity("engine/bisect"), machine_identity(), digest_of(sweep), *given]
        parts = []
        for first in range(0, len(asked), CHUNK):
            part = asked[first : first + CHUNK]
            identity = short_hash(json.dumps([*made, part.tolist()], sort_keys=True))
            file = self.folder / "critical" / f"{identity}.parquet"
            if not _is_sound(file):
                self.progress.tell(f"bisecting {path} of {len(part):,} seeds")
                found = critical(
                    sweep,
                    path,
                    part,
                    between=between,
                    rule=rule,
                    of=of,
                    halvings=halvings,
                    lanes=self.lanes,
                )
                file.parent.mkdir(parents=True, exist_ok=True)
                write_file(file, write_chunk(found), staged=file.with_suffix(f".{os.getpid()}"))
            parts.append(pl.read_parquet(file))
        return pl.concat(parts)


def _is_sound(file: Path) -> bool:
    """Return whether a bisection is there as it was written."""
    try:
        check_seal(file.read_bytes())
    except (OSError, ValueError):
        return False
    return True


def root_of(study: str) -> int:
    """Return the root of a study's random numbers: a hash of its name."""
    return int(short_hash(study), 16) % 2**32


def rooted(sweep: Sweep, root: int) -> Sweep:
    """Return a sweep with another root, and its parents with it."""
    start = sweep.start
    if isinstance(start, Child):
        start = start.replace(of=rooted(start.of, root))
    return sweep.replace(start=start, root=root)


def _some(name: str, seeds: int | ndarray) -> ndarray:
    if not isinstance(seeds, int) and not len(seeds):
        raise ValueError(
            f"{name} has no seeds, since none ended as it asks; allowed: more seeds, or a subject "
            "of which some do"
        )
    return np.asarray(as_seeds(seeds), np.uint64)


class Study(Plugin, abc.ABC):
    """Put a question to an organism: train a few sweeps, and read them together.

    The number of seeds of a cell is `quick` for a figure in minutes on two cores, and `full` for
    one from an accelerator. `limits` are what it cannot tell.
    """

    subject: Subject = AUDIT
    quick: int = 256
    full: int = 20_000

    limits: ClassVar[tuple[str, ...]]

    @property
    def question(self) -> str:
        """The question: the first line of the file that defines the study."""
        return (inspect.getdoc(inspect.getmodule(type(self))) or "").partition("\n")[0]

    def seeds(self, lab: Lab) -> int:
        """Return how many seeds a cell trains."""
        return self.quick if lab.quick else self.full

    def require_no_draws(self) -> None:
        """Refuse a subject whose training draws at random, where a null holds only without.

        Raises:
            ValueError: naming the subject.
        """
        exact = not draws(self.subject.sweep)
        self.require(exact, "subject", "one whose training draws nothing at random")

    @abc.abstractmethod
    def measure(self, lab: Lab) -> Finding:
        """Train what is not there yet, and return what it says."""


def whatever_fit(rule: Rule) -> Rule:
    """Return a rule without its question whether a network is fit, for what is not trained yet."""
    return rule.replace(min_fit=None) if isinstance(rule, Behavior | Preference) else rule


def is_fit(verdicts: ndarray) -> ndarray:
    """Return which verdicts are of networks that have learned their objective."""
    return ~np.isin(verdicts, (Verdict.UNFIT.name, Verdict.DIVERGED.name))


def mean(
    values: ndarray, what: str, *, cells: int = 1, least: float = 0.0, kind: Kind = "measured"
) -> Row:
    """Return the mean of numbers from `least` to 1 that are finite, with bounds by betting."""
    finite = values[np.isfinite(values)]
    # Rounding may bring a rate beyond its ends.
    shares = np.clip((finite - least) / (1 - least), 0, 1)
    error = bonferroni_error(level_of(kind), cells, "fixed")
    each = Families(shares, np.ones(len(shares), int))
    ends = betting_interval(each, error=error, interval="fixed")
    low, high = (least + (1 - least) * end for end in ends)
    value = float(finite.mean())
    return Row(kind=kind, what=what, value=value, low=low, high=high, seeds=len(finite))


def median(found: pl.DataFrame, what: str, *, level: float = 0.95) -> Row:
    """Return the median of critical values; its interval reaches over the last halvings."""
    middle, _, high = quantile(found["high"].to_numpy(), 0.5, level=level)
    # Nothing that is bisected here is below 0, where a seed is beyond its change already.
    low = quantile(found["low"].clip(lower_bound=0).to_numpy(), 0.5, level=level)[1]
    return Row(
        kind="measured", what=f"{what}: median", value=middle, low=low, high=high, seeds=len(found)
    )


def turn(
    places: Sequence[int],
    found: Sequence[Row],
    what: str,
    *,
    past: float = HALF,
    kind: Kind = "measured",
    expected: float | None = None,
) -> Row:
    """Return the first place of a grid whose fraction is above `past`, and the turn's interval.

    The turn lies beyond the place up to which all fractions are below `past`, and not beyond the
    first that is above it, as often as the fractions' intervals hold at once. Where no place is
    known to be so, the interval has no end there.
    """
    below = np.logical_and.accumulate([one.high < past for one in found])
    passed = [p for p, one in zip(places, found, strict=True) if one.value > past]
    above = [p for p, one in zip(places, found, strict=True) if one.low > past]
    return Row(
        kind=kind,
        what=f"{what}: the turn",
        value=float(min(passed, default=math.inf)),
        low=float(places[below.sum() - 1] if below.any() else -math.inf),
        high=float(min(above, default=math.inf)),
        seeds=found[0].seeds,
        expected=expected,
    )


def farthest(found: ndarray, known: float, what: str, *, within: float) -> Row:
    """Return how far the farthest of some values is from what each of them must be."""
    # Where there is no value nothing was found.
    error = float(np.abs(found - known).max()) if len(found) else np.inf
    return Row(
        kind="known",
        what=f"{what}: farthest of all seeds from {known:.6g} (within {within:g})",
        value=error,
        low=max(error - within, 0.0),
        high=error,
        seeds=len(found),
        expected=0.0,
    )
