"""Seeds that fail: each costs itself alone, is stored as ERROR, and may be tried again."""

import jax
import numpy as np
import polars as pl
import pytest

import basin_jax as bj
from basin_jax.results.store import Store
from basin_jax.runs.progress import Progress


BAD = {"low": np.inf, "high": np.inf}  # where a particle may not begin
LANES, SEEDS = 8, 200


class Picky(bj.organisms.DoubleWell):
    """A double well whose particles may not begin everywhere."""

    def init(self, key):
        def look(x):
            if BAD["low"] < x < BAD["high"]:
                raise ValueError(f"no particle may begin at {x:.3f}")

        x = super().init(key)
        jax.debug.callback(look, x)
        return x


SWEEP = bj.Sweep(
    organism=Picky(), method=bj.methods.Gradient(learning_rate=0.1), num_steps=8, save_at=(0,)
)


class Told(Progress):
    def __init__(self):
        self.lines = []

    def tell(self, line):
        self.lines.append(line)


def evidence(records: bj.Records, seeds: pl.Series) -> pl.DataFrame:
    return records.history.filter(pl.col("seed").is_in(seeds.implode()))


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> bj.Records:
    """The records of all seeds, where none fails."""
    return bj.run(SWEEP, SEEDS, tmp_path_factory.mktemp("sound"), lanes=LANES, progress=False)


@pytest.fixture
def poisonous(sound, monkeypatch) -> list[int]:
    """The seeds that fail: some of the first block, and two that are neighbors."""
    begun = sound.history.filter(step=0).sort("seed")["x"].to_numpy()
    low, high = sorted((begun[100], begun[101]))
    monkeypatch.setitem(BAD, "low", low - 0.01)
    monkeypatch.setitem(BAD, "high", high + 0.01)
    return np.flatnonzero((begun > low - 0.01) & (begun < high + 0.01)).tolist()


@pytest.mark.ci
def test_a_seed_that_fails_costs_itself(sound, poisonous, tmp_path, monkeypatch):
    assert 2 < len(poisonous) < SEEDS / 4
    records = bj.run(SWEEP, SEEDS, tmp_path, lanes=LANES, progress=(told := Told()))
    failed = records.errors()
    assert failed["seed"].to_list() == poisonous
    assert all("ValueError: no particle may begin at" in why for why in failed["reason"])
    assert all(f"({__name__.rpartition('.')[2]}.py, line " in why for why in failed["reason"])
    fine = sound.frame.filter(~pl.col("seed").is_in(poisonous))["seed"]
    assert evidence(records, fine).equals(evidence(sound, fine))
    assert records.fractions()["hits"].sum() == SEEDS
    assert records.interval == "fixed"
    assert Store(tmp_path).verify() == []
    assert any("stored as ERROR" in line for line in told.lines)
    bj.run(SWEEP, SEEDS, tmp_path, progress=False)  # which trains none of them again
    assert bj.load(tmp_path).errors().equals(failed)
    with pytest.raises(ValueError, match=f"seed {poisonous[0]} fails: ValueError: no particle"):
        bj.replay(tmp_path, seed=poisonous[0])
    assert len(bj.recheck(tmp_path, seeds=SEEDS).frame) == SEEDS - len(poisonous)
    # Those that fail again stay, and the others are replaced.
    monkeypatch.setitem(BAD, "high", BAD["low"] + 0.02)
    again = bj.run(SWEEP, SEEDS, tmp_path, retry_errors=True, progress=False)
    assert 0 < len(again.errors()) < len(failed)
    monkeypatch.undo()
    whole = bj.run(SWEEP, SEEDS, tmp_path, retry_errors=True, progress=False)
    assert whole.errors().is_empty()
    assert whole.history.equals(sound.history)
    assert Store(tmp_path).verify() == []
