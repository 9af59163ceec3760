"""Train the seeds that a folder lacks, chunk by chunk, and commit them."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import numpy as np
from numpy import ndarray

from basin_jax.core.sweep import Sweep
from basin_jax.core.trial import signature_of
from basin_jax.core.verdict import Rule, Verdict, judge
from basin_jax.engine.kernel import Kernel, build_kernel
from basin_jax.results.store import Store
from basin_jax.runs.plan import chunks, columns
from basin_jax.runs.progress import CellProgress, Progress
from basin_jax.statistics.estimates import estimate


class Interrupted(KeyboardInterrupt):
    """A run stopped by a signal, after its trained seeds were committed."""

    def __init__(self, signum: int):
        super().__init__(f"interrupted by {signal.Signals(signum).name}")
        self.signum = signum


@dataclass(frozen=True)
class Training:
    """The training of all cells of a run."""

    folder: Store
    manifest: dict[str, Any]
    asked: Sequence[int]
    until: float | None
    rule: Rule
    progress: Progress
    states: dict[str, CellProgress]
    stop: "Stop"

    def train(self, cells: dict[str, Sweep]) -> None:
        """Train all missing seeds.

        Raises:
            Interrupted: if a signal stopped it.
        """
        groups = [self._group(group) for group in _sharing(cells, self.manifest)]
        # Some chunks of every group in turn, so that all fractions grow together.
        while groups and self.stop.signum is None:
            groups = [group for group in groups if next(group, None)]
        if self.stop.signum is not None:
            raise Interrupted(self.stop.signum)

    def _group(self, cells: dict[str, Sweep]) -> Iterator[bool]:
        """Train cells that share lanes; yield after each commit."""
        plan = self.manifest["cells"][next(iter(cells))]
        kernel = build_kernel(
            list(cells.values()), lanes=plan["lanes"], backend=plan["backend"]["name"]
        )
        numbers = {digest: number for number, digest in enumerate(cells)}
        todo = {digest: self._chunks(digest) for digest in cells}
        while todo and self.stop.signum is None:
            taken: dict[str, ndarray] = {}
            # A chunk of each cell in turn, until there are enough seeds for one chunk.
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
                        # Another worker has committed this chunk, or a shorter one: plan anew.
                        todo[digest] = self._chunks(digest)
                yield True

    def _chunks(self, digest: str) -> Iterator[ndarray]:
        """Yield the chunks that a cell lacks, until its interval is narrow enough."""
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
        """Train a chunk of each of some cells, or the seeds that precede a signal."""
        current = self.states[next(iter(taken))]
        seconds = kernel.compile()
        if seconds > 1:
            self.progress.tell(f"compiled {current.label} in {seconds:.1f} s")
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
