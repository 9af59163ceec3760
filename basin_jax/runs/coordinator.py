"""The coordinator of a run whose workers an engine starts: it counts what they commit.

It prepares the folder where it can, and is a worker of the folder itself that trains nothing, so
that none of the others writes the report while it lives.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import closing

from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Rule
from basin_jax.interrupts import interruptible
from basin_jax.results.records import Records
from basin_jax.results.request import request_of
from basin_jax.results.store import Store, StoreError
from basin_jax.runs.checks import check_cells, check_note, check_settings, first_steps
from basin_jax.runs.committed import CommittedSeeds
from basin_jax.runs.engines.contract import Engine, Event, Reference
from basin_jax.runs.progress import CellProgress, Progress
from basin_jax.runs.run import open_folder, states_of
from basin_jax.runs.shard import Shard
from basin_jax.runs.workers import Worker


# Seconds for workers to end by themselves after the last seed is committed. Tasks that still wait
# in a queue then are no longer needed.
LAST_SECONDS = 60.0


def coordinate(
    sweep: Sequence[Sweep] | Mapping[str, Sweep],
    rule: Rule,
    reference: Reference,
    *,
    engine: Engine,
    workers: int,
    progress: Progress,
) -> Records:
    """Train the seeds that a folder lacks by the workers of an engine.

    Args:
        sweep: the cells of the sweep's file, as `run` takes them.
        rule: its decision rule.
        reference: what the workers are told.
        engine: what starts them.
        workers: their number.
        progress: what receives messages and progress.

    Raises:
        ValueError: if the settings do not fit together, or the engine cannot be used here.
        StoreError: if the folder holds another sweep, or if the workers ended before it had all.
        Interrupted: on a signal, after the workers have committed what they had trained.
    """
    until, pilot, lanes = reference.until, reference.pilot, reference.lanes
    asks = {"until": until, "whole": None, "pilot": pilot}
    wanted, names = check_settings(sweep, reference.seeds, **asks, lanes=lanes)
    check_note(reference.note)
    asked, request = request_of(reference.seeds, until=until, pilot=pilot)
    engine.check(workers)
    first_step = first_steps(Store(reference.out), reference.patience)
    cells = check_cells(wanted, rule, first_step=first_step)
    folder = Store(reference.out)
    with interruptible() as stop:
        if engine.prepares:
            told = {"rule": rule, "request": request, "asked": asked, "lanes": lanes}
            opened = open_folder(folder, cells, names, **told, progress=progress)
            states, committed = opened.states, opened.committed
        else:
            folder.prepare()
            committed = CommittedSeeds(folder, cells)
            states = states_of(cells, names, committed, asked, until)
        watch = Watch(states, committed, reference, progress)
        with Worker(folder, None, request).alive() as worker:
            worker.begin(f"counting what {workers} workers commit")
            worker.write()
            stop.finishing = True
            shards = [Shard(index, workers) for index in range(workers)]
            with closing(engine.run(reference, shards)) as events:
                for event in events:
                    watch.look(event)
                    if stop.signum is not None or watch.is_over:
                        break
        stop.expect_none()
    watch.expect_all(folder.where)
    return Records(folder.where)


class Watch:
    """How far a folder is, as the coordinator counts it.

    Args:
        states: of the cells.
        committed: what the folder holds.
        reference: what the workers are told.
        progress: what receives the states.
    """

    def __init__(
        self,
        states: dict[str, CellProgress],
        committed: CommittedSeeds,
        reference: Reference,
        progress: Progress,
    ):
        self._states, self._committed = states, committed
        self._seeds, self._until = reference.seeds, reference.until
        self._retries = reference.retry_errors
        self._progress = progress
        self._completed = float("inf")
        self._failures: list[Event] = []
        self._ended = 0  # workers

    def look(self, event: Event | None) -> None:
        """Tell of an event, count what is committed, and show it."""
        if event is not None:
            self._progress.tell(str(event))
            if event.kind == "ended":
                self._ended += 1
                self._failures += [event] if event.code != 0 else []
        self._count()

    def _count(self, *, at_once: bool = False) -> None:
        self._committed.update(at_once=at_once)
        for digest, state in self._states.items():
            before = state.done, state.finished
            state.done, state.hits = self._committed.count(digest)
            state.finished = state.is_within(self._until) or (
                self._seeds is not None and self._committed.has_first(digest, self._seeds)
            )
            if before != (state.done, state.finished):
                self._progress.update(list(self._states.values()), state)
        if self._is_complete:
            self._completed = min(self._completed, time.monotonic())

    @property
    def _is_complete(self) -> bool:
        return all(state.finished for state in self._states.values())

    @property
    def is_over(self) -> bool:
        """Whether the folder has had all for so long that no worker is needed any longer.

        Seeds that are tried again are stored beforehand, so that their workers alone know.
        """
        return not self._retries and time.monotonic() - self._completed > LAST_SECONDS

    def expect_all(self, where: str) -> None:
        """Raise `StoreError` unless the folder has all that was asked for.

        Which seeds were tried again it does not tell: then some worker must have ended well.
        """
        self._count(at_once=True)
        said = "; ".join(map(str, self._failures)) or "all workers ended"
        if not self._is_complete:
            raise StoreError(
                f"{where} lacks seeds ({said}); repeat the command to train what is missing"
            )
        if self._retries and len(self._failures) == self._ended:
            raise StoreError(f"{where}: no worker has tried all of its failed seeds again ({said})")
