"""Train the seeds that a folder lacks, chunk by chunk, and commit them."""

import itertools
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple, NoReturn, TypeAlias

import jax
import numpy as np
from numpy import ndarray

from basin_jax.core.sweep import Sweep
from basin_jax.core.trial import signature_of
from basin_jax.core.verdict import Rule, Verdict, judge
from basin_jax.engine.faults import FAULTS
from basin_jax.engine.kernel import Kernel, build_kernel, release_others
from basin_jax.interrupts import GaveUp, Interrupted, Stop
from basin_jax.results.layout import plan_of
from basin_jax.runs.chunk_size import ChunkSize
from basin_jax.runs.committed import CommittedSeeds
from basin_jax.runs.compiling import Compile, compiling
from basin_jax.runs.isolation import Hangs, Isolation, Suspects
from basin_jax.runs.parked import PATIENCE, TRIES, Parked, ParkedSeeds, gave_up
from basin_jax.runs.plan import columns, leading, next_chunk, units
from basin_jax.runs.progress import CellProgress, Progress
from basin_jax.runs.workers import Worker


# The most seeds of a chunk: as many as are read easily, or few between looks at an interval.
CHUNK, CHUNK_UNTIL = 2**17, 2**10
# Groups that are trained in turn, whose programs are all kept compiled.
TOGETHER = 8

Parts: TypeAlias = list[tuple[ndarray, dict[str, ndarray]]]  # seeds, and their evidence


def most_of(until: float | None) -> int:
    """Return the most seeds of a chunk of a run, until an interval has a width or not."""
    return CHUNK if until is None else CHUNK_UNTIL


@dataclass
class Group:
    """Cells that share lanes, and what they lack."""

    kernel: Kernel
    isolation: Isolation
    numbers: dict[str, int]  # of the cells in the kernel, by their digests
    size: ChunkSize
    todo: dict[str, Iterator[list[ndarray]]]  # the chunks of each cell, some at once
    compiled: "Future[float] | None"  # the seconds that it takes; None if it was told


class Found(NamedTuple):
    """The rows of a cell's seeds that have ended, and why some of them failed."""

    digest: str
    rows: dict[str, ndarray]
    errors: dict[int, str]


