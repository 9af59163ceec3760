"""The store: whole chunks, once, in plain Parquet, and no damage goes unnoticed."""

import functools
import json
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import folders
import numpy as np
import polars as pl
import pytest
from folders import cell_of, contents, run_of, verdicts
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import basin_jax
from basin_jax import files
from basin_jax.results import chunk
from basin_jax.results.store import Store, StoreError


STOPS = (0, 10)
CELLS = dict(cell_of({"tilt": tilt}, STOPS) for tilt in (0.1, 0.2))
CELL, OTHER = CELLS
columns = functools.partial(folders.columns, stops=STOPS)
new_store = functools.partial(folders.new_store, cells=CELLS)


@pytest.fixture
def sound(tmp_path) -> Store:
    """A store of two chunks of one cell, and one of another."""
    made = new_store(tmp_path / "sweep")
    assert made.commit(CELL, columns(range(64)))
    assert made.commit(CELL, columns(range(64, 100)))
    assert made.commit(OTHER, columns(range(64)))
    return made


@pytest.mark.parametrize("seeds", [[3, 4, 4, 5], [3, 5, 4]])
def test_rows_that_do_not_rise_are_not_stored(tmp_path, seeds):
    store = new_store(tmp_path)
    with pytest.raises(ValueError, match="a chunk repeats seed 4, or has it out of order"):
        store.commit(CELL, columns(seeds))
    assert store.chunks() == []


def test_what_is_committed_comes_back_with_its_bits(sound):
    assert sound.verify() == []
    frame = sound.frame()
    assert len(frame) == 164 * len(STOPS)
    assert frame.equals(frame.sort("cell", "seed", "step"))
    mine = frame.filter(cell=CELL)
    for name, values in columns(range(100)).items():
        assert mine[name].to_numpy().tobytes() == values.tobytes()
    seeds, found = verdicts(sound, CELL)
    assert seeds.tolist() == list(range(100))
    assert found.tolist() == (np.sin(np.arange(100.0)) > 0).tolist()


@pytest.mark.parametrize("seed", [0, 2**31, 2**32, 2**53 + 1, 2**63, 2**64 - 1])
def test_seeds_of_64_bits_survive(tmp_path, seed):
    made = new_store(tmp_path)
    made.commit(CELL, columns([seed]))
    assert verdicts(made, CELL)[0].tolist() == [seed]
    assert made.frame()["seed"].to_list() == [seed] * len(STOPS)


def test_an_empty_store_has_no_verdicts_and_says_so(tmp_path):
    made = new_store(tmp_path)
    assert [len(column) for column in verdicts(made, CELL)] == [0, 0]
    with pytest.raises(StoreError, match="holds no seeds yet"):
        made.frame()


def test_a_chunk_commits_once_and_a_second_commit_changes_nothing(sound):
    before = contents(sound.folder)
    assert not sound.commit(CELL, columns(range(64), salt=1.0))
    assert not sound.commit(CELL, columns(range(3)))  # the same first seed
    assert contents(sound.folder) == before


class Crash(OSError):
    """What stops a process at one of its file operations."""


def test_a_crash_at_any_file_operation_leaves_whole_chunks_only(tmp_path, monkeypatch):
    left, crashes = 0, 0

    def crashing(operation):
        def call(*args, **kwargs):
            nonlocal left
            left -= 1
            if left == 0:
                raise Crash
            return operation(*args, **kwargs)

        return call

    for owner, name in [(os, "fsync"), (os, "link"), (os, "open"), (Path, "unlink")]:
        monkeypatch.setattr(owner, name, crashing(getattr(owner, name)))
    monkeypatch.setattr(Path, "write_bytes", crashing(Path.write_bytes))
    for nth in range(1, 100):
        left = 0
        made = new_store(tmp_path / str(nth))
        left = nth
        try:
            committed = made.commit(CELL, columns(range(5)))
        except StoreError:
            crashes += 1
        else:
            assert committed
            break
        left = 0
        assert made.verify() == []
        assert len(verdicts(made, CELL)[0]) in (0, 5)
        made.commit(CELL, columns(range(5)))
        assert made.verify() == []
        assert verdicts(made, CELL)[0].tolist() == list(range(5))
    assert crashes >= 7


def test_a_chunk_is_on_the_disk_before_it_is_visible(sound, monkeypatch):
    calls = []
    sync, link = files.sync, os.link

    def recorded_sync(path):
        calls.append(("sync", path.parent.name if path.suffix else path.name))
        sync(path)

    def recorded_link(staged, path):
        calls.append(("link", path.parent.name))
        link(staged, path)

    monkeypatch.setattr(files, "sync", recorded_sync)
    monkeypatch.setattr(os, "link", recorded_link)
    sound.commit(CELL, columns([777]))
    assert calls == [("sync", "staging"), ("link", "data"), ("sync", "data")]


