"""A sweep's folder: evidence in Parquet chunks that commit as one, and its provenance.

    FOLDER/
      sweep.json       every field, sources, versions, device, lanes; the runs; a seal
      runs/*.json      a record for each run: when, where, which seeds it asked for
      data/*.parquet   committed chunks, nothing else: read it with Polars, DuckDB, pandas
      staging/         chunks being written
      lock             held while sweep.json is made, and the first worker compiles and tunes
      commit.lock      held while a chunk is renamed, where the file system has no links
      *.held           the same, where the file system has no locks

A chunk is staged beside `data/`, synced, and linked into it: `link` fails if the name is taken, so
a chunk appears whole, once, or not at all. Where the file system has no links, it is renamed while
the lock is held. Listing the folder is the resume logic. `sweep.json` has the hash of each run's
record, and the number of its seeds that a finished run left in each cell, so that missing ones are
found. There is no pickle; opening a folder runs none of its code, follows no link in it, and reads
only regular files whose sizes are in bounds.
"""

import contextlib
import os
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Int8, UInt64
from numpy import ndarray

from basin_jax.files import (
    FolderError,
    locked,
    read_file,
    reason,
    remedy,
    sweep,
    try_folder,
    write_file,
    write_new,
)
from basin_jax.results.chunk import bytes_of, check_rows, read_chunk, write_chunk
from basin_jax.results.completeness import missing, unfinished
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


SUBFOLDERS = ("data", "staging", "runs")


class StoreError(FolderError):
    """Raised when a sweep's folder cannot be used as asked: the message gives reason and remedy."""