@dataclass(frozen=True, kw_only=True)
class Training:
    """The training of all cells of a run."""

    manifest: dict[str, Any]
    machine: int  # the number of this one in the manifest
    states: dict[str, CellProgress]
    committed: CommittedSeeds
    asked: Sequence[int]
    until: float | None
    rule: Rule
    progress: Progress
    worker: Worker
    stop: Stop
    retry_errors: bool = False
    patience: float | None = None

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {digest: number for number, digest in enumerate(self.states)}

    @cached_property
    def parked(self) -> ParkedSeeds:
        """The seeds of calls that were given up."""
        return ParkedSeeds(self.committed.store)

    @property
    def done(self) -> dict[str, int]:
        """The number of seeds that each cell has."""
        return {digest: state.done for digest, state in self.states.items()}

    def train(self, cells: dict[str, Sweep]) -> None:
        """Train all missing seeds.

        Raises:
            Interrupted: if a signal stopped it.
            TrainingError: if training fails whatever the seed.
            GaveUp: if a call was given up; its seeds are parked.
        """
        self.stop.finishing = True
        for digest in () if self.retry_errors else cells:
            self._free_stored(digest)
        waiting, groups = deque(_sharing(cells, self.manifest, self.machine)), list[Group]()
        with compiling() as begin:
            # Some chunks of each group in turn, so that all fractions grow together.
            while (waiting or groups) and self.stop.signum is None:
                while waiting and len(groups) < TOGETHER:
                    groups += filter(None, [self._begin(waiting.popleft(), begin)])
                release_others([group.kernel for group in groups])
                for group in list(groups):
                    if self.stop.signum is None and not self._train_some(group):
                        groups.remove(group)
        if lost := self.worker.lost:
            self.progress.tell(f"{lost:,} of the seeds trained here another worker had, too")
        self.stop.expect_none()

    def _begin(self, cells: dict[str, Sweep], begin: Compile) -> Group | None:
        """Begin to compile the kernel of a group, unless nothing of it is missing."""
        plan = plan_of(self.manifest, next(iter(cells)), self.machine)
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
                labels = [self.states[digest].label for digest in cells]
                isolation = Isolation(kernel, labels, patience=self.patience, stop=self.stop)
                for digest, cell in numbers.items():
                    isolation.trained.update((cell, seed) for seed in self._trained(digest))
                return Group(kernel, isolation, numbers, size, todo, begin(kernel))
            self._finish(digest)
            del todo[digest]
        return None

    def _trained(self, digest: str) -> list[int]:
        """Return seeds of a cell that were trained before."""
        known = [self.committed.trained(digest), *(p.trained for p in self.parked.of(digest))]
        return [seed for seed in known if seed is not None]

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
            found, hung = self._train(group, taken)
            for one in found:
                self._commit(one)
            if hung:
                self._give_up(group, hung)
        return bool(todo)

    def _commit(self, found: Found) -> None:
        """Commit a chunk, unless another worker has: then it is in this unit, too."""
        digest, rows, errors = found
        seeds = np.unique(rows["seed"])
        if not self.committed.commit(digest, rows, errors, machine=self.machine):
            self.worker.lose(len(seeds))
            return
        self.worker.add(len(seeds))
        self.parked.free(digest, seeds)
        for why, count in Counter(errors.values()).items():
            said = f"{self.states[digest].label}: {count:,} seed{'s' * (count > 1)}"
            self.progress.tell(f"{said} stored as ERROR: {why}; --retry-errors tries again")

    def _give_up(self, group: Group, hung: list[tuple[str, ndarray]]) -> NoReturn:
        """Park the seeds of a call that was given up, and raise `GaveUp`, or `Interrupted`."""
        seconds, alone = group.isolation.limit, sum(len(seeds) for _, seeds in hung) == 1
        for digest, seeds in hung:
            cell = group.numbers[digest]
            trained = group.isolation.trained.get(cell)
            one = Parked(
                cell=digest,
                seeds=np.sort(seeds).tolist(),
                tries=1,
                seconds=seconds,
                trained=trained,
                alone=alone,
            )
            trained = self.parked.park(one).trained
            tries = sum(entry.tries for entry in self.parked.of(digest))
            if trained is None and tries >= TRIES:
                group.isolation.fail(cell, gave_up(seconds), f"{tries} times, at whatever seed")
        self.stop.expect_none()
        many, (digest, seeds) = sum(len(seeds) for _, seeds in hung), hung[0]
        label = self.states[digest].label
        raise GaveUp(
            f"{label}: gave up training {many:,} seed{'s' * (many > 1)}, from seed {min(seeds)}, "
            f"after {seconds:g} s; the same command in another process goes on"
        )

    def _free_stored(self, digest: str) -> None:
        for entry in self.parked.of(digest):
            seeds = np.array(entry.seeds, np.uint64)
            if not len(self.committed.missing(digest, seeds)):
                self.parked.free(digest, seeds)

    def _batches(self, digest: str, size: ChunkSize) -> Iterator[list[ndarray]]:
        """Yield the chunks that a cell lacks, as many at once as suit, until there are enough.

        A unit in which another worker is found is left to it, and looked at again at the end.
        """
        number = self._numbers[digest]
        if self.retry_errors:
            waited = PATIENCE if self.patience is None else self.patience
            failed, elsewhere = self.committed.failed(
                digest, waited, machine=self.machine, order=self.worker.order
            )
            if elsewhere:
                self.progress.tell(
                    f"{self.states[digest].label}: {elsewhere:,} that failed on another kind of "
                    "machine are left to it"
                )
            yield from ([seeds] for seeds in failed)
        complete = False
        # Parked seeds last, where it is fixed beforehand that they are trained, and whole units, in
        # which all workers go in rising order.
        last = self.until is None and bool(self.parked.of(digest))
        missing = partial(self.committed.missing, digest)
        while not complete:
            complete, batch = True, []
            all_units = units(self.asked, smallest=self.manifest["unit"])
            for unit in self.worker.order(all_units, number):
                if last and self.parked.are_among(digest, self.asked[unit]):
                    complete = False
                    continue
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
            last = False

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
    ) -> tuple[list[Found], list[tuple[str, ndarray]]]:
        """Train some chunks of cells.

        Returns:
            Those of their seeds that precede a signal, or a call that was given up; and the seeds
            of that call, by their cells.
        """
        digest, chunk = taken[0]
        current = self.states[digest]
        self._await_program(group, digest)
        self.worker.begin(f"{current.label}, from seed {chunk[0]}")
        began = time.perf_counter()
        seeds = np.concatenate([chunk for _, chunk in taken])
        number = np.repeat(np.arange(len(taken)), [len(chunk) for _, chunk in taken])
        cells = np.array([group.numbers[digest] for digest, _ in taken])[number]
        parts: list[Parts] = [[] for _ in taken]
        errors: list[dict[int, str]] = [{} for _ in taken]
        hung = np.zeros(0, np.int64)
        try:
            for which, evidence, why in group.isolation.stream(seeds, cells, self._suspects(taken)):
                verdicts = judge(self.rule, {n: values[:, -1] for n, values in evidence.items()})
                for one in np.unique(number[which]):
                    own = number[which] == one
                    parts[one].append((seeds[which[own]], {n: v[own] for n, v in evidence.items()}))
                    if why is not None:
                        errors[one] |= dict.fromkeys(seeds[which[own]].tolist(), why)
                    current = self.states[taken[one][0]]
                    current.done += int(own.sum())
                    current.hits += int((verdicts[own] == Verdict.DECEPTIVE).sum())
                self.progress.update(list(self.states.values()), current)
                if self.stop.signum is not None:
                    break
        except Hangs as hanging:
            hung = hanging.places
        except Interrupted:  # a call that has not ended after a signal is left
            pass
        group.size.record(len(seeds), time.perf_counter() - began)
        found = self._found(group, taken, parts, errors)
        return found, [
            (taken[n][0], seeds[hung[number[hung] == n]]) for n in np.unique(number[hung])
        ]

    def _await_program(self, group: Group, digest: str) -> None:
        if group.compiled is None:
            return
        try:
            seconds, group.compiled = group.compiled.result(), None
        except FAULTS as error:
            group.isolation.fail(group.numbers[digest], error, "before its first seed")
        if seconds > 1:
            self.progress.tell(f"compiled {self.states[digest].label} in {seconds:.1f} s")

    def _suspects(self, taken: list[tuple[str, ndarray]]) -> list[Suspects]:
        """Return the places of parked seeds among those of some chunks."""
        suspects, first = [], 0
        for digest, chunk in taken:
            for entry in self.parked.of(digest):
                places = first + np.flatnonzero(np.isin(chunk, np.array(entry.seeds, np.uint64)))
                if len(places):
                    suspects.append(Suspects(places, gave_up(entry.seconds), entry.alone))
            first += len(chunk)
        return suspects

    def _found(
        self,
        group: Group,
        taken: list[tuple[str, ndarray]],
        parts: list[Parts],
        errors: list[dict[int, str]],
    ) -> list[Found]:
        """Lay out the leading seeds of some chunks that have ended."""
        found, stops = [], group.kernel.cells[0].stops
        for (digest, chunk), part, failed in zip(taken, parts, errors, strict=True):
            rows = leading(chunk, columns(part, stops, self.rule, failed)) if part else {}
            if part and len(rows["seed"]):
                last = int(rows["seed"][-1])
                own = {seed: why for seed, why in failed.items() if seed <= last}
                found.append(Found(digest, rows, own))
        return found


def _sharing(
    cells: dict[str, Sweep], manifest: dict[str, Any], machine: int
) -> list[dict[str, Sweep]]:
    """Group the cells that one kernel trains together."""
    groups: dict[Any, dict[str, Sweep]] = {}
    for digest, cell in cells.items():
        plan = plan_of(manifest, digest, machine)
        key = signature_of(cell), cell.schedule, plan["lanes"], plan["backend"]["name"]
        groups.setdefault(key, {})[digest] = cell
    return list(groups.values())