@pytest.mark.ci
@pytest.mark.lowest  # a file whose metadata is damaged is read by Polars
def test_every_flipped_bit_is_found(sound):
    path = sound.folder / sound.chunks()[0]
    written, random = path.read_bytes(), np.random.default_rng(5)
    # All over the file, and in all of its last bytes, where its metadata is.
    bits = {*random.choice(len(written) * 8, 60, replace=False).tolist()}
    bits |= {8 * (len(written) - i) for i in range(1, 60)}
    missed = []
    for bit in bits:
        flipped = bytearray(written)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        faults = sound.verify()
        missed += [bit] if [path.name in fault for fault in faults] != [True] else []
    assert missed == []
    path.write_bytes(written)
    assert sound.verify() == []


def truncated(data: Path, path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def emptied(data: Path, path: Path) -> None:
    path.write_bytes(b"")


def without_hash(data: Path, path: Path) -> None:
    pl.read_parquet(path).write_parquet(path)


def forged(data: Path, path: Path) -> None:
    stored = pl.read_parquet_metadata(path)[chunk.HASH]
    changed = pl.read_parquet(path).with_columns(pl.lit(1, pl.Int8).alias("verdict"))
    changed.write_parquet(path, metadata={chunk.HASH: stored})


def not_parquet(data: Path, path: Path) -> None:
    path.write_text("seed,step\n1,2\n")


@pytest.mark.parametrize("spoil", [truncated, emptied, without_hash, forged, not_parquet])
def test_a_spoiled_chunk_is_named_by_verify_and_refused_by_readers(sound, spoil):
    path = sound.folder / sound.chunks()[1]
    spoil(sound.folder / "data", path)
    (fault,) = sound.verify()
    assert str(path) in fault
    for read in (sound.frame, lambda: verdicts(sound, CELL)):
        with pytest.raises(StoreError, match="basin-jax verify") as caught:
            read()
        assert str(path) in str(caught.value)
    assert verdicts(sound, OTHER)[0].size == 64  # the sound ones are readable still


def test_verify_names_chunks_of_another_sweep(sound, tmp_path):
    foreign = new_store(tmp_path / "foreign")
    foreign.commit("c" * 12, columns([1]))
    shutil.copy(foreign.folder / foreign.chunks()[0], sound.folder / "data")
    (fault,) = sound.verify()
    assert "c" * 12 in fault
    assert "of another sweep" in fault


def test_verify_names_seeds_that_are_stored_twice(sound):
    sound.commit(CELL, columns([5, 90, 200]))  # another first seed: 5 is below 200
    assert sound.verify() == [
        f"seed {seed} of cell {CELL} is stored more than once" for seed in (5, 90)
    ]
    assert Store(sound.folder).commit(OTHER, columns([70]))
    assert len(sound.verify()) == 2


def test_verify_names_whatever_else_is_among_the_chunks(sound):
    (sound.folder / "data" / "notes.txt").write_text("mine")
    (sound.folder / "data" / "folder").mkdir()
    faults = sound.verify()
    assert [name in fault for name, fault in zip(["folder", "notes"], faults, strict=True)] == [
        True
    ] * 2


def dead_process() -> int:
    return int(subprocess.check_output([sys.executable, "-c", "import os; print(os.getpid())"]))


def leave(made: Store, host: str, process: object) -> Path:
    left = made.folder / "staging" / f"{host}.{process}.{uuid.uuid4().hex}.{CELL}-00.parquet"
    left.write_bytes(b"PAR1 half of a ch")
    return left


def test_plain_readers_see_committed_chunks_only(sound):
    leave(sound, os.uname().nodename, os.getpid())
    expected = sound.frame().sort("cell", "seed", "step")
    for read in (
        lambda: pl.read_parquet(sound.folder / "data"),
        lambda: pl.read_parquet(f"{sound.folder / 'data'}/*.parquet"),
        lambda: pl.scan_parquet(sound.folder / "data").collect(),
        lambda: pl.concat(map(pl.read_parquet, sorted((sound.folder / "data").iterdir()))),
    ):
        assert read().sort("cell", "seed", "step").equals(expected)
    assert sound.verify() == []
    assert {path.suffix for path in (sound.folder / "data").iterdir()} == {".parquet"}


def test_leftovers_of_dead_processes_are_swept_and_those_of_live_ones_stay(sound, monkeypatch):
    host, dead = os.uname().nodename, dead_process()
    gone = leave(sound, host, dead)
    stay = [
        leave(sound, host, os.getpid()),
        leave(sound, "elsewhere", dead),
        leave(sound, f"{host}.lan", dead),  # another host whose name begins like ours
        leave(sound, host, "unknown"),
    ]
    sound.prepare()
    assert not gone.exists()
    assert all(path.exists() for path in stay)

    def refuse(process, signal):
        raise PermissionError  # it lives, and is another user's

    monkeypatch.setattr(os, "kill", refuse)
    stay.append(leave(sound, host, dead))
    sound.prepare()
    assert all(path.exists() for path in stay)
    assert sound.verify() == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "holds no sweep"),
        ("{", "cannot be trusted: Expecting property name"),
        ("[]", "is not of format 1, 2, 3, 4"),
        ('{"cells": {}}', "is not of format 1, 2, 3, 4"),
        ('{"format": 5, "cells": {}}', "is not of format 1, 2, 3, 4"),
        ('{"format": true, "cells": {}}', "is not of format 1, 2, 3, 4"),
        ('{"format": 2, "cells": {}}', "differs from the seal"),
        ('{"format": 1, "format": 1}', "has a key twice"),
        ('{"format": 1, "a": NaN}', "not JSON compliant"),
        ('{"format": 1, "a": 1e999}', "not JSON compliant"),
        ('{"format": 1' + "0" * 5000 + "}", "Exceeds the limit"),
        ('{"format": 1, "a": "\\ud800"}', "surrogates not allowed"),
        ('{"format": 1, "a": ' + "[" * 100_000, "nested too deeply"),
        ('{"format": 1, "cells": 3}', "cells = 3, allowed: an object"),
    ],
)
def test_a_folder_that_is_no_sweep_of_a_known_format_is_refused(tmp_path, text, said):
    if text is not None:
        (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(StoreError, match=rf"{tmp_path}.*{said}"):
        Store(tmp_path).manifest()


def test_a_manifest_and_the_runs_come_back_as_they_were_written(sound):
    assert sound.manifest() == {"format": 4, **folders.manifest_of(CELLS)}
    asked = {"kind": "range", "count": 64, "first": 0, "last": 63}
    runs = [run_of(asked, f"2026-01-0{day}T00:00:00+00:00") for day in (1, 2)]
    for run in runs:
        sound.record_run(run)
    assert sound.runs() == runs
    assert list((sound.folder / "staging").iterdir()) == []
    assert json.loads((sound.folder / "sweep.json").read_text())["format"] == 4


def test_chunks_that_are_renamed_copied_or_of_another_sweep_are_refused(wells, tmp_path):
    basin_jax.run(wells, 8, tmp_path / "one", lanes=8)
    store = Store(tmp_path / "one")
    first, second = (store.folder / chunk for chunk in store.chunks())
    for source, name in ((first, second.name), (first, f"{first.stem}x.parquet")):
        copied = Store(tmp_path / name)
        shutil.copytree(store.folder, copied.folder)
        shutil.copy(source, copied.folder / "data" / name)
        assert any("renamed" in fault for fault in copied.verify())
        with pytest.raises(StoreError, match="is a copy, or was renamed"):
            _ = basin_jax.load(copied.folder).frame


def test_chunks_without_their_manifest_are_not_taken_for_ours(wells, tmp_path):
    basin_jax.run(wells, 8, tmp_path, lanes=8)
    (tmp_path / "sweep.json").unlink()
    with pytest.raises(StoreError, match=r"has chunks, but their sweep\.json is gone"):
        basin_jax.run(wells, 8, tmp_path, lanes=8)


class StoreMachine(RuleBasedStateMachine):
    """Commits, repeats, kills and sweeps in any order, against a dictionary."""

    @initialize()
    def begin(self):
        self.folder = Path(os.environ["BASIN_JAX_TESTS"]) / uuid.uuid4().hex
        self.store = new_store(self.folder)
        self.model: dict[str, dict[int, float]] = {CELL: {}, OTHER: {}}

    @rule(cell=st.sampled_from([CELL, OTHER]), block=st.integers(0, 3), size=st.integers(1, 4))
    def commit(self, cell, block, size):
        seeds = range(4 * block, 4 * block + size)
        is_new = seeds[0] not in self.model[cell]
        salt = len(self.model[cell])
        assert self.store.commit(cell, columns(seeds, salt=salt)) == is_new
        if is_new:
            self.model[cell] |= {s: float(np.float32(np.sin(s + salt))) for s in seeds}

    @rule(process=st.sampled_from([2**22 + 1, os.getpid()]))
    def kill(self, process):
        leave(self.store, os.uname().nodename, process)

    @rule()
    def begin_again(self):
        self.store = Store(self.folder)
        self.store.prepare()
        left = {path.name.split(".")[1] for path in (self.store.folder / "staging").iterdir()}
        assert left <= {str(os.getpid())}

    @invariant()
    def the_store_holds_what_the_model_does(self):
        assert self.store.verify() == []
        for cell, expected in self.model.items():
            assert verdicts(self.store, cell)[0].tolist() == sorted(expected)
        if any(self.model.values()):
            last = self.store.frame().filter(pl.col("step") == STOPS[-1])
            assert {
                cell: dict(last.filter(cell=cell).select("seed", "x").iter_rows())
                for cell in self.model
            } == self.model

    def teardown(self):
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)


TestStoreMachine = pytest.mark.ci(StoreMachine.TestCase)
TestStoreMachine.settings = settings(max_examples=5, stateful_step_count=12)
