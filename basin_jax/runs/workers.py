"""Workers: the processes that train a folder's seeds, as they tell of themselves.

Each keeps a file in FOLDER/workers, renewed while it lives, with what it is at. No worker waits for
another: what a dead one was at, others train.
"""

import json
import os
import re
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace

from basin_jax.files import FolderError, is_alive, printable
from basin_jax.results.request import Request
from basin_jax.results.store import Store, StoreError
from basin_jax.runs.shard import Order, Shard, rising, shuffled


BEAT_SECONDS, LIVE_SECONDS, FORGOTTEN_SECONDS = 15.0, 60.0, 86_400.0
SUBFOLDER, BYTES = "workers", 2**14
TEXTS = ("host", "shard", "asked", "doing")


@dataclass(frozen=True)
class WorkerState:
    """The state of a worker, as its file has it.

    Attributes:
        host, process, shard: who it is.
        asked: the seeds that it was asked for.
        began: when it began, in seconds since 1970.
        doing: what it is at.
        seeds: how many seeds it has committed.
        age: the seconds since it told this, by the clock of the file system or the bucket. It
            is not in the file.
    """

    host: str
    process: int
    shard: str
    asked: str
    began: float
    doing: str = "starting"
    seeds: int = 0
    age: float = 0.0

    @property
    def is_live(self) -> bool:
        """Whether it lives, as far as this host can tell."""
        if self.host == os.uname().nodename and not is_alive(self.process):
            return False
        return self.age < LIVE_SECONDS

    @classmethod
    def read(cls, raw: bytes, age: float) -> "WorkerState":
        """Read a worker's file of some age.

        Raises:
            ValueError: if it is malformed.
        """
        try:
            state = cls(**json.loads(raw), age=age)
            whole = type(state.process) is int and type(state.seeds) is int
            texts = [getattr(state, name) for name in TEXTS]
            if not (whole and all(isinstance(text, str) for text in texts)):
                raise TypeError
            return replace(
                state,
                **{name: printable(getattr(state, name)) for name in TEXTS},
                began=float(state.began),
            )
        except (TypeError, ValueError, RecursionError):
            raise ValueError("is no file of a worker") from None


class Worker:
    """This process among the workers of a folder.

    Attributes:
        order: in which it takes the units of a cell.
        lost: how many seeds it has trained that another worker had committed.
    """

    def __init__(self, store: Store, shard: Shard | None, request: Request):
        host, now = os.uname().nodename, time.time()
        self._store, self._place = store, store.place
        self._state = WorkerState(host, os.getpid(), str(shard or ""), request.plan, now)
        plain = re.sub(r"[^\w-]", "_", host, flags=re.ASCII)
        name = f"{plain}.{os.getpid()}.{uuid.uuid4().hex[:8]}"
        self._key = f"{SUBFOLDER}/{name}.json"
        self.order: Order = rising if shard is None else shard.order
        self._own_order = None if shard is not None else shuffled(name)
        self.lost = 0
        self._lock = threading.Lock()

    def begin(self, doing: str) -> None:
        """Note what the worker is at."""
        with self._lock:
            self._state = replace(self._state, doing=doing)

    def add(self, seeds: int) -> None:
        """Note that it has committed some seeds more."""
        with self._lock:
            self._state = replace(self._state, seeds=self._state.seeds + seeds)

    def lose(self, seeds: int) -> None:
        """Note that another worker has committed some seeds that this one has trained, too."""
        self.lost += seeds

    def _join(self) -> None:
        """Begin beside the workers that live.

        Raises:
            StoreError: if one of them plans other seeds: their chunks could overlap.
        """
        self.write()
        now = None
        with suppress(OSError, FolderError):
            now = self._place.modified(self._key)
        others = [state for state in workers_of(self._store, now, but=self._key) if state.is_live]
        for other in others:
            if other.asked != self._state.asked:
                raise StoreError(
                    f"{self._store.where} is in use by process {other.process} of {other.host}, "
                    f"which trains {other.asked}; wait until it ends, or ask for the same seeds"
                )
        if others and self._own_order is not None:
            self.order = self._own_order

    def write(self) -> None:
        """Renew the worker's file; that it cannot be written stops no training."""
        with self._lock:
            told = {name: value for name, value in asdict(self._state).items() if name != "age"}
        with suppress(OSError, FolderError):
            self._place.replace(self._key, json.dumps(told).encode())

    @contextmanager
    def alive(self) -> Iterator["Worker"]:
        """Renew the worker's file again and again, and remove it at the end.

        Raises:
            StoreError: if another worker is at other seeds.
        """
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(BEAT_SECONDS):
                self.write()

        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        try:
            with self._store.locked():
                self._join()
            thread.start()
            yield self
        finally:
            ended.set()
            if thread.is_alive():
                thread.join(BEAT_SECONDS)
            with suppress(OSError, FolderError):
                self._place.delete(self._key)


def workers_of(store: Store, now: float | None = None, *, but: str = "") -> list[WorkerState]:
    """Return what the workers of a folder tell, the first to begin first.

    Files that are malformed, or a day old, are left out.

    Args:
        store: the folder.
        now: the time by the clock of its file system or its bucket; this host's if None.
        but: the key of a file that is left out.
    """
    states, now = [], time.time() if now is None else now
    for key in store.place.list(SUBFOLDER):
        if key != but:
            with suppress(OSError, ValueError):  # a worker that ends removes its own
                age = now - store.place.modified(key)
                states.append(WorkerState.read(store.place.get(key, at_most=BYTES), age))
    states = [state for state in states if state.age < FORGOTTEN_SECONDS]
    return sorted(states, key=lambda state: (state.began, state.host, state.process))
