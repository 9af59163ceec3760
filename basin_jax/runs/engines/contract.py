"""The contract of engines: they start workers by command lines, and tell what becomes of them."""

import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from basin_jax.runs.shard import Shard


TRIES = 3  # of a shard whose worker is killed
POLL_SECONDS = 0.5  # between two looks at workers


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The arguments of a run, as the command line of a worker carries them.

    Attributes:
        file: the sweep's file.
        overrides: the overridden fields, each as PATH=VALUE.
        seeds, until, pilot, note, lanes, retry_errors, patience: as `run` takes them.
        out: the folder of results, or its URL.
        directory: where the command runs; the file and the folder may be relative to it.
    """

    file: Path
    overrides: tuple[str, ...]
    seeds: int | None
    until: float | None
    pilot: str | None
    note: str | None = None
    lanes: int | None
    retry_errors: bool = False
    patience: float | None = None
    out: str
    directory: Path

    def arguments(self, shard: Shard | None) -> list[str]:
        """Return what follows Python's name in the command of a worker.

        Args:
            shard: its shard; None where the task of a Slurm array knows it by itself.
        """
        options = {
            "--seeds": self.seeds,
            "--until-width": self.until,
            "--pilot": self.pilot,
            "--note": self.note,
            "--lanes": self.lanes,
            "--patience": self.patience,
            "--shard": shard,
            "--out": self.out,
        }
        # With `=`, so that no value is taken for an option.
        given = [f"{name}={value}" for name, value in options.items() if value is not None]
        given += ["--retry-errors"] if self.retry_errors else []
        changed = [f"--set={text}" for text in self.overrides]
        # The directory holds no modules: neither does it for the console script.
        return ["-P", "-m", "basin_jax", "run", *given, *changed, "--", str(self.file)]


@dataclass(frozen=True)
class Event:
    """Something that became of a worker.

    Attributes:
        shard: the worker's shard.
        kind: it started; it was lost, and starts again; or it ended.
        text: what happened, in some words.
        code: its exit code where it ended; None if that is not known.
    """

    shard: Shard
    kind: Literal["started", "lost", "ended"]
    text: str
    code: int | None = None

    def __str__(self) -> str:
        return f"worker {self.shard} {self.text}"


class Engine(ABC):
    """Start the workers of a run: a frozen dataclass, whose fields are its configuration.

    Attributes:
        prepares: whether the folder is prepared by the process that calls the engine, on whose
            kind of machine the workers run, too; otherwise the first worker prepares it.
    """

    @property
    @abstractmethod
    def prepares(self) -> bool:
        """Whether the caller prepares the folder."""

    @abstractmethod
    def check(self, workers: int) -> None:
        """Raise `ValueError` if the engine cannot be used here, or not for so many workers."""

    @abstractmethod
    def run(self, reference: Reference, shards: Sequence[Shard]) -> Generator[Event | None]:
        """Start a worker for each shard, and yield events until all of them have ended.

        When the iterator is closed, workers are told to stop, and waited for: they commit what
        they have trained.

        Args:
            reference: what the workers are told.
            shards: all shards of the run.

        Yields:
            An event, or None at least every few seconds, so that the caller may do something else.
        """


def pause() -> Iterator[None]:
    """Wait a moment, in which the caller of an engine has its turn."""
    yield None
    time.sleep(POLL_SECONDS)
