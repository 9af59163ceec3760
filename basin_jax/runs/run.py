"""The one loop with side effects: train what is missing, judge it, commit it."""

import datetime
import os
import platform
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import jax
import numpy as np
from numpy import ndarray

from basin_jax.core.identity import digest_of, evidence_names
from basin_jax.core.sweep import Sweep, label, varied
from basin_jax.core.trial import signature_of
from basin_jax.core.verdict import Rule, Verdict, judge
from basin_jax.engine.backends import LANES
from basin_jax.engine.kernel import Kernel, build_kernel
from basin_jax.engine.preflight import examine
from basin_jax.results.chunk import EVIDENCE, KEYS
from basin_jax.results.records import Records
from basin_jax.results.request import Request, request_of
from basin_jax.results.store import Store, StoreError
from basin_jax.rules.behavior import Behavior
from basin_jax.runs.manifest import manifest_of
from basin_jax.runs.plan import chunks, columns
from basin_jax.runs.progress import CellProgress, Progress, Silent
from basin_jax.schema import name as check_name
from basin_jax.statistics.estimates import estimate


# The most seeds of a chunk: as many as are read at ease, or few between looks.
CHUNK, CHUNK_UNTIL = 2**17, 2**10


class Interrupted(KeyboardInterrupt):
    """A run stopped by a signal, with all that was trained committed."""

    def __init__(self, signum: int):
        super().__init__(f"interrupted by {signal.Signals(signum).name}")
        self.signum = signum


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
    progress: Progress = Silent(),  # noqa: B008 (has no state)
    origin: Mapping[str, Any] | None = None,
) -> Records:
    """Train the seeds of a sweep that are not in its folder yet, and return the results.

    Args:
        sweep: one sweep, or the cells of a grid; every cell runs the same seeds.
        seeds: how many (0 to n - 1), or which; None for as many as `until` needs. A number
            or a range is a sample of all seeds; estimates over seeds that are given one by one
            are conditional on the choice: see `Records.sample`.
        store: the sweep's folder, made if it is not there.
        rule: what judges the evidence. It is part of the folder's identity; to judge
            by another one, pass it to `load`.
        until: stop a cell where the confidence sequence of its deceptive fraction is
            this narrow. Looks are taken at commits, and the rule is recorded.
        whole: the seeds of which these are a part, where several runs share a fixed number
            of them; `seeds` if None. It has to be said before anything is seen: adjacent ranges
            could as well be a sweep that somebody went on with because of its results.
        pilot: what these seeds serve to choose, in words, such as a threshold. They are
            trained and stored, and no estimate counts them. Say so before other seeds are
            looked at: to leave seeds out because of their results is to choose the others.
        lanes: seeds trained side by side; measured if None, and then kept.
        progress: is told what happens.
        origin: recorded with the run: the file that the sweep comes from.

    Raises:
        ValueError: where the plug-ins, the seeds or the settings do not fit together.
        StoreError: where the folder holds another sweep; it is left as it was.
        Interrupted: on SIGINT and SIGTERM, after what was trained is committed.
    """
    wanted = [sweep] if isinstance(sweep, Sweep) else list(sweep)
    if (seeds is None) == (until is None):
        raise ValueError("seeds or until; allowed: exactly one of them")
    if until is not None and (whole is not None or pilot is not None):
        name, value = ("pilot", pilot) if whole is None else ("whole", whole)
        raise ValueError(f"{name} = {value!r} with until; allowed: with seeds")
    if until is not None and not 0 < until < 1:
        raise ValueError(f"until = {until}; allowed: a width above 0 and below 1")
    if until is not None and any(cell.siblings > 1 for cell in wanted):
        raise ValueError(
            f"until = {until}; allowed: a number of seeds, since those of one parent are alike"
        )
    if lanes is not None and not 1 <= lanes <= LANES:
        raise ValueError(f"lanes = {lanes}; allowed: at least 1, at most {LANES}")
    if seeds is None:
        asked, request = range(2**62), Request(seeds=None, width=until)
    else:
        asked, request = request_of(seeds, whole=whole, pilot=pilot)
    check(wanted, rule)
    cells = {_told(digest_of, cell): cell for cell in wanted}
    if len(cells) < len(wanted):
        raise ValueError("two cells are the same sweep; allowed: cells that differ in a field")
    folder = Store(store)
    if folder.folder.is_file():
        raise StoreError(f"{folder.folder} is a file; allowed: a folder, or a new name")
    if until is not None and folder.exists():
        _refuse_pilots(folder, until)
    # Of workers that start together one tunes and writes, and the others take what it wrote.
    with folder.locked():
        most = CHUNK if until is None else CHUNK_UNTIL
        manifest = manifest_of(cells, rule, folder, lanes=lanes, most=most, tell=progress.tell)
        stored = {digest: folder.verdicts(digest) for digest in cells}  # refuses damaged chunks
        for digest in cells:
            _expect_own_verdicts(folder, digest, rule)
        folder.write_manifest(manifest)
    folder.sweep_staging()
    name = folder.record_run(_run_record(request, origin))

    paths = varied([cell.fields() for cell in cells.values()])
    states = {
        digest: CellProgress(
            label=label(cell.fields(), paths),
            steps=cell.all_steps,
            siblings=cell.siblings,
            asked=None if until else max(len(asked), len(stored[digest][0])),
        )
        for digest, cell in cells.items()
    }
    with _signals(progress.tell) as stop:
        running = _Run(folder, manifest, asked, until, rule, progress, states, stop)
        workers = [running.group(group) for group in _sharing(cells, manifest)]
        # Some chunks of every group in turn, so that all fractions grow together.
        while workers and stop.signum is None:
            workers = [worker for worker in workers if next(worker, None)]
        if stop.signum is not None:
            raise Interrupted(stop.signum)
    folder.finish_run(
        name, {d: len(asked) if until is None else state.done for d, state in states.items()}
    )
    return Records(folder.folder)


