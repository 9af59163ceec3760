"""Train the seeds that a folder lacks, chunk by chunk, and commit them."""

import itertools
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import numpy as np
from numpy import ndarray

from basin_jax.core.sweep import Sweep
from basin_jax.core.trial import signature_of
from basin_jax.core.verdict import Rule, Verdict, judge
from basin_jax.devices import cores
from basin_jax.engine.kernel import Kernel, build_kernel, release_others
from basin_jax.interrupts import Interrupted, Stop
from basin_jax.runs.chunk_size import ChunkSize
from basin_jax.runs.committed import CommittedSeeds
from basin_jax.runs.plan import columns, leading, next_chunk, units
from basin_jax.runs.progress import CellProgress, Progress
from basin_jax.runs.workers import Worker


# The most seeds of a chunk: as many as are read easily, or few between looks at an interval.
CHUNK, CHUNK_UNTIL = 2**17, 2**10
# Groups that are trained in turn, whose programs are all kept compiled.
TOGETHER = 8


def most_of(until: float | None) -> int:
    """Return the most seeds of a chunk of a run, until an interval has a width or not."""
    return CHUNK if until is None else CHUNK_UNTIL


@dataclass
class Group:
    """Cells that share lanes, and what they lack."""

    kernel: Kernel
    numbers: dict[str, int]  # of the cells in the kernel, by their digests
    size: ChunkSize
    todo: dict[str, Iterator[list[ndarray]]]  # the chunks of each cell, some at once
    compiled: "Future[float] | None"  # the seconds that it takes; None if it was told


@dataclass(frozen=True)
class Training:
    """The training of all cells of a run."""

    manifest: dict[str, Any]
    states: dict[str, CellProgress]
    committed: CommittedSeeds
    asked: Sequence[int]
    until: float | None
    rule: Rule
    progress: Progress
    worker: Worker
    stop: Stop

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {digest: number for number, digest in enumerate(self.states)}

    @property
    def done(self) -> dict[str, int]:
        """The number of seeds that each cell has."""
        return {digest: state.done for digest, state in self.states.items()}

    def train(self, cells: dict[str, Sweep]) -> None:
        """Train all missing seeds.

        Raises:
            Interrupted: if a signal stopped it.
        """
        self.stop.finishing = True
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
        if lost := self.worker.lost:
            self.progress.tell(f"{lost:,} of the seeds trained here another worker had, too")
        if self.stop.signum is not None:
            raise Interrupted(self.stop.signum)
        self.stop.finishing = False

    def _begin(self, cells: dict[str, Sweep], pool: ThreadPoolExecutor) -> Group | None:
        """Begin to compile the kernel of a group, unless nothing of it is missing."""
        plan = self.manifest["cells"][next(iter(cells))]
        block = plan["lanes"] * len(jax.local_devices())
        stops = len(next(iter(cells.values())).stops)
        most = min(most_of(self.until), self.manifest["chunk"])
        size = ChunkSize(block=block, stops=stops, most=most)
        todo = {digest: self._batches(digest, size) for digest in cells}
        for digest in cells:
            batch = next(todo[digest], None)
            if batch is not None:
                todo[digest] = itertools.chain([batch], todo[digest])
                name = plan["backend"]["name"]
                kernel = build_kernel(list(cells.values()), lanes=plan["lanes"], backend=name)
                numbers = {digest: number for number, digest in enumerate(cells)}
                return Group(kernel, numbers, size, todo, pool.submit(kernel.compile))
            self._finish(digest)
            del todo[digest]
        return None

    def _train_some(self, group: Group) -> bool:
        """Train some chunks of each cell of a group in turn, until it is enough; commit them.

        Returns:
            False if the group lacks nothing more.
        """
        todo, taken = group.todo, list[tuple[str, ndarray]]()
        for digest in list(todo):
            if sum(len(chunk) for _, chunk in taken) >= group.size():
                break
            batch = next(todo[digest], None)
            todo[digest] = todo.pop(digest)  # to the end of the line
            if batch is None:
                self._finish(digest)
                del todo[digest]
            else:
                taken += [(digest, chunk) for chunk in batch]
        if taken:
            for digest, found in self._train(group, taken):
                # Not where another worker has: then it is in this unit, too.
                seeds = len(np.unique(found["seed"]))
                if self.committed.commit(digest, found):
                    self.worker.add(seeds)
                else:
                    self.worker.lose(seeds)
        return bool(todo)

    def _batches(self, digest: str, size: ChunkSize) -> Iterator[list[ndarray]]:
        """Yield the chunks that a cell lacks, as many at once as suit, until there are enough.

        A unit in which another worker is found is left to it, and looked at again at the end.
        """
        complete, number = False, self._numbers[digest]
        missing = partial(self.committed.missing, digest)
        while not complete:
            complete, batch = True, []
            all_units = units(self.asked, smallest=self.manifest["unit"])
            for unit in self.worker.order(all_units, number):
                chunk, ends = np.zeros(0, np.uint64), False
                while not (ends or len(missing(chunk))):
                    self._look(digest)
                    if self.states[digest].is_within(self.until):
                        return
                    chunk, ends = next_chunk(self.asked[unit], missing=missing, size=size())
                    batch += [chunk] if len(chunk) else []
                    if batch and (not ends or sum(map(len, batch)) >= size()):
                        complete = False
                        yield batch
                        batch = []
            if batch:
                complete = False
                yield batch

    def _look(self, digest: str) -> None:
        """Take note of what all workers have committed."""
        self.committed.update()
        state = self.states[digest]
        state.done, state.hits = self.committed.count(digest)

    def _finish(self, digest: str) -> None:
        self.states[digest].finished = True
        self.progress.update(list(self.states.values()), self.states[digest])

    def _train(
        self, group: Group, taken: list[tuple[str, ndarray]]
    ) -> list[tuple[str, dict[str, ndarray]]]:
        """Train some chunks of cells, or those of their seeds that precede a signal."""
        digest, chunk = taken[0]
        current = self.states[digest]
        if group.compiled is not None:
            seconds, group.compiled = group.compiled.result(), None
            if seconds > 1:
                self.progress.tell(f"compiled {current.label} in {seconds:.1f} s")
        self.worker.begin(f"{current.label}, from seed {chunk[0]}")
        began = time.perf_counter()
        seeds = np.concatenate([chunk for _, chunk in taken])
        number = np.repeat(np.arange(len(taken)), [len(chunk) for _, chunk in taken])
        cells = np.array([group.numbers[digest] for digest, _ in taken])[number]
        parts: list[list[tuple[ndarray, dict[str, ndarray]]]] = [[] for _ in taken]
        for which, evidence in group.kernel.stream(seeds, cells):
            verdicts = judge(self.rule, {n: values[:, -1] for n, values in evidence.items()})
            for one in np.unique(number[which]):
                own = number[which] == one
                parts[one].append((seeds[which[own]], {n: v[own] for n, v in evidence.items()}))
                current = self.states[taken[one][0]]
                current.done += int(own.sum())
                current.hits += int((verdicts[own] == Verdict.DECEPTIVE).sum())
            self.progress.update(list(self.states.values()), current)
            if self.stop.signum is not None:
                break
        group.size.record(len(seeds), time.perf_counter() - began)
        stops = group.kernel.cells[0].stops
        found = [
            (digest, leading(chunk, columns(part, stops, self.rule)))
            for (digest, chunk), part in zip(taken, parts, strict=True)
            if part
        ]
        return [(digest, rows) for digest, rows in found if len(rows["seed"])]


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
