"""A sweep's folder: evidence in Parquet chunks that commit as one, and its provenance.

    FOLDER/
      sweep.json       every field, sources, versions, device, lanes
      runs/*.json      one a run: when, where, which seeds were asked for
      data/*.parquet   committed chunks, nothing else: read it with Polars, DuckDB, pandas
      staging/         chunks being written
      lock             held while sweep.json is made

A chunk is staged beside `data/`, synced, and linked into it: `link` fails if the name
is taken, so a chunk appears whole, once, or not at all. Parquet readers do not notice
flipped bits, or abort the process on them, so each chunk carries a hash of its own bytes,
which is checked before it is read. Listing the folder is the resume logic. There is no
pickle; opening a folder runs none of its code.
"""

import contextlib
import fcntl
import hashlib
import io
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Int8, UInt64
from numpy import ndarray


FORMAT = 1
HASH = "file_sha256"  # of the file with UNSEALED in the hash's place
UNSEALED = hashlib.sha256(HASH.encode()).hexdigest()
KEYS = ("cell", "seed", "step", "verdict")


class StoreError(ValueError):
    """A folder that cannot be used as asked: it says what is wrong, and what to do."""


class Store:
    """One sweep's folder."""

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = Path(folder)
        self.data = self.folder / "data"
        self.staging = self.folder / "staging"
        self._runs = self.folder / "runs"
        self._manifest = self.folder / "sweep.json"

    def exists(self) -> bool:
        """Return whether the folder holds a sweep."""
        return self._manifest.is_file()

    def manifest(self) -> dict[str, Any]:
        """Return what `sweep.json` says.

        Raises:
            StoreError: where there is none, or it cannot be read.
        """
        try:
            manifest = json.loads(self._manifest.read_text())
        except FileNotFoundError:
            raise StoreError(
                f"{self.folder} holds no sweep (no sweep.json); "
                "allowed: a folder that `basin-jax run` made"
            ) from None
        except (OSError, ValueError) as error:
            raise StoreError(f"{self._manifest} cannot be read: {error}") from None
        whole = isinstance(manifest, dict) and isinstance(manifest.get("cells"), dict)
        if not whole or manifest.get("format") != FORMAT:
            raise StoreError(
                f"{self._manifest} is not of format {FORMAT}; "
                "allowed: a folder made by this version of basin_jax"
            )
        return manifest

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Write `sweep.json` whole; a reader sees the old one or the new one."""
        for folder in (self.data, self.staging, self._runs):
            folder.mkdir(parents=True, exist_ok=True)
        staged = self._stage("sweep.json")
        staged.write_text(json.dumps({"format": FORMAT, **manifest}, indent=1) + "\n")
        _sync(staged)
        staged.replace(self._manifest)
        _sync(self.folder)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from writing `sweep.json` meanwhile."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def record_run(self, run: Mapping[str, Any]) -> None:
        """Record that a run began; what it asked for decides which interval may be shown."""
        staged = self._stage("run.json")
        staged.write_text(json.dumps(run, indent=1) + "\n")
        _sync(staged)
        staged.replace(self._runs / f"{run['began'].replace(':', '')}-{uuid.uuid4().hex[:6]}.json")
        _sync(self._runs)

    def runs(self) -> list[dict[str, Any]]:
        """Return what was recorded of each run, the oldest first."""
        try:
            return [json.loads(path.read_text()) for path in sorted(self._runs.glob("*.json"))]
        except ValueError as error:
            raise StoreError(f"a record in {self._runs} cannot be read: {error}") from None

    def commit(self, cell: str, columns: Mapping[str, ndarray]) -> bool:
        """Store one chunk of a cell; return False if its first seed is stored already."""
        frame = pl.DataFrame({"cell": pl.repeat(cell, len(columns["seed"]), eager=True), **columns})
        name = f"{cell}-{int(columns['seed'].min()):020d}.parquet"
        staged = self._stage(name)
        written = io.BytesIO()
        frame.write_parquet(written, metadata={HASH: UNSEALED})
        staged.write_bytes(_seal(written.getvalue()))
        _sync(staged)
        try:
            os.link(staged, self.data / name)
        except FileExistsError:
            return False
        finally:
            staged.unlink()
        _sync(self.data)
        return True

    def sweep_staging(self) -> None:
        """Remove what processes of this host that are gone have left half-written."""
        for staged in self.staging.glob(f"{os.uname().nodename}.*"):
            process = staged.name.removeprefix(os.uname().nodename).split(".")[1]
            if process.isdecimal() and not _is_alive(int(process)):
                staged.unlink(missing_ok=True)

    def chunks(self, cell: str = "") -> list[Path]:
        """Return the committed chunks, of one cell or of all."""
        return sorted(self.data.glob(f"{cell}*.parquet"))

    def verdicts(self, cell: str) -> tuple[UInt64[ndarray, " seed"], Int8[ndarray, " seed"]]:
        """Return the seeds that are stored for a cell, and the verdicts at their end."""
        columns = ["seed", "step", "verdict"]
        found = [self._read(path, columns) for path in self.chunks(cell)]
        if not found:
            return np.zeros(0, np.uint64), np.zeros(0, np.int8)
        stored = pl.concat(found)
        last = stored.filter(pl.col("step") == stored["step"].max()).sort("seed")
        return last["seed"].to_numpy(), last["verdict"].to_numpy()

    def frame(self) -> pl.DataFrame:
        """Return all that is stored, in the order of cell, seed and step."""
        chunks = self.chunks()
        if not chunks:
            raise StoreError(f"{self.folder} holds no seeds yet; run the sweep first")
        parts = [self._read(path) for path in chunks]
        known = self.manifest()["cells"]
        for path, part in zip(chunks, parts, strict=True):
            if part["cell"][0] not in known or part.columns != parts[0].columns:
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
        """Return what is wrong with the folder, a line each; nothing if it is sound."""
        manifest, faults, cells = self.manifest(), [], []
        if self.runs() and not self.chunks():
            faults.append(f"{self.data} has no chunk, though seeds were asked for")
        for path in sorted(self.data.glob("*")):
            try:
                frame = self._read(path, ["cell", "seed", "step"])
            except StoreError as error:
                faults.append(str(error).partition(";")[0])
                continue
            if set(frame["cell"]) - set(manifest["cells"]):
                faults.append(f"{path} is of another sweep")
            cells.append(frame)
        if cells:
            together = pl.concat(cells)
            repeated = together.filter(together.is_duplicated()).select("cell", "seed").unique()
            faults += [
                f"seed {seed} of cell {cell} is stored more than once"
                for cell, seed in repeated.sort("cell", "seed").iter_rows()
            ]
        return faults

    def _read(self, path: Path, columns: list[str] | None = None) -> pl.DataFrame:
        try:
            written = path.read_bytes()
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror}") from error
        stored = _hash_in(written)
        if stored is None or _seal(written.replace(stored, UNSEALED.encode())) != written:
            wrong = "has no hash" if stored is None else "differs from the hash in it"
            raise StoreError(
                f"{path} is damaged or foreign (it {wrong}); `basin-jax verify {self.folder}` "
                "lists all such chunks; delete them and run again to replace them"
            )
        frame = pl.read_parquet(written)
        named = f"{frame['cell'][0]}-{frame['seed'].min():020d}.parquet"
        if path.name != named:
            raise StoreError(f"{path} is a copy, or was renamed, of {named}; delete it")
        return frame if columns is None else frame.select(columns)

    def _stage(self, name: str) -> Path:
        host = os.uname().nodename
        return self.staging / f"{host}.{os.getpid()}.{uuid.uuid4().hex}.{name}"


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _seal(written: bytes) -> bytes:
    """Put a file's hash into the place that is kept for it in its Parquet metadata."""
    return written.replace(UNSEALED.encode(), hashlib.sha256(written).hexdigest().encode())


def _hash_in(written: bytes) -> bytes | None:
    _, name, rest = written.rpartition(HASH.encode())
    # Thrift's compact protocol puts a field's type and a string's length in between.
    stored = rest[2 : 2 + len(UNSEALED)]
    return stored if name and len(stored) == len(UNSEALED) else None


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
