"""Train the seeds of a sweep that are missing, judge them, and commit them to its folder."""

import datetime
import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from numpy import ndarray

from basin_jax.core.arguments import checked
from basin_jax.core.sweep import Sweep, label, varied
from basin_jax.core.verdict import Rule, judge
from basin_jax.results.chunk import KEYS
from basin_jax.results.records import Records
from basin_jax.results.request import Request, request_of
from basin_jax.results.store import Store, StoreError
from basin_jax.rules.behavior import Behavior
from basin_jax.runs.checks import check_cells, check_settings, remarks
from basin_jax.runs.manifest import manifest_of
from basin_jax.runs.progress import CellProgress, Progress, shown
from basin_jax.runs.training import Stored, Training, signals


# The most seeds of a chunk: as many as are read easily, or few between looks at an interval.
CHUNK, CHUNK_UNTIL = 2**17, 2**10
# The sweeps of no file that this process has run, by their digests: `replay` finds them.
RAN: dict[str, Sweep] = {}


@checked
def run(
    sweep: Sweep | Sequence[Sweep],
    seeds: int | np.integer | Sequence[int] | ndarray | None,
    store: str | os.PathLike[str],
    *,
    rule: Rule = Behavior(),  # noqa: B008 (frozen)
    until: float | None = None,
    whole: int | np.integer | Sequence[int] | ndarray | None = None,
    pilot: str | None = None,
    lanes: int | None = None,
    progress: Progress | bool = True,
    origin: Mapping[str, Any] | None = None,
) -> Records:
    """Train the seeds of a sweep that its folder lacks.

    Args:
        sweep: a sweep, or the cells of a grid; all cells train the same seeds.
        seeds: their number (0 to n - 1), or the seeds; None with `until`. A number or a range is a
            sample of all seeds. Estimates from other seeds are conditional on their choice.
        store: the sweep's folder, made if it does not exist, or a URL such as s3://BUCKET/NAME.
        rule: the decision rule. It belongs to the folder's identity; give another one to `load`.
        until: the width of the confidence sequence of the deceptive fraction at which a cell stops.
        whole: the seeds of which these are a part, if several runs share a number of seeds that
            is fixed beforehand; `seeds` if None.
        pilot: the choice that these seeds serve, such as a threshold. No estimate counts them.
        lanes: the number of lanes; measured if None, and then kept.
        progress: whether to show messages and progress, on a terminal, in a notebook, or as lines
            of the standard error; or what receives them.
        origin: the sweep's file, to be recorded.

    Raises:
        ValueError: if the plug-ins, the seeds or the settings do not fit together.
        StoreError: if the folder holds another sweep; it is left unchanged.
        Interrupted: on SIGINT and SIGTERM, after what was trained is committed.

    >>> import tempfile
    >>> from basin_jax import Sweep, methods, organisms
    >>> method = methods.Gradient(learning_rate=0.3)
    >>> sweep = Sweep(organism=organisms.DoubleWell(), method=method, num_steps=10)
    >>> len(run(sweep, 8, tempfile.mkdtemp(), lanes=8).frame)
    8
    """
    wanted = [sweep] if isinstance(sweep, Sweep) else list(sweep)
    check_settings(wanted, seeds, until=until, whole=whole, pilot=pilot, lanes=lanes)
    asked, request = request_of(seeds, until=until, whole=whole, pilot=pilot)
    cells = check_cells(wanted, rule)
    with shown(progress) as receiver:
        for remark in remarks(wanted):
            receiver.tell(remark)
        opened = _open(store, cells, rule, request, asked, lanes, receiver)
        folder, manifest, states, stored = opened
        name = folder.record_run(_run_record(request, origin))
        RAN.update(cells if origin is None else {})
        with signals(receiver.tell) as stop:
            most = min(CHUNK if until is None else CHUNK_UNTIL, manifest["chunk"])
            given = folder, manifest, asked, most, until, rule, receiver, states, stored, stop
            Training(*given).train(cells)
    done = {d: len(asked) if until is None else state.done for d, state in states.items()}
    folder.finish_run(name, done)
    return Records(folder.where)


def _open(
    store: str | os.PathLike[str],
    cells: dict[str, Sweep],
    rule: Rule,
    request: Request,
    asked: Sequence[int],
    lanes: int | None,
    progress: Progress,
) -> tuple[Store, dict[str, Any], dict[str, CellProgress], dict[str, Stored]]:
    """Open a folder for a run; return it, its manifest, and each cell's state and stored seeds."""
    folder, until = Store(store), request.width
    if until is not None and folder.exists():
        _refuse_pilots(folder, until)
    most = CHUNK if until is None else CHUNK_UNTIL
    # A width needs at most so many seeds, or hardly more.
    seeds = len(asked) if until is None else round(4 / until**2)
    limits = {"lanes": lanes, "seeds": seeds, "most": most}
    stored: dict[str, Stored] = {}

    def made(old: dict[str, Any] | None) -> dict[str, Any]:
        manifest = manifest_of(cells, rule, folder, old, **limits, tell=progress.tell)
        found = folder.by_cell()
        # Refuses damaged chunks.
        stored.update({d: folder.verdicts(d, found.get(d, ())) for d in cells})
        for digest in found.keys() & cells.keys():
            _expect_own_verdicts(folder, found[digest][0], rule)
        return manifest

    # Of workers that start together one tunes and writes, and the others use what it wrote.
    with folder.locked():
        folder.prepare()
        manifest = folder.update(made)
    fields = {digest: manifest["cells"][digest]["fields"] for digest in cells}
    paths = varied(list(fields.values()))
    states = {
        digest: CellProgress(
            label=label(fields[digest], paths),
            steps=cell.all_steps,
            siblings=cell.siblings,
            asked=None if until else max(len(asked), len(stored[digest][0])),
        )
        for digest, cell in cells.items()
    }
    return folder, manifest, states, stored


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
    stored = folder.rows(chunk)
    evidence = {name: stored[name].to_numpy() for name in stored.columns if name not in KEYS}
    if (judge(rule, evidence) != stored["verdict"].to_numpy()).any():
        raise StoreError(
            f"{folder.where} has other verdicts than {type(rule).__name__} gives now: something "
            "that it reads has changed; give another folder, or judge all of it anew: basin-jax "
            f"report {folder.where} --rule FILE"
        )


def _run_record(request: Request, origin: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "began": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "host": platform.node(),
        "python": platform.python_version(),
        "devices": len(jax.local_devices()),
        "request": request.record(),
        "origin": origin,
    }
