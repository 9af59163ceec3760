"""A process may be killed at any moment: nothing committed is lost, broken or stored twice."""

import multiprocessing
import random
import shutil
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.context import ForkServerProcess
from typing import Any

import numpy as np
import polars as pl
import pytest
import victims
from folders import contents
from polars.testing import assert_frame_equal

from basin_jax.results.store import Store


SEEDS = 64 * 1000  # of a folder, and the kills of its runs
KILLS = 50


@pytest.fixture(scope="module")
def start() -> Callable[..., ForkServerProcess]:
    """Return what starts a process, without the seconds that imports take."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["victims", "jax", "optax", "flax.nnx", "matplotlib.pyplot"])

    def started(target: Callable[..., None], *arguments: Any) -> ForkServerProcess:
        process = context.Process(target=target, args=arguments)
        process.start()
        return process

    return started


def kill(process: ForkServerProcess, seconds: float) -> None:
    """Kill a process after some seconds, if it has not ended."""
    process.join(seconds)
    process.kill()
    process.join()


def finish(process: ForkServerProcess) -> float:
    """Let a process end well, and return the seconds that it took."""
    began = time.perf_counter()
    process.join()
    assert process.exitcode == 0
    return time.perf_counter() - began


def assert_same(store: Store, whole: Store) -> None:
    """Assert that a folder holds the rows of another, and nothing half-written."""
    assert store.verify() == []
    assert store.frame().equals(whole.frame())
    assert not list((store.folder / "staging").iterdir())


@pytest.mark.ci
@pytest.mark.parametrize(
    "kills", [2, pytest.param(800, marks=pytest.mark.slow)], ids="kills: {}".format
)
def test_kills_while_training_lose_nothing_and_change_nothing(start, tmp_path, kills):
    seeds, cache, whole = min(SEEDS, 64 * 20 * kills), tmp_path / "cache", Store(tmp_path / "whole")
    train, moment = partial(start, victims.train), random.Random(0)
    finish(train(whole.folder, seeds, cache))
    for first in range(0, kills, KILLS):
        store, survivors = Store(tmp_path / f"killed{first}"), set()
        for _ in range(min(kills, KILLS)):
            process = train(store.folder, seeds, cache)
            while process.is_alive() and {*store.chunks()} == survivors:
                time.sleep(0.005)
            assert process.is_alive()
            kill(process, moment.uniform(0, 0.2))
            # A reader that knows nothing of us must never meet half a chunk.
            assert not pl.read_parquet(store.folder / "data").is_empty()
            assert store.verify() == []
            assert survivors <= {*store.chunks()}
            survivors = {*store.chunks()}
        finish(train(store.folder, seeds, cache))
        assert_same(store, whole)
        assert np.array_equal(store.frame()["seed"], np.arange(seeds))


@pytest.mark.slow
@pytest.mark.parametrize("kills", [1, 100], ids="kills: {}".format)
def test_kills_while_measuring_and_compiling_spoil_no_cache(start, tmp_path, kills):
    moment, whole = random.Random(5), Store(tmp_path / "whole")
    seconds = finish(start(victims.tune, whole.folder, 64, tmp_path / "bare"))
    for number in range(kills):
        # The first of ten makes the programs that the others find.
        cache, store = tmp_path / f"cache{number // 10}", Store(tmp_path / str(number))
        kill(start(victims.tune, store.folder, 64, cache), moment.uniform(0, seconds))
        assert not store.exists() or store.verify() == []
        finish(start(victims.tune, store.folder, 64, cache))
        assert store.verify() == []
        # Not bit by bit: another number of lanes may have been measured.
        assert_frame_equal(store.frame(), whole.frame())


@pytest.mark.ci
@pytest.mark.parametrize(
    "kills", [1, pytest.param(100, marks=pytest.mark.slow)], ids="kills: {}".format
)
def test_kills_while_reporting_leave_whole_files(start, wells_folder, tmp_path, kills):
    moment = random.Random(5)
    folder = tmp_path / "wells"
    shutil.copytree(wells_folder, folder)
    seconds = finish(start(victims.report, folder))
    whole = contents(folder / "report")
    for _ in range(kills):
        shutil.rmtree(folder / "report")
        kill(start(victims.report, folder), moment.uniform(0, seconds))
        left = contents(folder / "report") if (folder / "report").exists() else {}
        assert {name: left[name] for name in left if name in whole}.items() <= whole.items()
    finish(start(victims.report, folder))
    assert contents(folder / "report") == whole
    assert Store(folder).verify() == []
