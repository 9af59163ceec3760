"""A trial that never ends is given up, found in halves by one process after another, and ERROR."""

import json
import os
import re
import signal
import subprocess
import sys

import folders
import numpy as np
import pytest
from folders import cell_of

import basin_jax as bj
from basin_jax.core.identity import digest_of
from basin_jax.core.sweep import Sweep
from basin_jax.engine.kernel import Kernel
from basin_jax.interrupts import Interrupted
from basin_jax.methods import Gradient
from basin_jax.organisms import DoubleWell
from basin_jax.results.store import Store
from basin_jax.runs import checks
from basin_jax.runs.parked import Parked, ParkedSeeds, given_up_after
from basin_jax.runs.sweepfile import load_sweep


SWEEP = """
import jax
import jax.numpy as jnp
import basin_jax as bj


class Endless(bj.organisms.DoubleWell):  # of which seed 0 never ends
    def init(self, key):
        x = super().init(key)
        zero = jax.lax.while_loop(lambda c: (-0.734 < x) & (x < -0.733) & (c < 1), jnp.sin, 0.0)
        return x + zero


sweep = bj.Sweep(organism=Endless(), method=bj.methods.Gradient(learning_rate=0.1), num_steps=3)
"""
COMMAND = [sys.executable, "-c", "from basin_jax.cli.main import main; main()"]


@pytest.mark.ci
def test_a_command_ends_though_a_seed_never_does(tmp_path):
    file = tmp_path / "endless.py"
    file.write_text(SWEEP)
    run = [*COMMAND, "run", str(file), "--seeds", "6", "--lanes", "4", "--patience", "2"]
    run += ["--out", "out"]
    ended = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, timeout=400)
    assert ended.returncode == 0, ended.stderr
    given_up = re.findall(r"gave up training (\d) seeds?, from seed (\d), after 2 s", ended.stderr)
    assert 1 <= len(given_up) <= 3
    assert given_up[-1] == ("1", "0")
    assert "gave up the first step of the seeds 0 to 3 after 2 s" in ended.stderr
    records = bj.load(tmp_path / "out")
    assert records.errors()["seed"].to_list() == [0]
    assert records.errors()["reason"].to_list() == ["TimeoutError: gave up after 2 s"]
    assert records.fractions()["hits"].sum() == 6
    assert records.interval == "fixed"
    assert Store(tmp_path / "out").verify() == []
    assert not [*(tmp_path / "out/parked").iterdir()]
    # Not tried again with no more patience.
    sweep = load_sweep(file).cells[0]
    again = bj.run(sweep, 6, tmp_path / "out", retry_errors=True, patience=2.0, progress=False)
    assert again.errors().equals(records.errors())


@pytest.fixture
def store(tmp_path) -> Store:
    cell, entry = cell_of({}, (10,))
    return folders.new_store(tmp_path / "sweep", {cell: entry})


def parked(seeds, **changes) -> Parked:
    own = {"tries": 1, "seconds": 2.0, "trained": None, "alone": False}
    return Parked(cell="c", seeds=[*seeds], **{**own, **changes})


def test_parked_seeds_are_fewer_each_time(store):
    seeds = ParkedSeeds(store)
    seeds.park(parked(range(8, 16)))
    assert seeds.park(parked(range(12, 16), trained=3)).tries == 2
    seeds.park(parked([14], alone=True))
    seeds.park(parked(range(40, 44)))
    found = ParkedSeeds(store).of("c")
    assert [(one.seeds, one.tries, one.trained, one.alone) for one in found] == [
        ([14], 3, 3, True),
        ([40, 41, 42, 43], 1, None, False),
    ]
    assert [seeds.are_among("c", range(first, first + 4)) for first in (8, 12, 40)] == [
        False,
        True,
        True,
    ]
    assert not seeds.are_among("d", range(100))
    seeds.free("c", np.arange(10, 20, dtype=np.uint64))
    assert [one.seeds[0] for one in ParkedSeeds(store).of("c")] == [40]


def test_processes_that_give_up_at_once_keep_the_fewest_seeds(store):
    one, other = ParkedSeeds(store), ParkedSeeds(store)
    one.park(parked(range(8, 16)))
    assert other.park(parked(range(8, 12))).tries == 2
    one.park(parked([9], alone=True))
    assert other.park(parked(range(8, 16))).alone
    (left,) = ParkedSeeds(store).of("c")
    assert (left.seeds, left.tries, left.alone) == ([9], 3, True)


def test_a_first_step_that_never_ends_is_left_to_training(store, monkeypatch):
    sweep, tried = Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.1), num_steps=3), []

    def never(cell, patience):
        tried.append(patience.seconds)
        raise bj.GaveUp("a call that has not ended")

    monkeypatch.setattr(checks, "examine", never)
    with pytest.raises(bj.GaveUp, match="the first step of the seeds 0 to 3 after 2 s; the same"):
        bj.run(sweep, 8, store.folder, patience=2.0, progress=False)
    assert ParkedSeeds(store).of(digest_of(sweep))[0].seeds == [0, 1, 2, 3]
    checks.first_steps(store, 2.0)(sweep)
    assert tried == [2.0]


@pytest.mark.parametrize("gives_up", [False, True])
def test_a_signal_during_a_call_that_never_ends_stops_the_run(tmp_path, monkeypatch, gives_up):
    sweep, stream = (
        Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.1), num_steps=3),
        Kernel.stream,
    )

    def never(kernel, seeds, cells=0, **given):
        cells = np.broadcast_to(cells, len(seeds))
        yield from stream(kernel, seeds[:8], cells[:8], **given)
        if len(seeds):
            signal.raise_signal(signal.SIGTERM)
            raise bj.GaveUp("in vain") if gives_up else Interrupted(signal.SIGTERM)

    monkeypatch.setattr(Kernel, "stream", never)
    with pytest.raises(Interrupted, match="SIGTERM"):
        bj.run(sweep, 16, tmp_path, lanes=8, patience=2.0, progress=False)
    assert bj.load(tmp_path).frame["seed"].to_list() == [*range(8)]
    left = [entry.seeds for entry in ParkedSeeds(Store(tmp_path)).of(digest_of(sweep))]
    assert left == ([[*range(8, 16)]] if gives_up else [])


@pytest.mark.parametrize("content", ["", "{", "[]", '{"cell": 3}', '{"seeds": []}', "[" * 99_999])
def test_a_malformed_file_of_parked_seeds_is_left_out(store, content):
    ParkedSeeds(store).park(parked([3]))
    store.place.replace("parked/x.json", content.encode())
    assert [one.seeds for one in ParkedSeeds(store).of("c")] == [[3]]
    own = json.loads((store.folder / f"parked/c-{3:020d}.json").read_text())
    assert {*own} == {"cell", "seeds", "tries", "seconds", "trained", "alone"}


def test_a_reason_says_how_long_a_seed_was_waited_for():
    assert given_up_after("TimeoutError: gave up after 600 s") == 600
    assert given_up_after("TimeoutError: gave up after 1e+06 s") == 1e6
    assert given_up_after("ValueError: no") == 0


@pytest.mark.parametrize("patience", [0.0, -1.0, float("nan")])
def test_patience_is_some_seconds(wells, tmp_path, patience):
    with pytest.raises(ValueError, match=r"patience = .*; allowed: seconds above 0"):
        bj.run(wells, 8, tmp_path, patience=patience)
    assert not os.listdir(tmp_path)