class Store:
    """A sweep's folder."""

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = Path(folder)
        self.data, self.staging, self._runs = (self.folder / name for name in SUBFOLDERS)
        self._manifest = self.folder / "sweep.json"
        # Another than that of `locked`, which a worker may hold for minutes.
        self._commits = self.folder / "commit.lock"
        # A manifest that was checked, by what tells its file from another, and a chunk's rows.
        self._seen: dict[tuple[int, ...], tuple[dict[str, Any], int]] = {}

    def exists(self) -> bool:
        """Return True if the folder holds a sweep."""
        return os.path.lexists(self._manifest)

    def manifest(self) -> dict[str, Any]:
        """Read `sweep.json`, checked against its seal and its schema.

        Raises:
            StoreError: if there is none, or it is damaged, edited or of another version.
        """
        return dict(self._checked()[0])

    def _checked(self) -> tuple[dict[str, Any], int]:
        """Return the manifest, and the largest number of rows of a chunk."""
        try:
            self._refuse_links()
            status = self._manifest.lstat()
            key = status.st_ino, status.st_mtime_ns, status.st_size
            if key not in self._seen:
                manifest = read_manifest(read_file(self._manifest, at_most=MANIFEST_BYTES))
                stops = max(len(stops_of(cell)) for cell in manifest["cells"].values())
                self._seen = {key: (manifest, manifest["chunk"] * stops)}
        except FileNotFoundError:
            raise StoreError(
                f"{self.folder} holds no sweep (no sweep.json); "
                "allowed: a folder that `basin-jax run` made"
            ) from None
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{self._manifest} cannot be trusted: {reason(error)} (it is damaged, edited or "
                "of another version of basin_jax); take it from a copy, or give another folder"
            ) from None
        return self._seen[key]

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Write `sweep.json` atomically.

        Raises:
            StoreError: if it holds what could not be read again.
        """
        try:
            text = manifest_text(manifest)
            if len(text) > MANIFEST_BYTES:
                raise ValueError(f"it has {len(text):,} bytes; allowed: {MANIFEST_BYTES:,}")
        except ValueError as error:
            raise StoreError(f"{self._manifest} cannot be written: {reason(error)}") from None
        with self._writing(self._manifest):
            for folder in (self.data, self.staging, self._runs):
                folder.mkdir(parents=True, exist_ok=True)
            write_file(self._manifest, text, staging=self.staging)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock `sweep.json` against other processes.

        Raises:
            StoreError: if the folder cannot be written to or locked, or leads elsewhere.
        """
        lock = self.folder / "lock"
        with contextlib.ExitStack() as held:
            with self._writing(lock):
                self.folder.mkdir(parents=True, exist_ok=True)
                self._refuse_links()
                held.enter_context(locked(lock))
            yield

    def prepare(self) -> None:
        """Try whatever a run needs of the folder, before it trains.

        Raises:
            StoreError: if a part of the folder cannot be written to.
        """
        with self._writing(self.folder):
            for folder in (self.data, self.staging, self._runs):
                folder.mkdir(parents=True, exist_ok=True)
            sweep(self.staging)
            try_folder(self.staging, self.folder, self.data, self._runs)
            with locked(self._commits):
                pass

    @contextlib.contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        """Turn an error of the file system into a `StoreError` that says how to go on."""
        try:
            yield
        except FolderError as error:
            raise StoreError(str(error)) from None
        except (OSError, ValueError) as error:
            named = getattr(error, "filename", None)
            other = f" ({named})" if named and os.fspath(path) != named else ""
            raise StoreError(
                f"{path} cannot be written: {reason(error)}{other}; {remedy(error)}"
            ) from None

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
            manifest = self.manifest()
            with self._writing(self._runs / name):
                write_file(self._runs / name, text, staging=self.staging)
            entry = {"record": hash_of(text), "seeds": dict.fromkeys(manifest["cells"])}
            self.write_manifest(manifest | {"runs": {**manifest["runs"], name: entry}})
        return name

    def finish_run(self, name: str, seeds: Mapping[str, int]) -> None:
        """Record that a run finished, and the number of its seeds in each cell."""
        with self.locked():
            manifest = self.manifest()
            entry = manifest["runs"][name] | {"seeds": dict(seeds)}
            self.write_manifest(manifest | {"runs": {**manifest["runs"], name: entry}})

    def runs(self) -> list[dict[str, Any]]:
        """Return the records of all runs, the oldest first.

        Raises:
            StoreError: if a record is missing, damaged or edited.
        """
        return [self._run(path, known) for path, known in self._records().items()]

    def _records(self) -> dict[Path, str | None]:
        """Return the paths of the runs' records with their hashes; format 1 has none."""
        manifest = self.manifest()
        if manifest["format"] == UNSEALED:
            return dict.fromkeys(sorted(self._runs.glob("*.json")))
        return {self._runs / n: run["record"] for n, run in sorted(manifest["runs"].items())}

    def _run(self, path: Path, known: str | None) -> dict[str, Any]:
        try:
            raw = read_file(path, at_most=RUN_BYTES)
            if known not in (None, hash_of(raw)):
                raise ValueError("it differs from its hash in sweep.json")
            return read_run(raw)
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{path}, a run's record, cannot be trusted: {reason(error)} (it is missing, "
                "damaged or edited); take it from a copy, or train again in another folder"
            ) from None

    def commit(self, cell: str, columns: Mapping[str, ndarray]) -> bool:
        """Store one chunk of a cell; return False if its first seed is stored already."""
        path = self.data / f"{cell}-{int(columns['seed'].min()):020d}.parquet"
        cells = pl.repeat(cell, len(columns["seed"]), eager=True)
        content = write_chunk(pl.DataFrame({"cell": cells, **columns}))
        with self._writing(path):
            return write_new(path, content, staging=self.staging, lock=self._commits)

    def chunks(self, cell: str = "") -> list[Path]:
        """Return the committed chunks, of one cell or of all."""
        return sorted(self.data.glob(f"{cell}*.parquet"))

    def by_cell(self) -> dict[str, list[Path]]:
        """Return the committed chunks of each cell that has some."""
        found: dict[str, list[Path]] = {}
        for path in self.chunks():
            found.setdefault(path.name.partition("-")[0], []).append(path)
        return found

    def verdicts(
        self, cell: str, chunks: Sequence[Path] | None = None
    ) -> tuple[UInt64[ndarray, " seed"], Int8[ndarray, " seed"]]:
        """Return the stored seeds of a cell, and their verdicts at the last stop.

        Args:
            cell: the cell.
            chunks: its chunks, if they are known, since to list them takes time.
        """
        columns = ["seed", "step", "verdict"]
        known = self.chunks(cell) if chunks is None else chunks
        found = [self._read(path, columns) for path in known]
        if not found:
            return np.zeros(0, np.uint64), np.zeros(0, np.int8)
        stored = pl.concat(found)
        last = stored.filter(pl.col("step") == stored["step"].max()).sort("seed")
        return last["seed"].to_numpy(), last["verdict"].to_numpy()

    def rows(self, chunk: Path) -> pl.DataFrame:
        """Return the rows of a chunk."""
        return self._read(chunk)

    def frame(self) -> pl.DataFrame:
        """Return all stored rows in the order of cell, seed and step."""
        chunks = self.chunks()
        if not chunks:
            raise StoreError(f"{self.folder} holds no seeds yet; run the sweep first")
        parts = [self._read(path) for path in chunks]
        for path, part in zip(chunks, parts, strict=True):
            if part.columns != parts[0].columns:
                raise StoreError(f"{path} is of another sweep; move it away")
        frame = pl.concat(parts, how="vertical_relaxed").sort("cell", "seed", "step")
        same = (pl.col(name) == pl.col(name).shift() for name in ("cell", "seed", "step"))
        if frame.select(pl.all_horizontal(same).any()).item():
            raise StoreError(
                f"{self.folder} has seeds that are stored more than once; "
                f"`basin-jax verify {self.folder}` lists them"
            )
        return frame

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
        faults, stored, runs = [], [], {}
        for path, known in self._records().items():
            try:
                runs[path.name] = self._run(path, known)
            except StoreError as error:
                faults.append(str(error))
        columns: list[str] = []
        for path in sorted(self.data.glob("*")):
            try:
                frame = self._read(path)
            except StoreError as error:
                faults.append(str(error).partition("; ")[0])  # without its advice
                continue
            columns = columns or frame.columns
            if frame.columns != columns:
                faults.append(str(StoreError(f"{path} is of another sweep")))
            stored.append(frame.select("cell", "seed", "step"))
        if stored:
            together = pl.concat(stored)
            repeated = together.filter(together.is_duplicated()).select("cell", "seed").unique()
            faults += [
                f"seed {seed} of cell {cell} is stored more than once"
                for cell, seed in repeated.sort("cell", "seed").iter_rows()
            ]
        seeds = {cell: np.zeros(0, np.uint64) for cell in manifest["cells"]} | {
            str(cell): rows["seed"].unique().sort().to_numpy()
            for (cell,), rows in (pl.concat(stored).group_by("cell") if stored else ())
        }
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
        runs = {path.name: self._run(path, known) for path, known in self._records().items()}
        return unfinished(manifest, runs)

    def _read(self, path: Path, columns: list[str] | None = None) -> pl.DataFrame:
        """Read a chunk, and check that it is undamaged and belongs to the sweep."""
        manifest, most = self._checked()
        try:
            frame = read_chunk(read_file(path, at_most=bytes_of(most)), rows=most)
            cells = frame["cell"].unique().to_list()
            if len(cells) > 1 or cells[0] not in manifest["cells"]:
                raise ValueError(f"is of another sweep ({', '.join(cells)[:80]})")
            entry = manifest["cells"][cells[0]]
            check_rows(frame, entry, stops_of(entry))
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{path} is damaged or foreign (it {reason(error)}); `basin-jax verify "
                f"{self.folder}` lists all such chunks; delete them and run again to replace them"
            ) from None
        named = f"{cells[0]}-{frame['seed'].min():020d}.parquet"
        if path.name != named:
            raise StoreError(f"{path} is a copy, or was renamed, of {named}; delete it")
        return frame if columns is None else frame.select(columns)

    def _refuse_links(self) -> None:
        """Raise `ValueError` if a part of the folder lies elsewhere."""
        for folder in (self.data, self.staging, self._runs):
            if folder.is_symlink():
                raise ValueError(f"{folder} is a link; allowed: a folder")
