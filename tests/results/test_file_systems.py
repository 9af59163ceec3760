"""A folder on a file system that lacks something or fails: it works, or is refused in a line."""

import errno
import os
import stat
import subprocess
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import folders
import pytest
from batteries.environments import refusing
from folders import cell_of, contents, verdicts

import basin_jax as bj
from basin_jax import files
from basin_jax.files import FolderError
from basin_jax.report import page
from basin_jax.results.store import Store, StoreError


STOPS = (0, 10)
CELL, ENTRY = cell_of({"tilt": 0.1}, STOPS)


def columns(seeds, salt: float = 0.0):
    return folders.columns(seeds, STOPS, salt)


@pytest.fixture
def made(tmp_path) -> Store:
    return folders.new_store(tmp_path / "sweep", {CELL: ENTRY})


@pytest.fixture(params=["links", "no links", "no links, no locks"])
def lacking(request, monkeypatch):
    """A file system without hard links, without locks, or with both."""
    if "no links" in request.param:
        monkeypatch.setattr(os, "link", refusing(errno.EPERM))
    if "no locks" in request.param:
        monkeypatch.setattr(files.fcntl, "flock", refusing(errno.EOPNOTSUPP))


@pytest.mark.parametrize("code", sorted(files.NO_LINKS))
def test_a_chunk_commits_once_without_hard_links(made, monkeypatch, code):
    monkeypatch.setattr(os, "link", refusing(code))
    assert made.commit(CELL, columns(range(5)))
    before = contents(made.folder)
    assert not made.commit(CELL, columns(range(5), salt=1.0))
    assert contents(made.folder) == before
    assert made.verify() == []
    assert not list((made.folder / "staging").iterdir())


