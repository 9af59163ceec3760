"""Compiled programs and measured lanes in the cache are checked before they are used."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from basin_jax import load
from basin_jax.compiler import xla_ffi as library
from basin_jax.compiler.cuda import build
from basin_jax.compiler.cuda.nvrtc import Binary
from basin_jax.compiler.xla_ffi import is_sound, programs_folder
from basin_jax.engine import autotune
from basin_jax.engine.autotune import Tuning
from basin_jax.engine.backends import LANES
from basin_jax.engine.timed import TimedSteps
from basin_jax.files import is_private
from basin_jax.schema import parse, text_of


RUN = """
import sys, basin_jax
sweep = basin_jax.Sweep(
    organism=basin_jax.organisms.DoubleWell(),
    method=basin_jax.methods.Gradient(learning_rate=0.1),
    num_steps=9,
)
records = basin_jax.run(sweep, 16, sys.argv[1], lanes=8)
(machine,) = records.manifest["machines"]
print([plan["backend"]["name"] for plan in machine["plans"].values()])
"""


def train(folder: Path, cache: Path):
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    command = [sys.executable, "-c", RUN, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['cpu']"
    return load(folder).frame


def flip_a_bit(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]


@pytest.mark.ci
def test_a_damaged_program_is_compiled_anew_and_gives_the_same_evidence(tmp_path):
    good = train(tmp_path / "good", tmp_path)
    programs = [*(tmp_path / "basin_jax/programs").glob("*.so")]
    assert programs
    assert all(map(is_sound, programs))
    for program in programs:
        content = program.read_bytes()
        program.write_bytes(content[: len(content) // 2])
        assert not is_sound(program)
        program.write_bytes(flip_a_bit(content))
        assert not is_sound(program)
    assert train(tmp_path / "spoiled", tmp_path).equals(good)
    assert all(map(is_sound, programs))


# A compiler that waits, or computes, before it does what it should.
COMPILER = """#!/bin/sh
case "$1" in --version) exec g++ --version;; esac
{first}
exec g++ "$@"
"""
CHOSEN = """
import basin_jax
from basin_jax.compiler import xla_ffi
from basin_jax.engine.backends import refusal
{limit}
well = basin_jax.organisms.DoubleWell()
method = basin_jax.methods.Gradient(learning_rate=0.1)
print(refusal(basin_jax.Sweep(organism=well, method=method, num_steps=9)))
"""
TWO_SECONDS = "xla_ffi.PATIENCE = 2"
# As clusters do, and less than the compiler would be given.
HARD = "import resource; resource.setrlimit(resource.RLIMIT_CPU, (100, 100))"


@pytest.mark.ci
@pytest.mark.parametrize(
    ("first", "limit", "said"),
    [
        ("sleep 2.5", TWO_SECONDS, "None"),
        ("while :; do :; done", TWO_SECONDS, "took longer than 2 s of the CPU"),
        ("sleep 20", "xla_ffi.WAIT = 1", "slow took longer than 1 s"),
        ("true", HARD, "None"),
    ],
)
def test_a_compiler_has_a_time_of_the_cpu_and_a_long_one_of_the_clock(tmp_path, first, limit, said):
    compiler = tmp_path / "slow"
    # The shell that runs it tells of the signal as a compiler's driver does.
    compiler.write_text(COMPILER.format(first=f"sh -c '{first}' || exit 1"))
    compiler.chmod(0o700)
    environment = os.environ | {"CXX": str(compiler), "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-c", CHOSEN.format(limit=limit)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert said in done.stdout


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    programs_folder.cache_clear()
    yield tmp_path / "basin_jax"
    programs_folder.cache_clear()


def test_programs_are_kept_in_a_folder_of_the_users_own(cache):
    assert programs_folder() == cache / "programs"
    assert (cache / "programs").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o720])
def test_no_program_is_loaded_from_a_folder_that_others_may_write_to(cache, mode):
    shared = cache / "programs"
    shared.mkdir(parents=True)
    shared.chmod(mode)
    with pytest.warns(UserWarning, match="others may write to it.*allowed: a folder of mode 700"):
        folder = programs_folder()
    assert folder != shared
    assert is_private(folder)


def test_no_program_is_loaded_from_a_folder_that_is_a_link_or_of_another_user(cache, monkeypatch):
    elsewhere = cache.parent / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    cache.mkdir(exist_ok=True)
    (cache / "programs").symlink_to(elsewhere)
    with pytest.warns(UserWarning, match="others may write to it"):
        assert programs_folder() != cache / "programs"
    assert is_private(elsewhere)
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    assert not is_private(elsewhere)


def test_a_program_that_cannot_be_kept_is_unsupported_with_the_reason(cache):
    cache.mkdir(exist_ok=True)
    (cache / "programs").write_text("a file in its way")
    with pytest.raises(library.Unsupported, match=r"programs cannot be kept in .*File exists"):
        programs_folder()


def test_a_gpus_kernel_is_kept_whole_while_it_is_written_again(cache, monkeypatch):
    def launch():
        shape = jax.ShapeDtypeStruct((4,), jnp.float32)
        graph = build.emitted(lambda number, fixed, state: state, [], [shape], "sm_90")
        binary = Binary(image=b"image", ptx="", log="")
        return build.launcher(graph[2], *graph[:2], binary)

    launch()
    (kept,) = (cache / "programs").iterdir()
    write = Path.write_bytes

    def stop_halfway(path, content):
        write(path, content[:2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "write_bytes", stop_halfway)
    with pytest.raises(library.Unsupported, match=r"programs cannot be kept in .*No space left"):
        launch()
    assert kept.read_bytes() == b"image"
    assert [*kept.parent.iterdir()] == [kept]


GOOD = ["cpu", 64, 1e6]


@pytest.fixture
def measured(wells, cache, monkeypatch):
    """Return a function that chooses lanes, and says how often they have been measured."""
    calls = []

    class Timed(TimedSteps):
        def __init__(self, sweep, backend, lanes):
            self.own = backend.name == "cpu"

        def speed(self):
            calls.append(self.own)
            return 1e6 if self.own else 1e5

    def choose():
        assert autotune.choose(wells[0]) == Tuning(*GOOD)
        return calls.count(False)

    monkeypatch.setattr(autotune, "TimedSteps", Timed)
    return choose


@pytest.mark.parametrize(
    "bad",
    [
        ["xla", 2**30, 1e6],
        ["xla", LANES + 1, 1e6],
        ["xla", 0, 1e6],
        ["xla", 16.0, 1e6],
        ["xla", True, 1e6],
        ["xla", 16, -1.0],
        ["xla", 16, "fast"],
        ["xla", 16],
        ["rm", 16, 1e6],
        [None, 16, 1e6],
    ],
)
def test_measured_lanes_that_may_not_be_are_measured_anew(cache, measured, bad):
    assert [measured(), measured()] == [1, 1]
    file = cache / "tuning.json"
    (key,) = parse(file.read_bytes())
    file.write_text(text_of({key: bad, "another": bad, "good": GOOD}))
    assert [measured(), measured()] == [2, 2]
    assert parse(file.read_bytes()) == {key: GOOD, "good": GOOD}


@pytest.mark.parametrize("text", ["", "[]", '{"a": 3}', '{"a": [NaN, 1, 1]}', "{" * 10**6, "\0"])
def test_a_memory_that_is_none_is_forgotten(cache, measured, text):
    cache.mkdir(exist_ok=True)
    (cache / "tuning.json").write_text(text)
    assert [measured(), measured()] == [1, 1]
