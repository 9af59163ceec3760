"""A sweep's results: evidence in Parquet chunks that commit as one, and its provenance.

    FOLDER/
      sweep.json       every field, sources, versions, device, lanes; the runs; a seal
      runs/*.json      a record for each run: when, where, which seeds it asked for
      data/*.parquet   committed chunks, nothing else: read it with Polars, DuckDB, pandas
      staging/         chunks being written
      parked/*.json    seeds of calls that were given up, until they are stored
      lock             held while sweep.json is made, and the first worker compiles and tunes
      commit.lock      held while a chunk is renamed, where the file system has no links
      *.held           the same, where the file system has no locks

A chunk is staged beside `data/`, synced, and linked into it: `link` fails if the name is taken, so
a chunk appears whole, once, or not at all. Where the file system has no links, it is renamed while
the lock is held. Listing the folder is the resume logic. `sweep.json` has the hash of each run's
record, and the number of its seeds that a finished run left in each cell, so that missing ones are
found. There is no pickle; opening a folder runs none of its code, follows no link in it, and reads
only regular files whose sizes are in bounds.

A bucket has the same under a prefix, but for staging and locks: its server creates an object only
if there is none of its name, and replaces `sweep.json` only if it is the one that was read.
"""

import random
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from numpy import ndarray

from basin_jax.files import FolderError, reason
from basin_jax.results.blocks import Chunks, Part
from basin_jax.results.chunk import (
    bytes_of,
    check_order,
    check_rows,
    read_chunk,
    read_errors,
    read_machine,
    rows_of,
    write_chunk,
)
from basin_jax.results.completeness import missing, unfinished
from basin_jax.results.folder import StoreError
from basin_jax.results.layout import (
    MANIFEST_BYTES,
    RUN_BYTES,
    UNSEALED,
    hash_of,
    manifest_text,
    read_manifest,
    read_run,
    run_text,
    stops_of,
)
from basin_jax.results.place import place_of
from basin_jax.results.seed_set import SeedSet


MANIFEST = "sweep.json"
# Seconds, at most, before `sweep.json` is changed anew where another process was faster.
PAUSE = 0.2


class Checked(NamedTuple):
    """A manifest that was checked."""

    raw: bytes
    manifest: dict[str, Any]
    rows: int  # of a chunk, at most


