"""A folder as the place of a sweep's results: files by their keys, on a file system."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

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


SUBFOLDERS = ("data", "staging", "runs", "workers", "parked")


class StoreError(FolderError):
    """Raised when a sweep's folder cannot be used as asked: the message gives reason and remedy."""


class Folder:
    """A folder; a key is the path of a file in it, such as `data/CELL-SEED.parquet`."""

    def __init__(self, path: str | os.PathLike[str]):
        self.local = Path(path)
        self.where = str(self.local)
        self._parts = [self.local / name for name in SUBFOLDERS]
        self._staging = self.local / "staging"
        # Another than that of `locked`, which a worker may hold for minutes.
        self._commits = self.local / "commit.lock"

    def named(self, key: str) -> str:
        """Return a key as messages name it."""
        return str(self.local / key)

    def exists(self, key: str) -> bool:
        """Return True if there is a file."""
        return os.path.lexists(self.local / key)

    def stamp(self, key: str) -> tuple[object, ...]:
        """Return what tells a file's content from another, without reading it.

        Raises:
            OSError: if it is not there.
            ValueError: if a part of the folder lies elsewhere.
        """
        self._refuse_links()
        status = (self.local / key).lstat()
        return status.st_ino, status.st_mtime_ns, status.st_size

    def modified(self, key: str) -> float:
        """Return when a file was written, in seconds since 1970 by the file system's clock.

        Raises:
            OSError: if it is not there.
        """
        return (self.local / key).lstat().st_mtime

    def get(self, key: str, *, at_most: int) -> bytes:
        """Return the content of a file of up to `at_most` bytes.

        Raises:
            OSError: if it is not there, or may not be read.
            ValueError: if it is no regular file, or too large.
        """
        return read_file(self.local / key, at_most=at_most)

    def list(self, subfolder: str) -> list[str]:
        """Return the keys of all that is in a subfolder, sorted."""
        return sorted(f"{subfolder}/{path.name}" for path in (self.local / subfolder).glob("*"))

    def create(self, key: str, content: bytes) -> bool:
        """Write a file that appears whole, once, or not at all; return False if there is one.

        Raises:
            StoreError: if it cannot be written.
        """
        path = self.local / key
        with self._writing(path):
            return write_new(path, content, staging=self._staging, lock=self._commits)

    def swap(self, key: str, old: bytes, new: bytes) -> bool:
        """Replace a file's content atomically; return False if it is another than `old`.

        Raises:
            StoreError: if it cannot be written.
        """
        path = self.local / key
        with self._writing(path), locked(self._commits):
            try:
                same = read_file(path, at_most=len(old)) == old
            except ValueError:  # larger, or no regular file
                same = False
            if same:
                write_file(path, new, staging=self._staging)
        return same

    def replace(self, key: str, content: bytes) -> None:
        """Write a file atomically, whether there is one or not.

        Raises:
            StoreError: if it cannot be written.
        """
        path = self.local / key
        with self._writing(path):
            write_file(path, content, staging=self._staging)

    def delete(self, key: str) -> None:
        """Remove a file, if there is one.

        Raises:
            OSError: if it cannot be removed.
        """
        (self.local / key).unlink(missing_ok=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock `sweep.json` against other processes; make the folder if it is not there.

        Raises:
            StoreError: if the folder cannot be written to or locked, or leads elsewhere.
        """
        if self.local.is_file():
            raise StoreError(f"{self.where} is a file; allowed: a folder, or a new name")
        lock = self.local / "lock"
        with contextlib.ExitStack() as held:
            with self._writing(lock):
                self.local.mkdir(parents=True, exist_ok=True)
                self._refuse_links()
                held.enter_context(locked(lock))
            yield

    def prepare(self, *more: str) -> None:
        """Try whatever a run needs of the folder, with `more` subfolders, before it trains.

        Raises:
            StoreError: if a part of the folder cannot be written to.
        """
        with self._writing(self.local):
            parts = [*self._parts, *(self.local / name for name in more)]
            for folder in parts:
                folder.mkdir(parents=True, exist_ok=True)
            sweep(self._staging)
            try_folder(self._staging, self.local, *parts)
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

    def _refuse_links(self) -> None:
        """Raise `ValueError` if a part of the folder lies elsewhere."""
        for folder in self._parts:
            if folder.is_symlink():
                raise ValueError(f"{folder} is a link; allowed: a folder")
