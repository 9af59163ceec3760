"""Train the seeds of a sweep that are missing, judge them, and commit them to its folder."""

import datetime
import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy import ndarray

from basin_jax.core.arguments import checked
from basin_jax.core.labels import labels_of
from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Rule, judge_again
from basin_jax.interrupts import interruptible
from basin_jax.results.chunk import KEYS
from basin_jax.results.records import Records
from basin_jax.results.request import Request, request_of
from basin_jax.results.store import Store, StoreError
from basin_jax.rules.behavior import Behavior
from basin_jax.runs.checks import (
    check_cells,
    check_note,
    check_settings,
    first_steps,
    remarks,
)
from basin_jax.runs.committed import CommittedSeeds
from basin_jax.runs.manifest import machine_number, manifest_of
from basin_jax.runs.progress import CellProgress, Progress, shown
from basin_jax.runs.provenance import machine_identity
from basin_jax.runs.shard import Shard, given_shard
from basin_jax.runs.training import Training, most_of
from basin_jax.runs.workers import Worker


# The sweeps of no file that this process has run with their rules: `replay` finds them.
RAN: dict[str, tuple[Sweep, Rule]] = {}


@checked
def run(
    sweep: Sweep | Sequence[Sweep] | Mapping[str, Sweep],
    seeds: int | np.integer | Sequence[int] | ndarray | None,
    store: str | os.PathLike[str],
    *,
    rule: Rule = Behavior(),  # noqa: B008 (frozen)
    until: float | None = None,
    whole: int | np.integer | Sequence[int] | ndarray | None = None,
    pilot: str | None = None,
    note: str | None = None,
    lanes: int | None = None,
    shard: Shard | None = None,
    retry_errors: bool = False,
    patience: float | None = None,
    progress: Progress | bool = True,
    origin: Mapping[str, Any] | None = None,
) -> Records:
    """Train the seeds of a sweep that its folder lacks.

    Args:
        sweep: a sweep, or the cells of a grid, or names and cells; all cells train the same seeds.
        seeds: their number n (0 to n - 1), a range, or chosen ones (no sample); None with `until`.
        store: the sweep's folder, made if it does not exist, or a URL such as s3://BUCKET/NAME.
        rule: the decision rule. It belongs to the folder's identity; give another one to `load`.
        until: the width of the confidence sequence of the deceptive fraction at which a cell stops.
        whole: the seeds, fixed beforehand, that several runs share; `seeds` if None.
        pilot: the choice that these seeds serve, such as a threshold. No estimate counts them.
        note: what the run is for. It changes no identity, and stays with this run.
        lanes: the number of lanes; measured if None, and then kept.
        shard: the part to train first; if None, that of a Slurm array's task or `jax.distributed`.
        retry_errors: whether to train stored seeds whose verdict is ERROR again.
        patience: the seconds to wait for a call of some 1 s; 600, or 50 times the longest, if None.
        progress: whether to show messages and progress, or what receives them.
        origin: the sweep's file, to be recorded.

    Raises:
        ValueError: if the plug-ins, the seeds or the settings do not fit together.
        StoreError: if the folder holds another sweep; it is left unchanged.
        TrainingError: if training fails whatever the seed. A seed that fails alone is ERROR.
        GaveUp: if a call has not ended; the same run in another process goes on.
        Interrupted: on SIGINT, SIGTERM and other signals, after what was trained is committed.

    >>> import basin_jax as bj, tempfile
    >>> organism, method = bj.organisms.DoubleWell(), bj.methods.Gradient(learning_rate=0.3)
    >>> sweep = bj.Sweep(organism=organism, method=method, num_steps=10)
    >>> len(run(sweep, 8, tempfile.mkdtemp(), lanes=8).frame)
    8
    """
    wanted, names = check_settings(sweep, seeds, until=until, whole=whole, pilot=pilot, lanes=lanes)
    asked, request = request_of(seeds, until=until, whole=whole, pilot=pilot)
    check_note(note)
    cells = check_cells(wanted, rule, first_step=first_steps(Store(store), patience))
    with shown(progress) as receiver, interruptible() as stop:
        given = {"rule": rule, "asked": asked, "progress": receiver}
        opened = open_folder(Store(store), cells, names, request=request, lanes=lanes, **given)
        with Worker(opened.folder, shard or given_shard(), request).alive() as worker:
            given |= {"until": until, "patience": patience, "worker": worker, "stop": stop}
            record = _run_record(request, origin, note)
            _train(opened.training(**given, retry_errors=retry_errors), cells, record)
    return Records(opened.folder.where)