def test_of_writers_that_commit_the_same_chunk_one_wins(made, lacking):
    writers, rounds, won = 4, 12, []
    start = threading.Barrier(writers)

    def write(salt: int):
        for first in range(rounds):
            start.wait()
            if Store(made.folder).commit(CELL, columns([first], salt=salt)):
                won.append((first, salt))

    threads = [threading.Thread(target=write, args=[salt]) for salt in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(first for first, _ in won) == [*range(rounds)]
    last = made.frame().filter(step=STOPS[-1])
    stored = dict(last.select("seed", "x").iter_rows())
    assert stored == {first: columns([first], salt=salt)["x"][-1] for first, salt in won}
    assert made.verify() == []
    assert not list((made.folder / "staging").iterdir())
    assert not list(made.folder.glob("*.held"))


def test_a_chunk_commits_while_another_worker_tunes(made, lacking, monkeypatch):
    monkeypatch.setattr(files, "PATIENCE", 0.5)
    with ThreadPoolExecutor() as pool, made.locked():
        committed = pool.submit(Store(made.folder).commit, CELL, columns(range(5)))
        assert committed.result(timeout=10)
    assert verdicts(made, CELL)[0].tolist() == [0, 1, 2, 3, 4]


def test_a_commit_that_could_not_be_locked_is_refused_before_training(made, monkeypatch):
    monkeypatch.setattr(files.fcntl, "flock", refusing(errno.ENOSYS))
    dead = subprocess.check_output([sys.executable, "-c", "import os; print(os.getpid())"])
    held = made.folder / "commit.lock.held"
    held.write_text(f"{os.uname().nodename} {int(dead)}")
    with pytest.raises(StoreError, match=r"commit\.lock\.held was left by .*; delete it"):
        made.prepare()
    held.unlink()
    made.prepare()


OPERATIONS = [(os, "fsync"), (os, "link"), (os, "open"), (os, "rename"), (Path, "unlink")]
OPERATIONS += [(files.fcntl, "flock"), (Path, "write_bytes")]


class Killed(BaseException):
    """What ends a process at one of its file operations."""


@pytest.mark.ci
def test_a_kill_at_any_file_operation_leaves_whole_chunks_only(made, lacking, monkeypatch):
    left, kills = 0, 0

    def deadly(operation):
        def call(*args, **kwargs):
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed
            return operation(*args, **kwargs)

        return call

    for owner, name in OPERATIONS:
        monkeypatch.setattr(owner, name, deadly(getattr(owner, name)))
    for nth in range(1, 100):
        left = nth
        try:
            assert made.commit(CELL, columns([nth]))
        except Killed:
            kills += 1
        else:
            break
        left = 0
        assert made.verify() == []
        (made.folder / "commit.lock.held").unlink(missing_ok=True)  # as its message advises
        made.commit(CELL, columns([nth]))
        assert nth in verdicts(made, CELL)[0]
    assert kills >= 6


def test_a_lock_that_is_a_file_excludes_and_says_who_left_it(made, monkeypatch):
    monkeypatch.setattr(files.fcntl, "flock", refusing(errno.ENOSYS))
    monkeypatch.setattr(files, "PATIENCE", 0.2)
    other = Store(made.folder)
    with made.locked(), pytest.raises(StoreError) as caught, other.locked():
        pass
    mine = f"process {os.getpid()} of {os.uname().nodename}"
    assert f"lock.held has been held for 0 s, by {mine}; if that has ended" in str(caught.value)
    dead = subprocess.check_output([sys.executable, "-c", "import os; print(os.getpid())"])
    (made.folder / "lock.held").write_text(f"{os.uname().nodename} {int(dead)}")
    with pytest.raises(StoreError, match=r"lock\.held was left by .* has ended; delete it"):
        made.finish_run("", {})
    (made.folder / "lock.held").unlink()
    with made.locked():
        assert (made.folder / "lock.held").is_file()
    assert not (made.folder / "lock.held").exists()


def test_folders_that_cannot_be_flushed_are_used(made, monkeypatch):
    def is_folder(handle):
        return stat.S_ISDIR(os.fstat(handle).st_mode)

    monkeypatch.setattr(os, "fsync", refusing(errno.EINVAL, is_folder, os.fsync))
    assert made.commit(CELL, columns(range(5)))
    assert made.verify() == []


@pytest.mark.ci
def test_a_disk_that_is_full_for_a_while_costs_no_committed_seed(wells, tmp_path, monkeypatch):
    write, full = Path.write_bytes, False

    def write_bytes(path, content):
        if full and path.suffix == ".parquet":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    bj.run(wells, 64, tmp_path / "full", lanes=8)
    full = True
    with pytest.raises(StoreError, match=r"No space left on device .*; make space .* is kept"):
        bj.run(wells, 128, tmp_path / "full")
    assert Store(tmp_path / "full").verify() == []
    assert bj.load(tmp_path / "full").frame.height == len(wells) * 64
    full = False
    again = bj.run(wells, 128, tmp_path / "full")
    assert again.frame.equals(bj.run(wells, 128, tmp_path / "whole", lanes=8).frame)


def leave(folder: Path, host: str, process: int, *, age: float = 0.0) -> Path:
    left = folder / f"{host}.{process}.{uuid.uuid4().hex}.name.parquet"
    left.write_bytes(b"half")
    now = left.stat().st_mtime
    os.utime(left, (now - age, now - age))
    return left


def test_what_other_hosts_left_is_swept_when_it_is_old(made):
    old = [
        leave(made.folder / "staging", host, 1, age=2 * files.LEASE)
        for host in ("far", "[a].b.lan", "")
    ]
    own = leave(made.folder / "staging", os.uname().nodename, os.getpid(), age=2 * files.LEASE)
    fresh = leave(made.folder / "staging", "far", 1, age=files.LEASE / 2)
    foreign = made.folder / "staging" / "notes.txt"
    foreign.write_text("mine")
    made.prepare()
    assert {*(made.folder / "staging").iterdir()} == {own, fresh, foreign}
    assert not any(path.exists() for path in old)


def test_a_writer_that_was_taken_for_dead_writes_again(made, monkeypatch):
    sync, swept = files.sync, []

    def slow(path):
        sync(path)
        if path.parent == (made.folder / "staging") and not swept:
            swept.append(path)
            path.unlink()  # by another host, while this one slept

    monkeypatch.setattr(files, "sync", slow)
    assert made.commit(CELL, columns(range(5)))
    assert swept
    assert verdicts(made, CELL)[0].tolist() == [0, 1, 2, 3, 4]


@pytest.fixture(scope="module")
def records(wells, tmp_path_factory):
    return bj.run(wells, 8, tmp_path_factory.mktemp("reported"), lanes=8)


def test_a_report_is_written_whole_or_not_at_all(records, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "drawn", lambda figure, suffix: suffix.encode())
    folder = tmp_path / "report"
    page.write_report(records, folder)
    before, write, left = contents(folder), Path.write_bytes, 4
    rule = bj.rules.Behavior(deceptive_gap=0.9)

    def write_bytes(path, content):
        nonlocal left
        left -= 1
        if left == 0:
            write(path, content[:7])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    strict = bj.load(records.store.folder, rule=rule)
    with pytest.raises(FolderError, match=f"{folder} cannot be written to: No space"):
        page.write_report(strict, folder)
    assert contents(folder) == before
    page.write_report(strict, folder)
    assert contents(folder) != before


def test_a_report_sweeps_what_another_has_left_and_nothing_else(records, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "drawn", lambda figure, suffix: b"")
    left = leave(tmp_path, "far", 1, age=2 * files.LEASE)
    (tmp_path / "notes.txt").write_text("mine")
    page.write_report(records, tmp_path)
    assert not left.exists()
    assert (tmp_path / "notes.txt").exists()


@pytest.mark.ci
@pytest.mark.skipif(sys.platform != "linux", reason="loads a library before the C library")
@pytest.mark.parametrize("step", [211, pytest.param(1, marks=pytest.mark.slow)])
def test_no_file_operation_that_fails_costs_more_than_its_run(tmp_path, step):
    tests, shim = Path(folders.__file__).parent, tmp_path / "failing.so"
    compiled = ["gcc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", shim, tests / "failing.c"]
    subprocess.run(compiled, check=True)
    done = subprocess.run(
        [sys.executable, tests / "failing.py", tmp_path, str(step)],
        env=os.environ | {"LD_PRELOAD": str(shim)},
        capture_output=True,
        text=True,
    )
    operations, tried, *wrong = done.stdout.splitlines()
    assert wrong == [], done.stderr
    assert int(tried) >= 2 * (int(operations) // step) > 0
