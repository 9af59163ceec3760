"""Train the seeds that a folder lacks, chunk by chunk, and commit them."""

import itertools
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, TypeAlias

import jax
import numpy as np
from numpy import ndarray

from basin_jax.core.sweep import Sweep
from basin_jax.core.trial import signature_of
from basin_jax.core.verdict import Rule, Verdict, judge
from basin_jax.devices import cores
from basin_jax.engine.kernel import Kernel, build_kernel, release_others
from basin_jax.results.store import Store
from basin_jax.runs.chunk_size import ChunkSize
from basin_jax.runs.plan import chunks, columns
from basin_jax.runs.progress import CellProgress, Progress
from basin_jax.statistics.estimates import estimate


# Groups that are trained in turn, whose programs are all kept compiled.
TOGETHER = 8


Stored: TypeAlias = tuple[ndarray, ndarray]  # seeds, and their verdicts


class Interrupted(KeyboardInterrupt):
    """A run stopped by a signal, after its trained seeds were committed."""

    def __init__(self, signum: int):
        super().__init__(f"interrupted by {signal.Signals(signum).name}")
        self.signum = signum


@dataclass
class Group:
    """Cells that share lanes, and what they lack."""

    kernel: Kernel
    numbers: dict[str, int]  # of the cells in the kernel, by their digests
    size: ChunkSize
    todo: dict[str, Iterator[ndarray]]  # the chunks of each cell
    compiled: "Future[float] | None"  # the seconds that it takes; None if it was told


@dataclass(frozen=True)
class Training:
    """The training of all cells of a run."""

    folder: Store
    manifest: dict[str, Any]
    asked: Sequence[int]
    most: int  # seeds of a chunk
    until: float | None
    rule: Rule
    progress: Progress
    states: dict[str, CellProgress]
    stored: dict[str, Stored]  # of each cell, until it is planned
    stop: "Stop"

    def train(self, cells: dict[str, Sweep]) -> None:
        """Train all missing seeds.

        Raises:
            Interrupted: if a signal stopped it.
        """
        waiting, groups = deque(_sharing(cells, self.manifest)), list[Group]()
        with _compiling() as pool:
            # Some chunks of each group in turn, so that all fractions grow together.
            while (waiting or groups) and self.stop.signum is None:
                while waiting and len(groups) < TOGETHER:
                    groups += filter(None, [self._begin(waiting.popleft(), pool)])
                release_others([group.kernel for group in groups])
                for group in list(groups):
                    if self.stop.signum is None and not self._train_some(group):
                        groups.remove(group)
        if self.stop.signum is not None:
            raise Interrupted(self.stop.signum)

    def _begin(self, cells: dict[str, Sweep], pool: ThreadPoolExecutor) -> Group | None:
        """Begin to compile the kernel of a group, unless nothing of it is missing."""
        plan = self.manifest["cells"][next(iter(cells))]
        block = plan["lanes"] * len(jax.local_devices())
        stops = len(next(iter(cells.values())).stops)
        size = ChunkSize(block=block, stops=stops, most=self.most)
        todo = {digest: self._chunks(digest, size) for digest in cells}
        for digest in cells:
            chunk = next(todo[digest], None)
            if chunk is not None:
                todo[digest] = itertools.chain([chunk], todo[digest])
                name = plan["backend"]["name"]
                kernel = build_kernel(list(cells.values()), lanes=plan["lanes"], backend=name)
                numbers = {digest: number for number, digest in enumerate(cells)}
                return Group(kernel, numbers, size, todo, pool.submit(kernel.compile))
            self._finish(digest)
            del todo[digest]
        return None

    def _train_some(self, group: Group) -> bool:
        """Train a chunk of each cell of a group in turn, until there are enough; commit them.

        Returns:
            False if the group lacks nothing more.
        """
        todo, taken = group.todo, dict[str, ndarray]()
        for digest in list(todo):
            if sum(map(len, taken.values())) >= group.size():
                break
            chunk = next(todo[digest], None)
            todo[digest] = todo.pop(digest)  # to the end of the line
            if chunk is None:
                self._finish(digest)
                del todo[digest]
            else:
                taken[digest] = chunk
        if taken:
            for digest, found in self._train(group, taken).items():
                if not self.folder.commit(digest, found):
                    # Another worker has committed this chunk, or a shorter one: plan anew.
                    todo[digest] = self._chunks(digest, group.size)
        return bool(todo)

    def _chunks(self, digest: str, size: ChunkSize) -> Iterator[ndarray]:
        """Yield the chunks that a cell lacks, until its interval is narrow enough."""
        state = self.states[digest]
        # Read anew where another worker has committed some.
        done, verdicts = self.stored.pop(digest, None) or self.folder.verdicts(digest)
        state.done, state.hits = len(done), int((verdicts == Verdict.DECEPTIVE).sum())
        for chunk in chunks(self.asked, done=done, size=size):
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

    def _train(self, group: Group, taken: dict[str, ndarray]) -> dict[str, dict[str, ndarray]]:
        """Train a chunk of each of some cells, or the seeds that precede a signal."""
        current = self.states[next(iter(taken))]
        if group.compiled is not None:
            seconds, group.compiled = group.compiled.result(), None
            if seconds > 1:
                self.progress.tell(f"compiled {current.label} in {seconds:.1f} s")
        began = time.perf_counter()
        seeds = np.concatenate(list(taken.values()))
        places = [np.full(len(chunk), group.numbers[d]) for d, chunk in taken.items()]
        cells = np.concatenate(places)
        parts: dict[str, list[tuple[ndarray, dict[str, ndarray]]]] = {d: [] for d in taken}
        for which, evidence in group.kernel.stream(seeds, cells):
            verdicts = judge(self.rule, {n: values[:, -1] for n, values in evidence.items()})
            for digest in taken:
                own = cells[which] == group.numbers[digest]
                if not own.any():
                    continue
                parts[digest].append((seeds[which[own]], {n: v[own] for n, v in evidence.items()}))
                current = self.states[digest]
                current.done += int(own.sum())
                current.hits += int((verdicts[own] == Verdict.DECEPTIVE).sum())
            self.progress.update(list(self.states.values()), current)
            if self.stop.signum is not None:
                break
        group.size.record(len(seeds), time.perf_counter() - began)
        stops = group.kernel.cells[0].stops
        return {
            digest: columns(found, stops, self.rule) for digest, found in parts.items() if found
        }


@contextmanager
def _compiling() -> Iterator[ThreadPoolExecutor]:
    """Compile kernels in threads while others train."""
    pool = ThreadPoolExecutor(cores())
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _sharing(cells: dict[str, Sweep], manifest: dict[str, Any]) -> list[dict[str, Sweep]]:
    """Group the cells that one kernel trains together."""
    groups: dict[Any, dict[str, Sweep]] = {}
    for digest, cell in cells.items():
        plan = manifest["cells"][digest]
        key = signature_of(cell), cell.schedule, plan["lanes"], plan["backend"]["name"]
        groups.setdefault(key, {})[digest] = cell
    return list(groups.values())


class Stop:
    """The signal that was received, if any."""

    signum: int | None = None


@contextmanager
def signals(tell: Callable[[str], None]) -> Iterator[Stop]:
    """Record the first SIGINT or SIGTERM; a second one acts as usual."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}

    def note(signum: int, frame: FrameType | None) -> None:
        stop.signum = signum
        restore()
        tell("stopping after the current block; repeat the signal to stop at once")

    def restore() -> None:
        for signum, handler in before.items():
            signal.signal(signum, handler)

    for signum in before:
        signal.signal(signum, note)
    try:
        yield stop
    finally:
        restore()
