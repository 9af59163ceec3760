"""Train one stored seed again: its evidence over training, and its bits at the end."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from basin_jax.base import closest
from basin_jax.files import make_folder
from basin_jax.kernel import build_kernel
from basin_jax.manifest import machine_identity
from basin_jax.plots import history
from basin_jax.records import Records
from basin_jax.single import evidence_names
from basin_jax.spec import Sweep
from basin_jax.sweepfile import is_remembered, load_sweep


# Probes along the way, dense at the beginning, where most is decided.
POINTS = 60


@dataclass(frozen=True)
class Replay:
    """What became of a seed that was trained again."""

    text: str
    figure: Path
    equal: bool  # to the stored bits


def replay(folder: Path, *, seed: int, cell: str | None, file: Path | None) -> Replay:
    """Train one stored seed again with the program that it was trained with.

    Its evidence over training comes from a second program that probes more often, and
    whose low bits may therefore differ; the comparison is made with the first.

    Raises:
        ValueError: where the seed is not stored, the cell is not clear, the sweep's file no
            longer makes this sweep, or the user neither names it nor ran it as it is now.
    """
    records = Records(folder)
    digest = _cell(records, cell)
    stored = records.history.filter(cell=digest).filter(pl.col("seed") == seed).sort("step")
    if stored.is_empty():
        known = records.frame.filter(cell=digest)["seed"]
        raise ValueError(
            f"seed {seed} is not stored in {folder} for {records.label(digest)}; "
            f"allowed: one of its {len(known)} seeds, from {known.min()} to {known.max()}"
        )
    sweep = _sweep(records, digest, file)
    names = records.evidence_names
    plan = records.manifest["cells"][digest]
    lanes, program = plan["lanes"], plan["program"]["name"]

    if strange := {*names} - {*evidence_names(sweep)}:
        raise ValueError(
            f"the stored evidence {strange.pop()!r} is none that the sweep gives; "
            "allowed: a folder that it made"
        )
    again = build_kernel(sweep, lanes=lanes, program=program)(np.array([seed], np.uint64))
    differing = [n for n in names if again[n][0].tobytes() != stored[n].to_numpy().tobytes()]

    steps = np.unique(np.round(sweep.num_steps * np.linspace(0, 1, POINTS) ** 2).astype(int))
    along = sweep.replace(save_at=tuple(int(step) for step in steps[:-1]))
    evidence = build_kernel(along, lanes=lanes, program=program)(np.array([seed], np.uint64))
    curve = pl.DataFrame({"step": along.stops} | {n: evidence[n][0] for n in names})

    verdict = stored["verdict"][-1]
    title = f"{records.label(digest)}, seed {seed}: {verdict}"
    figure = _save(records, digest, seed, curve, title)
    lines = [title, *(f"  {n:12} {stored[n][-1]: .6g}" for n in names)]
    if differing:
        lines.append(f"DIFFERS from the stored bits in: {', '.join(differing)}")
        lines += _why(records)
    else:
        lines.append("Equal to the stored bits.")
    lines.append(f"Figure: {figure}")
    return Replay(text="\n".join(lines), figure=figure, equal=not differing)


def _cell(records: Records, wanted: str | None) -> str:
    labels = {records.label(digest): digest for digest in records.cells}
    if wanted is None and len(labels) == 1:
        return next(iter(labels.values()))
    if wanted in records.cells:
        return wanted
    if wanted not in labels:
        given = "is needed, since there are several cells" if wanted is None else f"= {wanted!r}"
        raise ValueError(f"--cell {given}; allowed: {closest(wanted or '', labels)}")
    return labels[wanted]


def _sweep(records: Records, digest: str, file: Path | None) -> Sweep:
    origins = [run["origin"] for run in records.store.runs() if run.get("origin")]
    if not origins and file is None:
        raise ValueError("the sweep was not run from a file; give the file that makes it: --file")
    origin = origins[-1] if origins else {"file": "", "set": []}
    path = file or Path(os.path.relpath(records.store.folder / origin["file"]))
    # The folder may be somebody else's, and what it names would be run.
    if file is None and not is_remembered(path):
        raise ValueError(
            f"{path} is no file that you ran as it is now, though {records.store.folder} names it; "
            "if you trust it, give it: --file"
        )
    made = load_sweep(path, origin["set"])
    for sweep in made.cells:
        if sweep.digest() == digest:
            return sweep
    raise ValueError(
        f"{path} no longer makes {records.label(digest)} as it was when it was trained; "
        "allowed: the file, the package version and the files it imports as they were"
    )


def _save(records: Records, digest: str, seed: int, curve: pl.DataFrame, title: str) -> Path:
    folder = records.store.folder / "replay"
    make_folder(folder)
    path = folder / f"{digest}-{seed}.png"
    history(curve, title=title).savefig(path, dpi=200)
    return path


def _why(records: Records) -> list[str]:
    then, now = records.manifest["machine"], machine_identity()
    return [f"  {n}: {then[n]} then, {now[n]} now" for n in now if then.get(n) != now[n]]