@dataclass(frozen=True)
class _Run:
    """What the cells of a run share."""

    folder: Store
    manifest: dict[str, Any]
    asked: Sequence[int]
    until: float | None
    rule: Rule
    progress: Progress
    states: dict[str, CellProgress]
    stop: "_Stop"

    def group(self, cells: dict[str, Sweep]) -> Iterator[bool]:
        """Train cells that share lanes, yielding after each time that chunks are committed."""
        plan = self.manifest["cells"][next(iter(cells))]
        kernel = build_kernel(
            list(cells.values()), lanes=plan["lanes"], backend=plan["backend"]["name"]
        )
        numbers = {digest: number for number, digest in enumerate(cells)}
        todo = {digest: self._chunks(digest) for digest in cells}
        while todo and self.stop.signum is None:
            taken: dict[str, ndarray] = {}
            # A chunk of each cell in turn, until there are seeds enough for one of them.
            for digest in list(todo):
                if sum(map(len, taken.values())) >= self.manifest["chunk"]:
                    break
                chunk = next(todo[digest], None)
                todo[digest] = todo.pop(digest)  # to the end of the line
                if chunk is None:
                    self._finish(digest)
                    del todo[digest]
                else:
                    taken[digest] = chunk
            if taken:
                trained = self._train(kernel, taken, numbers)
                for digest, columns in trained.items():
                    if not self.folder.commit(digest, columns):
                        # Another worker has committed this chunk, or a shorter one: look again.
                        todo[digest] = self._chunks(digest)
                yield True

    def _chunks(self, digest: str) -> Iterator[ndarray]:
        """Yield the chunks that a cell still lacks, as long as they are wanted."""
        state = self.states[digest]
        done, verdicts = self.folder.verdicts(digest)
        state.done, state.hits = len(done), int((verdicts == Verdict.DECEPTIVE).sum())
        for chunk in chunks(self.asked, done=done, size=self.manifest["chunk"]):
            if self._enough(state):
                return
            yield chunk

    def _finish(self, digest: str) -> None:
        self.states[digest].finished = True
        self.progress.update(list(self.states.values()), self.states[digest])

    def _enough(self, state: CellProgress) -> bool:
        if self.until is None or not state.done:
            return False
        now = estimate(state.hits, state.done, interval="anytime")
        return now.high - now.low <= self.until

    def _train(
        self, kernel: Kernel, taken: dict[str, ndarray], numbers: dict[str, int]
    ) -> dict[str, dict[str, ndarray]]:
        """Train a chunk of each of some cells, or as much as there is time for before a stop."""
        current = self.states[next(iter(taken))]
        seconds = kernel.compile()
        if seconds > 1:
            self.progress.tell(
                f"compiled {self.states[next(iter(taken))].label} in {seconds:.1f} s"
            )
        seeds = np.concatenate(list(taken.values()))
        cells = np.repeat([numbers[d] for d in taken], [len(chunk) for chunk in taken.values()])
        parts: dict[str, list[tuple[ndarray, dict[str, ndarray]]]] = {d: [] for d in taken}
        for which, evidence in kernel.stream(seeds, cells):
            verdicts = judge(self.rule, {n: values[:, -1] for n, values in evidence.items()})
            for digest in taken:
                own = cells[which] == numbers[digest]
                if not own.any():
                    continue
                parts[digest].append((seeds[which[own]], {n: v[own] for n, v in evidence.items()}))
                current = self.states[digest]
                current.done += int(own.sum())
                current.hits += int((verdicts[own] == Verdict.DECEPTIVE).sum())
            self.progress.update(list(self.states.values()), current)
            if self.stop.signum is not None:
                break
        stops = kernel.cells[0].stops
        return {
            digest: columns(found, stops, self.rule) for digest, found in parts.items() if found
        }


