"""Read and write files that may be damaged or foreign, on file systems that lack features.

A file is staged under a name of its own, flushed, and then given its name, so that it appears
whole or not at all. A staged file is called HOST.PROCESS.UNIQUE.NAME; what an ended process has
left is swept.
"""

import contextlib
import errno
import fcntl
import os
import re
import stat
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path


STAGED = re.compile(r"(.*)\.(\d+)\.[0-9a-f]{32}\..+", re.DOTALL)
# Seconds after which a staged file of another host is taken for one that nobody will finish.
LEASE = 86_400
# Seconds to wait for a lock that is a file, since nothing tells that its holder has died.
PATIENCE, PAUSE = 600.0, 0.1
PROBE_BYTES = 2**16  # more than a full disk, or a spent quota, takes
# What file systems answer that lack hard links, locks, or the flushing of folders.
LACKING = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}
NO_LINKS = {*LACKING, errno.EPERM, errno.EACCES, errno.EMLINK}
FULL = {errno.ENOSPC, errno.EDQUOT}
DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}


class FolderError(ValueError):
    """Raised when a folder cannot be used as asked: the message gives reason and remedy."""

    def __init__(self, message: str):
        super().__init__(printable(message))


def is_text(name: str) -> bool:
    """Return True if a file's name is UTF-8, so that it can be recorded."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(name: str) -> str:
    """Replace what a file's name may contain, but no text: control sequences, or no UTF-8."""
    return "".join(c if c.isprintable() else "?" for c in name)


def reason(error: OSError | ValueError) -> str:
    """Format an error's message on one line."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(said.replace("; ", ", ").split())[:300]


def remedy(error: OSError | ValueError) -> str:
    """Say what to do about a file that cannot be written."""
    if isinstance(error, UnicodeError):
        return "set PYTHONUTF8=1, or give a folder with a plain name"
    if isinstance(error, OSError) and error.errno in FULL:
        return "make space on its disk, and repeat the command: what is committed is kept"
    if isinstance(error, OSError) and error.errno in DENIED:
        return "give a folder that you may write to"
    if isinstance(error, OSError) and error.errno == errno.ENOLCK:
        return "repeat the command later, or give a folder on another disk"
    return "give another folder"


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


def write_file(path: Path, content: bytes, *, staging: Path | None = None) -> None:
    """Replace a file atomically: readers see the old or the new content, also after a crash.

    It is staged in the folder `staging`, its own folder if None.
    """
    write_files({path: content}, staging=staging)


def write_files(contents: Mapping[Path, bytes], *, staging: Path | None = None) -> None:
    """Replace some files, each atomically, and none unless there is space for all."""
    staged: dict[Path, Path] = {}
    try:
        for path, content in contents.items():
            staged[path] = stage(staging or path.parent, path.name)
            staged[path].write_bytes(content)
            sync(staged[path])
        for path, new in staged.items():
            new.replace(path)
    finally:
        for new in staged.values():
            new.unlink(missing_ok=True)
    for folder in {path.parent for path in contents}:
        sync(folder)


def write_new(path: Path, content: bytes, *, staging: Path, lock: Path) -> bool:
    """Write a file that appears whole, once, or not at all; return False if there is one.

    A hard link is exclusive. Where the file system has none, the staged file is renamed while
    `lock` is held.
    """
    while True:
        staged = stage(staging, path.name)
        try:
            staged.write_bytes(content)
            sync(staged)
            if not _place(staged, path, lock):
                return False
        except FileNotFoundError:
            # Another host has swept it, since this process slept for longer than the lease.
            if not staging.is_dir() or not path.parent.is_dir():
                raise
            continue
        finally:
            staged.unlink(missing_ok=True)
        sync(path.parent)
        return True


def _place(staged: Path, path: Path, lock: Path) -> bool:
    """Give a staged file its name, unless that is taken."""
    try:
        os.link(staged, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        with locked(lock):
            if os.path.lexists(path):
                return False
            os.rename(staged, path)
    return True


def stage(folder: Path, name: str) -> Path:
    """Return a new path at which to stage a file."""
    return folder / f"{os.uname().nodename}.{os.getpid()}.{uuid.uuid4().hex}.{name}"


def sweep(folder: Path) -> None:
    """Remove staged files of this host's ended processes, and old ones of other hosts."""
    left = [(path, STAGED.fullmatch(path.name)) for path in folder.iterdir()]
    if not any(found for _, found in left):
        return
    now = _file_time(folder)
    for path, found in left:
        if found is None:
            continue
        with contextlib.suppress(FileNotFoundError):
            if found[1] != os.uname().nodename:
                ended = now - path.lstat().st_mtime > LEASE
            else:
                ended = not is_alive(int(found[2]))
            if ended:
                path.unlink()