class Store:
    """A sweep's folder, or what is in a bucket as in such a folder.

    Attributes:
        place: the folder or the bucket.
    """

    def __init__(self, folder: str | PathLike[str]):
        self.place = place_of(folder)
        # A manifest that was checked, by what tells its file from another.
        self._seen: dict[tuple[object, ...], Checked] = {}

    @property
    def folder(self) -> Path:
        """The folder; of a bucket the local one of its reports, `runs/s3:/BUCKET/NAME`."""
        return self.place.local

    @property
    def where(self) -> str:
        """The folder or the URL, as messages name it."""
        return self.place.where

    def exists(self) -> bool:
        """Return True if the folder holds a sweep."""
        return self.place.exists(MANIFEST)

    def manifest(self) -> dict[str, Any]:
        """Read `sweep.json`, checked against its seal and its schema.

        Raises:
            StoreError: if there is none, or it is damaged, edited or of another version.
        """
        return dict(self._checked().manifest)

    def _checked(self) -> Checked:
        try:
            stamp = self.place.stamp(MANIFEST)
            if stamp not in self._seen:
                raw = self.place.get(MANIFEST, at_most=MANIFEST_BYTES)
                manifest = read_manifest(raw)
                stops = max(len(stops_of(cell)) for cell in manifest["cells"].values())
                self._seen = {stamp: Checked(raw, manifest, manifest["chunk"] * stops)}
        except FolderError:
            raise
        except FileNotFoundError:
            raise StoreError(
                f"{self.where} holds no sweep (no sweep.json); "
                "allowed: a folder that `basin-jax run` made"
            ) from None
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{self.place.named(MANIFEST)} cannot be trusted: {reason(error)} (it is damaged, "
                "edited or of another version of basin_jax); take it from a copy, or give another "
                "folder"
            ) from None
        return self._seen[stamp]

    def update(self, change: Callable[[dict[str, Any] | None], dict[str, Any]]) -> dict[str, Any]:
        """Write `sweep.json` atomically, and return its new content.

        Args:
            change: returns the new content, given the old one, or None if there is none. It is
                called again where another process has written meanwhile.

        Raises:
            StoreError: if it holds what could not be read again.
        """
        while True:
            old = self._checked() if self.exists() else None
            manifest = change(None if old is None else dict(old.manifest))
            text = self._text(manifest)
            if old is None and self.place.create(MANIFEST, text):
                return manifest
            if old is not None and self.place.swap(MANIFEST, old.raw, text):
                return manifest
            time.sleep(random.uniform(0, PAUSE))

    def _text(self, manifest: Mapping[str, Any]) -> bytes:
        try:
            text = manifest_text(manifest)
            if len(text) > MANIFEST_BYTES:
                raise ValueError(f"it has {len(text):,} bytes; allowed: {MANIFEST_BYTES:,}")
        except ValueError as error:
            named = self.place.named(MANIFEST)
            raise StoreError(f"{named} cannot be written: {reason(error)}") from None
        return text

    def locked(self) -> AbstractContextManager[None]:
        """Lock `sweep.json` against other processes.

        Raises:
            StoreError: if the folder cannot be written to or locked, or leads elsewhere.
        """
        return self.place.locked()

    def prepare(self) -> None:
        """Try whatever a run needs of the folder, before it trains.

        Raises:
            StoreError: if a part of the folder cannot be written to.
        """
        self.place.prepare()

    def record_run(self, run: Mapping[str, Any]) -> str:
        """Record that a run began, and return the name of its record.

        Raises:
            StoreError: if the record holds what could not be read again.
        """
        try:
            text = run_text(run)
        except ValueError as error:
            raise StoreError(f"the run cannot be recorded: {reason(error)}") from None
        name = f"{re.sub('[^0-9T+-]', '', run['began'])}-{uuid.uuid4().hex[:6]}.json"
        with self.locked():
            cells = self.manifest()["cells"]
            self.place.create(f"runs/{name}", text)
            self._enter(name, {"record": hash_of(text), "seeds": dict.fromkeys(cells)})
        return name

    def finish_run(self, name: str, seeds: Mapping[str, int]) -> None:
        """Record that a run finished, and the number of its seeds in each cell."""
        with self.locked():
            self._enter(name, {"seeds": dict(seeds)})

    def _enter(self, name: str, entry: Mapping[str, Any]) -> None:
        """Add to the entry of a run in `sweep.json`."""

        def entered(old: dict[str, Any] | None) -> dict[str, Any]:
            manifest = self.manifest() if old is None else old  # which says that there is none
            runs = manifest["runs"]
            return manifest | {"runs": {**runs, name: {**runs.get(name, {}), **entry}}}

        self.update(entered)

    def runs(self) -> list[dict[str, Any]]:
        """Return the records of all runs, the oldest first.

        Raises:
            StoreError: if a record is missing, damaged or edited.
        """
        return [self._run(name, known) for name, known in self._records().items()]

    def _records(self) -> dict[str, str | None]:
        """Return the names of the runs' records with their hashes; format 1 has none."""
        manifest = self.manifest()
        if manifest["format"] == UNSEALED:
            names = (key.removeprefix("runs/") for key in self.place.list("runs"))
            return dict.fromkeys(name for name in names if name.endswith(".json"))
        return {name: run["record"] for name, run in sorted(manifest["runs"].items())}

    def _run(self, name: str, known: str | None) -> dict[str, Any]:
        key = f"runs/{name}"
        try:
            raw = self.place.get(key, at_most=RUN_BYTES)
            if known not in (None, hash_of(raw)):
                raise ValueError("it differs from its hash in sweep.json")
            return read_run(raw)
        except FolderError:
            raise
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{self.place.named(key)}, a run's record, cannot be trusted: {reason(error)} "
                "(it is missing, damaged or edited); take it from a copy, or train again in "
                "another folder"
            ) from None

    def commit(
        self,
        cell: str,
        columns: Mapping[str, ndarray],
        errors: Mapping[int, str] | None = None,
        *,
        machine: int = 0,
    ) -> bool:
        """Store a chunk of a cell; return False if its first seed is stored already.

        `errors` says why seeds failed, and `machine` is the number of the machine that trained.

        Raises:
            ValueError: if its rows do not rise by seed and step, so that none could be read again.
        """
        check_order(columns)
        key = self.chunk_of(cell, int(columns["seed"].min()))
        content = write_chunk(rows_of(cell, columns), errors, machine=machine)
        return self.place.create(key, content)

    def chunk_of(self, cell: str, seed: int) -> str:
        """Return the key of the chunk of a cell that begins with a seed."""
        return f"data/{cell}-{seed:020d}.parquet"

    def chunks(self, cell: str = "") -> list[str]:
        """Return the keys of the committed chunks, of one cell or of all."""
        keys = self.place.list("data")
        return [k for k in keys if k.startswith(f"data/{cell}") and k.endswith(".parquet")]

    def by_cell(self) -> dict[str, list[str]]:
        """Return the keys of the committed chunks of each cell that has some."""
        found: dict[str, list[str]] = {}
        for key in self.chunks():
            found.setdefault(_named(key)[0], []).append(key)
        return found

    def parts(self) -> list[Part]:
        """Return the committed chunks, to be read one after another."""
        keys = self.chunks()
        checked = self._checked()  # after them, since another worker may have added a cell
        return [
            Part(*_named(key), self.place.named(key), self.where, partial(self._read, key, checked))
            for key in keys
        ]

    def rows(self, chunks: Iterable[str]) -> Iterator[pl.DataFrame]:
        """Yield the rows of each of some chunks."""
        return (rows for _, rows in self.loaded(chunks))

    def loaded(self, chunks: Iterable[str]) -> Iterator[tuple[bytes, pl.DataFrame]]:
        """Yield each of some chunks as a file, and its rows."""
        checked = self._checked()
        return (self._load(key, checked) for key in chunks)

    def frame(self) -> pl.DataFrame:
        """Return all stored rows in the order of cell, seed and step."""
        return Chunks(self.parts(), self.where).frame()

    def verify(self) -> list[str]:
        """Return the faults of the folder, a line for each.

        Raises:
            StoreError: if it holds no sweep.
        """
        self._seen = {}
        if not self.exists():
            self.manifest()
        try:
            manifest = self.manifest()
        except StoreError as error:
            return [str(error)]
        faults, runs = [], {}
        for name, known in self._records().items():
            try:
                runs[name] = self._run(name, known)
            except StoreError as error:
                faults.append(str(error))
        columns, repeated = list[str](), list[tuple[str, int]]()
        keys = self.place.list("data")
        checked = self._checked()  # after them, since another worker may have added a cell
        seeds = {cell: SeedSet() for cell in checked.manifest["cells"]}
        for key in keys:
            try:
                rows = self._read(key, checked)
            except StoreError as error:
                faults.append(str(error).partition("; ")[0])  # without its advice
                continue
            columns = columns or rows.columns
            if rows.columns != columns:
                faults.append(str(StoreError(f"{self.place.named(key)} is of another sweep")))
            cell, own = rows["cell"][0], rows["seed"].unique(maintain_order=True).to_numpy()
            twice = seeds[cell].has(own)
            seeds[cell].add(own[~twice])
            repeated += [(cell, seed) for seed in own[twice].tolist()]
        faults += [
            f"seed {seed} of cell {cell} is stored more than once"
            for cell, seed in sorted({*repeated})
        ]
        return faults + missing(manifest, runs, seeds)

    def notices(self) -> list[str]:
        """Return notices about the folder that are no faults, a line for each.

        Raises:
            StoreError: if the folder is damaged.
        """
        manifest = self.manifest()
        if manifest["format"] == UNSEALED:
            return [
                "format 1, of basin_jax 0.2, has no seal and no counts: what was edited in "
                "sweep.json or in runs, and chunks that are missing, are not found"
            ]
        runs = {name: self._run(name, known) for name, known in self._records().items()}
        return unfinished(manifest, runs)

    def _read(self, key: str, checked: Checked) -> pl.DataFrame:
        return self._load(key, checked)[1]

    def _load(self, key: str, checked: Checked) -> tuple[bytes, pl.DataFrame]:
        """Read a chunk, and check that it is undamaged and belongs to the sweep."""
        _, manifest, most = checked
        path = self.place.named(key)
        try:
            raw = self.place.get(key, at_most=bytes_of(most))
            frame = read_chunk(raw, rows=most)
            cells = frame["cell"].unique().to_list()
            if len(cells) > 1 or cells[0] not in manifest["cells"]:
                raise ValueError(f"is of another sweep ({', '.join(cells)[:80]})")
            entry = manifest["cells"][cells[0]]
            check_rows(frame, entry, stops_of(entry))
            read_errors(raw, frame)
            plans = [machine["plans"] for machine in manifest["machines"]]
            if cells[0] not in dict(enumerate(plans)).get(read_machine(raw), ()):
                raise ValueError(f"is of machine {read_machine(raw)}, which has no plan for it")
        except FolderError:
            raise
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{path} is damaged or foreign (it {reason(error)}); `basin-jax verify "
                f"{self.where}` lists all such chunks; delete them and run again to replace them"
            ) from None
        named = self.chunk_of(cells[0], int(frame["seed"].to_numpy().min()))
        if key != named:
            raise StoreError(f"{path} is a copy, or was renamed, of {named}; delete it")
        return raw, frame


def _named(key: str) -> tuple[str, int]:
    """Return the cell and the first seed in the name of a chunk; -1 if there is none."""
    cell, _, first = key.removeprefix("data/").removesuffix(".parquet").rpartition("-")
    return cell, int(first) if first.isdecimal() else -1