class Opened(NamedTuple):
    """A folder that was opened for a run.

    Attributes:
        folder: the folder.
        manifest: the content of its `sweep.json`.
        states: how far each cell is.
        committed: what the folder holds.
    """

    folder: Store
    manifest: dict[str, Any]
    states: dict[str, CellProgress]
    committed: CommittedSeeds

    def training(self, **settings: Any) -> Training:
        """Return the training of its cells by this machine, with further settings."""
        return Training(
            manifest=self.manifest,
            machine=machine_number(self.manifest, machine_identity()),
            states=self.states,
            committed=self.committed,
            **settings,
        )


def _train(training: Training, cells: dict[str, Sweep], record: dict[str, Any]) -> None:
    """Train what is missing, and record that the run began and finished."""
    if record["origin"] is None:
        RAN.update({digest: (cell, training.rule) for digest, cell in cells.items()})
    folder = training.committed.store
    name = folder.record_run(record)
    training.train(cells)
    asked = None if training.until is not None else len(training.asked)
    done = {d: n if asked is None else asked for d, n in training.done.items()}
    folder.finish_run(name, done)


def open_folder(
    folder: Store,
    cells: dict[str, Sweep],
    names: Sequence[str],
    *,
    rule: Rule,
    request: Request,
    asked: Sequence[int],
    lanes: int | None,
    progress: Progress,
) -> Opened:
    """Open a folder for a run: tune the cells that are new to it, and write `sweep.json`.

    See `run` for the arguments; `names` are those of the cells, or none.

    Raises:
        StoreError: if the folder holds another sweep.
    """
    for remark in remarks(list(cells.values())):
        progress.tell(remark)
    until = request.width
    if until is not None and folder.exists():
        _refuse_pilots(folder, until)
    # A width needs at most so many seeds, or hardly more.
    seeds = len(asked) if until is None else round(4 / until**2)
    limits = {
        "names": dict(zip(cells, names, strict=False)),
        "lanes": lanes,
        "seeds": seeds,
        "most": most_of(until),
    }
    committed = CommittedSeeds(folder, ())

    def made(old: dict[str, Any] | None) -> dict[str, Any]:
        manifest = manifest_of(cells, rule, folder, old, **limits, tell=progress.tell)
        nonlocal committed
        committed = CommittedSeeds(folder, cells)  # refuses damaged chunks
        found = folder.by_cell()
        for digest in found.keys() & cells.keys():
            _expect_own_verdicts(folder, found[digest][0], rule)
        return manifest

    # Of workers that start together one tunes and writes, and the others use what it wrote.
    with folder.locked():
        folder.prepare()
        manifest = folder.update(made)
    states = states_of(cells, names, committed, asked, until)
    return Opened(folder, manifest, states, committed)


def states_of(
    cells: dict[str, Sweep],
    names: Sequence[str],
    committed: CommittedSeeds,
    asked: Sequence[int],
    until: float | None,
) -> dict[str, CellProgress]:
    """Return the state of each cell, of which nothing is counted yet."""
    fields = {digest: cell.fields() for digest, cell in cells.items()}
    labels = labels_of(fields, dict(zip(cells, names, strict=False)))
    return {
        digest: CellProgress(
            label=labels[digest],
            steps=cell.all_steps,
            siblings=cell.siblings,
            asked=None if until else max(len(asked), committed.count(digest)[0]),
        )
        for digest, cell in cells.items()
    }


def _refuse_pilots(folder: Store, until: float) -> None:
    """Raise `StoreError` if a pilot's seeds would affect when to stop."""
    if any(Request.read(run).pilot is not None for run in folder.runs()):
        raise StoreError(
            f"until = {until}, and {folder.where} holds the seeds of a pilot, which no estimate "
            "counts; allowed: a number of seeds, or another folder"
        )


def _expect_own_verdicts(folder: Store, chunk: str, rule: Rule) -> None:
    """Raise `StoreError` if the rule gives other verdicts than those of a stored chunk.

    A rule's identity does not include the files that it reads.
    """
    (stored,) = folder.rows([chunk])
    evidence = {name: stored[name].to_numpy() for name in stored.columns if name not in KEYS}
    verdicts = stored["verdict"].to_numpy()
    if (judge_again(rule, evidence, verdicts) != verdicts).any():
        raise StoreError(
            f"{folder.where} has other verdicts than {type(rule).__name__} gives now: something "
            "that it reads has changed; give another folder, or judge all of it anew: basin-jax "
            f"report {folder.where} --rule FILE"
        )


def _run_record(
    request: Request, origin: Mapping[str, Any] | None, note: str | None
) -> dict[str, Any]:
    made = {
        "began": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "host": platform.node(),
        "python": platform.python_version(),
        "devices": len(jax.local_devices()),
        "request": request.record(),
        "origin": origin,
    }
    return made if note is None else {**made, "note": note}