def _sharing(cells: dict[str, Sweep], manifest: dict[str, Any]) -> list[dict[str, Sweep]]:
    """Return cells in groups that one kernel trains side by side."""
    groups: dict[Any, dict[str, Sweep]] = {}
    for digest, cell in cells.items():
        plan = manifest["cells"][digest]
        key = signature_of(cell), cell.schedule, plan["lanes"], plan["backend"]["name"]
        groups.setdefault(key, {})[digest] = cell
    return list(groups.values())


def check(cells: Sequence[Sweep], rule: Rule) -> None:
    """Raise `ValueError` where the cells or the rule do not fit together."""
    if not cells:
        raise ValueError("sweep has no cells; allowed: at least one")
    for cell in {signature_of(cell): cell for cell in cells}.values():
        _told(examine, cell)
    first = _told(evidence_names, cells[0])
    for own in first:
        check_name("evidence", own)
    if len(first) > EVIDENCE:
        raise ValueError(f"the evidence has {len(first)} names; allowed: at most {EVIDENCE}")
    taken_names = {*KEYS, *(path for cell in cells for path in cell.fields())}
    if taken := taken_names & {*first}:
        raise ValueError(
            f"the organism gives evidence named {taken.pop()!r}; allowed: other names than "
            f"{', '.join(KEYS)} and the sweep's fields, which are columns beside it"
        )
    for cell in cells[1:]:
        names = _told(evidence_names, cell)
        if names != first:
            raise ValueError(
                f"{label(cell.fields(), ())} gives the evidence {', '.join(names)}; "
                f"allowed: that of the first cell, {', '.join(first)}"
            )
    judge(rule, {name: np.zeros(2) for name in first})


def _told[T](function: Callable[[Sweep], T], cell: Sweep) -> T:
    """Return what a function gives of a cell, or tell of a mistake where it was made."""
    try:
        return function(cell)
    except ValueError:
        raise
    except Exception as error:
        # A mistake in a plug-in: say where it is, without the frames of JAX.
        frames = traceback.extract_tb(error.__traceback__)
        own = [f for f in frames if "site-packages" not in f.filename] or frames
        where = f"{Path(own[-1].filename).name}, line {own[-1].lineno}, in {own[-1].name}"
        first = str(error).partition("\n")[0]
        raise ValueError(f"{where}: {type(error).__name__}: {first}") from error


def _refuse_pilots(folder: Store, until: float) -> None:
    """Raise `StoreError` where the seeds of a pilot would count for when to stop."""
    if any(Request.read(run).pilot is not None for run in folder.runs()):
        raise StoreError(
            f"until = {until}, and {folder.folder} holds the seeds of a pilot, which no estimate "
            "counts; allowed: a number of seeds, or another folder"
        )


def _expect_own_verdicts(folder: Store, digest: str, rule: Rule) -> None:
    """Raise `StoreError` where a rule gives other verdicts than are stored.

    What a rule reads besides its own code, such as a file, is not in its identity.
    """
    stored = folder.first(digest)
    if stored is None:
        return
    evidence = {name: stored[name].to_numpy() for name in stored.columns if name not in KEYS}
    if (judge(rule, evidence) != stored["verdict"].to_numpy()).any():
        raise StoreError(
            f"{folder.folder} has other verdicts than {type(rule).__name__} gives now: something "
            "that it reads has changed; give another folder, or judge all of it anew: basin-jax "
            f"report {folder.folder} --rule FILE"
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


class _Stop:
    signum: int | None = None


@contextmanager
def _signals(tell: Callable[[str], None]) -> Iterator[_Stop]:
    """Note the first SIGINT or SIGTERM, and let a second one act as it always does."""
    stop = _Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}

    def note(signum: int, frame: FrameType | None) -> None:
        stop.signum = signum
        restore()
        tell("stopping after the running block; once more to drop it")

    def restore() -> None:
        for signum, handler in before.items():
            signal.signal(signum, handler)

    for signum in before:
        signal.signal(signum, note)
    try:
        yield stop
    finally:
        restore()