def _file_time(folder: Path) -> float:
    """Return the time by the clock of a folder's file system, which may be another host's."""
    probe = stage(folder, "time")
    try:
        probe.touch()
        return probe.lstat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


def is_alive(process: int) -> bool:
    """Return True if a process of this host lives."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Lock a file against other processes; make it if it is not there.

    Where the file system has no locks, a file beside it that is created exclusively is the lock.

    Raises:
        OSError: if it cannot be opened or locked.
        FolderError: if such a file was left by a process that has ended, or is kept too long.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(path, flags, 0o666), "wb") as handle, contextlib.ExitStack() as held:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            # Not where locks have run out, since other processes may hold some.
            if error.errno not in LACKING:
                raise
            held.enter_context(_held(path.with_name(f"{path.name}.held")))
        yield


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """Create a file exclusively, and remove it at the end."""
    began = time.monotonic()
    while True:
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            break
        except FileExistsError:
            _expect_holder(path, time.monotonic() - began)
            time.sleep(PAUSE)
    try:
        with open(handle, "w") as file:
            file.write(f"{os.uname().nodename} {os.getpid()}")
        yield
    finally:
        path.unlink(missing_ok=True)


def _expect_holder(path: Path, waited: float) -> None:
    """Raise `FolderError` if a lock's holder has ended, or keeps it for too long."""
    try:
        host, _, process = read_file(path, at_most=512).decode().rpartition(" ")
    except (OSError, ValueError):
        host, process = "", ""
    here = host == os.uname().nodename and process.isdecimal()
    holder = f"process {process} of {host}" if process else "a process"
    if here and not is_alive(int(process)):
        raise FolderError(f"{path} was left by {holder}, which has ended; delete it, and repeat")
    if waited > PATIENCE:
        raise FolderError(
            f"{path} has been held for {waited:.0f} s, by {holder}; if that has ended, delete it"
        )


def sync(path: Path) -> None:
    """Flush a file or a folder to the disk, where its file system can."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in LACKING:
            raise
    finally:
        os.close(handle)


def try_folder(folder: Path, *others: Path) -> None:
    """Write a file into a folder, and remove it, and expect that others can be written to.

    Raises:
        OSError: if one of them cannot be used.
    """
    probe = stage(folder, "probe")
    try:
        probe.write_bytes(bytes(PROBE_BYTES))
        sync(probe)
    finally:
        probe.unlink(missing_ok=True)
    for other in others:
        if not os.access(other, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(other))


def make_folder(folder: Path) -> None:
    """Make a folder to write into, remove links from it, which lead elsewhere, and try it.

    Raises:
        FolderError: if it is a link, which may lead anywhere, or cannot be written to.
    """
    if folder.is_symlink():
        raise FolderError(f"{folder} is a link; allowed: a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            status = path.lstat()
            plain = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
            if not plain and not stat.S_ISDIR(status.st_mode):
                path.unlink()
        sweep(folder)
        try_folder(folder)
    except OSError as error:
        raise FolderError(f"{folder} cannot be used: {reason(error)}; {remedy(error)}") from None


def write_pages(folder: Path, contents: Mapping[str, bytes]) -> Path:
    """Write files by their names into a folder, all or none, and return the folder.

    Raises:
        FolderError: if they cannot be written; those that were there are kept.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_files({folder / name: content for name, content in contents.items()})
    except OSError as error:
        raise FolderError(
            f"{folder} cannot be written to: {reason(error)}; {remedy(error)}"
        ) from None
    return folder


def is_private(path: Path) -> bool:
    """Return True if a file or folder is the user's own, and nobody else may write to it."""
    status = path.lstat()
    own = status.st_uid == os.geteuid() and not stat.S_ISLNK(status.st_mode)
    return own and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
