"""Train a random sample of stored seeds again: how often do bits and verdicts differ?"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import polars as pl
from jaxtyping import UInt64
from numpy import ndarray

from basin_jax.core.arguments import checked
from basin_jax.core.sweep import Sweep
from basin_jax.core.trial import signature_of
from basin_jax.core.verdict import Rule, Verdict, judge
from basin_jax.engine.backends import BACKENDS
from basin_jax.engine.kernel import build_kernel
from basin_jax.results.records import Records
from basin_jax.results.trained import trained_by
from basin_jax.runs.provenance import changes_since
from basin_jax.runs.replay import sweep_and_rule, train_again
from basin_jax.statistics.estimates import Estimate, estimate


@dataclass(frozen=True, kw_only=True)
class Recheck:
    """The results of stored seeds that were trained again.

    Attributes:
        frame: a row for each of them: its cell and seed, whether its evidence has the stored bits
            (`equal`), its verdict then and now, and whether this machine is of the kind that
            trained it (`same`).
        root: what decided the sample.
        changes: the differences between the machine then and now, a line for each.
    """

    frame: pl.DataFrame
    root: int
    changes: tuple[str, ...]

    @property
    def flips(self) -> Estimate:
        """The fraction of stored seeds whose verdict differs."""
        return estimate(int((self.frame["then"] != self.frame["now"]).sum()), len(self.frame))

    @property
    def differing(self) -> Estimate:
        """The fraction of stored seeds whose bits differ."""
        return estimate(int((~self.frame["equal"]).sum()), len(self.frame))


@checked
def recheck(
    folder: str | os.PathLike[str],
    *,
    seeds: int = 100,
    root: int | None = None,
    file: Path | None = None,
) -> Recheck:
    """Train a random sample of stored seeds again, on this machine.

    Args:
        folder: the sweep's folder, or its URL.
        seeds: how many of the stored seeds of all cells; all of them if there are fewer.
        root: decides the sample; drawn if None.
        file: the sweep's file; see `replay`.

    Raises:
        ValueError: if `seeds` is not positive, `root` is negative, no stored seed is without
            failure, one fails now, or the sweep is not known; see `replay`.

    >>> import tempfile
    >>> from basin_jax import Sweep, methods, organisms, run
    >>> method, folder = methods.Gradient(learning_rate=0.3), tempfile.mkdtemp()
    >>> sweep = Sweep(organism=organisms.DoubleWell(), method=method, num_steps=10)
    >>> _ = run(sweep, 8, folder, lanes=8)
    >>> recheck(folder, seeds=4).differing.hits
    0
    """
    if seeds < 1:
        raise ValueError(f"seeds = {seeds}; allowed: at least one")
    if root is not None and root < 0:
        raise ValueError(f"root = {root}; allowed: at least 0")
    records = Records(folder)
    drawn = int(np.random.SeedSequence().generate_state(1)[0]) if root is None else root
    parts, changes = [], dict[str, None]()
    samples = _sample(records, seeds, np.random.default_rng(drawn))
    if not samples:
        raise ValueError(
            f"{records.store.where} has no stored seed that did not fail; allowed: a folder of some"
        )
    for cell, sample in samples.items():
        sweep, rule = sweep_and_rule(records, cell, file)
        for machine, plan, own in trained_by(records.stores, cell, sample):
            differences = changes_since(machine)
            changes |= dict.fromkeys(differences)
            again = _again(records, cell, sweep, rule, plan, own)
            parts += [again.with_columns(same=pl.lit(not differences))]
    return Recheck(frame=pl.concat(parts).sort("cell", "seed"), root=drawn, changes=tuple(changes))


def _sample(
    records: Records, count: int, random: np.random.Generator
) -> dict[str, UInt64[ndarray, " seed"]]:
    """Draw some of the stored seeds of all cells, but for those that failed."""
    sound = {
        cell: [seeds[judged[:, -1] != Verdict.ERROR] for seeds, judged in own]
        for cell, own in records.verdicts.items()
    }
    stored, first = sum(len(seeds) for own in sound.values() for seeds in own), 0
    places = np.sort(random.choice(stored, min(count, stored), replace=False, shuffle=False))
    found: dict[str, list[ndarray]] = {}
    for cell, own in sound.items():
        for seeds in own:
            here = places[(places >= first) & (places < first + len(seeds))] - first
            first += len(seeds)
            if len(here):
                found.setdefault(cell, []).append(seeds[here])
    return {cell: np.concatenate(parts) for cell, parts in found.items()}


def _again(
    records: Records,
    cell: str,
    sweep: Sweep,
    rule: Rule,
    plan: dict[str, Any],
    sample: UInt64[ndarray, " seed"],
) -> pl.DataFrame:
    """Train some seeds of a cell again, and compare them with what is stored."""
    # Elsewhere its backend may have no program; then the one made for the device has.
    there = BACKENDS[plan["backend"]["name"]]
    runs = there.platform in (None, jax.local_devices()[0].platform)
    here = there.name if runs and there.why_not(signature_of(sweep)) is None else None
    kernel = build_kernel(sweep, lanes=plan["lanes"], backend=here)
    found, history = train_again(kernel, sample), records.rows(cell, sample)
    equal = np.ones(len(sample), bool)
    for name in records.evidence_names:
        stored = history[name].to_numpy().reshape(len(sample), -1)
        equal &= (_bits(stored) == _bits(found[name])).all(1)
    now = judge(rule, {name: values[:, -1] for name, values in found.items()})
    last = history.filter(step=records.stops(cell)[-1])
    return last.select("cell", "seed", then="verdict").with_columns(
        now=pl.Series([Verdict(verdict).name for verdict in now]), equal=pl.Series(equal)
    )


def _bits(values: ndarray) -> ndarray:
    return np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")
