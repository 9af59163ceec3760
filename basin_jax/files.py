"""Read and write files that may be damaged or foreign."""

import errno
import os
import stat
from pathlib import Path


def read_file(path: Path, *, at_most: int) -> bytes:
    """Read a regular file of up to `at_most` bytes, without waiting and without following a link.

    Raises:
        OSError: if it is not there, or may not be read.
        ValueError: if it is no regular file, or too large; the path is left for the caller.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ValueError("is a link; allowed: a regular file") from None
        raise
    with open(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("is no regular file; allowed: a regular file")
        if status.st_size > at_most:
            raise ValueError(f"has {status.st_size:,} bytes; allowed: at most {at_most:,}")
        return file.read(status.st_size)


def write_file(path: Path, content: bytes, *, staged: Path) -> None:
    """Replace a file atomically: readers see the old or the new content, also after a crash."""
    staged.write_bytes(content)
    sync(staged)
    staged.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Flush a file or a folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Make a folder to write into, and remove links from it, which lead elsewhere.

    Raises:
        ValueError: if it is a link, which may lead anywhere.
    """
    if folder.is_symlink():
        raise ValueError(f"{folder} is a link; allowed: a folder")
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        status = path.lstat()
        plain = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
        if not plain and not stat.S_ISDIR(status.st_mode):
            path.unlink()


def is_private(path: Path) -> bool:
    """Return True if a file or folder is the user's own, and nobody else may write to it."""
    status = path.lstat()
    own = status.st_uid == os.geteuid() and not stat.S_ISLNK(status.st_mode)
    return own and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
