"""Train a stored seed again: its evidence over training, and its bits at the end."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import UInt64
from numpy import ndarray

from basin_jax.core.arguments import checked
from basin_jax.core.identity import digest_of, evidence_names
from basin_jax.core.seeds import SEEDS
from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Rule
from basin_jax.engine.faults import FAULTS, forget_callbacks, reason_of
from basin_jax.engine.kernel import Kernel, build_kernel
from basin_jax.results.records import Records
from basin_jax.results.trained import trained_by
from basin_jax.runs.provenance import changes_since
from basin_jax.runs.run import RAN
from basin_jax.runs.sweepfile import is_remembered, load_sweep


# Probes during training, dense at the beginning, where most is decided.
POINTS = 60


@dataclass(frozen=True, kw_only=True)
class Replay:
    """The results of a seed that was trained again."""

    records: Records
    cell: str  # its digest
    seed: int
    verdict: str  # stored
    evidence: dict[str, float]  # stored
    curve: pl.DataFrame  # a row for each step at which it was probed again
    differing: tuple[str, ...]  # the evidence whose bits differ from the stored ones
    changes: tuple[str, ...]  # the differences between the machine then and now


@checked
def replay(
    folder: str | os.PathLike[str],
    *,
    seed: int,
    cell: str | None = None,
    file: Path | None = None,
) -> Replay:
    """Train one stored seed again with the backend that it was trained with.

    Its evidence over training comes from a second kernel that probes more often, and
    whose low bits may therefore differ; the comparison is made with the first.

    Args:
        folder: the sweep's folder, or its URL.
        seed: the stored seed.
        cell: the cell of a grid, such as "difficulty=2".
        file: the sweep's file; if None, the sweep that this process has run, or the file that the
            user ran, if it is unchanged.

    Raises:
        ValueError: if the seed is not stored or fails, the cell is ambiguous, the sweep's file no
            longer makes this sweep, or the user neither names it nor ran its present content.
    """
    records = Records(folder)
    digest = records.digest(cell, "--cell")
    stored = records.rows(digest, np.array([seed] if 0 <= seed < SEEDS else [], np.uint64))
    if stored.is_empty():
        known = [seeds for seeds, _ in records.verdicts[digest]]
        ends = f", from {known[0][0]} to {known[-1][-1]}" if known else ""
        raise ValueError(
            f"seed {seed} is not stored in {folder} for {records.label(digest)}; "
            f"allowed: one of its {sum(map(len, known))} seeds{ends}"
        )
    sweep, _ = sweep_and_rule(records, digest, file)
    names = records.evidence_names
    machine, plan, one = next(trained_by(records.stores, digest, np.array([seed], np.uint64)))
    lanes, backend = plan["lanes"], plan["backend"]["name"]
    if strange := {*names} - {*evidence_names(sweep)}:
        raise ValueError(
            f"the stored evidence {strange.pop()!r} is none that the sweep gives; "
            "allowed: a folder that it made"
        )
    again = train_again(build_kernel(sweep, lanes=lanes, backend=backend), one)
    differing = [n for n in names if again[n][0].tobytes() != stored[n].to_numpy().tobytes()]

    steps = np.unique(np.round(sweep.num_steps * np.linspace(0, 1, POINTS) ** 2).astype(int))
    along = sweep.replace(save_at=tuple(int(step) for step in steps[:-1]))
    evidence = train_again(build_kernel(along, lanes=lanes, backend=backend), one)
    curve = pl.DataFrame({"step": along.stops} | {n: evidence[n][0] for n in names})

    return Replay(
        records=records,
        cell=digest,
        seed=seed,
        verdict=stored["verdict"][-1],
        evidence={n: stored[n][-1] for n in names},
        curve=curve,
        differing=tuple(differing),
        changes=tuple(changes_since(machine)),
    )


def train_again(kernel: Kernel, seeds: UInt64[ndarray, " seed"]) -> dict[str, ndarray]:
    """Return the evidence [seed, stop] of stored seeds.

    Raises:
        ValueError: if one of them fails.
    """
    try:
        return kernel(seeds)
    except FAULTS as error:
        forget_callbacks()
        which = f"seed {seeds[0]}" if len(seeds) == 1 else f"one of {len(seeds):,} seeds"
        raise ValueError(f"{which} fails: {reason_of(error)}") from error


def sweep_and_rule(records: Records, digest: str, file: Path | None) -> tuple[Sweep, Rule]:
    """Return the sweep of a cell, and the rule that judges it.

    Raises:
        ValueError: if the sweep's file no longer makes this sweep, or the user neither names it
            nor ran its present content.
    """
    if file is None and digest in RAN:
        sweep, rule = RAN[digest]
        if digest_of(sweep) == digest:
            return sweep, records.judged_by or rule
        raise ValueError(
            f"{records.label(digest)} is no longer what it was when it was trained, since a cell "
            "or a global has changed; run the cells as they were, and `basin_jax.run` again"
        )
    origins = [run["origin"] for run in records.runs if run.get("origin")]
    if not origins and file is None:
        raise ValueError(
            f"{records.store.where} names no sweep file, since it was run from Python in another "
            "session; run that code (a notebook's cells) and `basin_jax.run` here first, which "
            "trains no stored seed again, or give a file that defines `sweep`: --file"
        )
    origin = origins[-1] if origins else {"file": "", "set": []}
    path = file or Path(os.path.relpath(records.store.folder / origin["file"]))
    # The folder may be from somebody else, and would decide which file is run.
    if file is None and not is_remembered(path):
        raise ValueError(
            f"{path} is no file that you ran as it is now, though {records.store.where} names it; "
            "if you trust it, give it: --file"
        )
    made = load_sweep(path, origin["set"])
    for sweep in made.cells:
        if digest_of(sweep) == digest:
            return sweep, records.judged_by or made.rule
    raise ValueError(
        f"{path} no longer makes {records.label(digest)} as it was when it was trained; "
        "allowed: the file, the package version and the files it imports as they were"
    )
