"""Several folders read as one: shards from several machines, or cells that are compared."""

import folders
import polars as pl
import pytest

import basin_jax as bj
from basin_jax.results.store import Store, StoreError


STOPS = (10,)
CELLS = dict(folders.cell_of({"tilt": tilt}, STOPS) for tilt in (0.1, 0.2))
FIRST, SECOND = CELLS
ALL = {"kind": "range", "count": 100, "first": 0, "last": 99}


def folder_of(path, seeds: dict[str, range], cells=None, **manifest) -> Store:
    store = folders.new_store(path, cells or {cell: CELLS[cell] for cell in seeds})
    if manifest:
        store.update(lambda old: {**(old or {}), **manifest})
    store.record_run(folders.run_of(ALL))
    for cell, own in seeds.items():
        assert store.commit(cell, folders.columns(own, STOPS))
    return store


def test_shards_of_several_machines_are_one_sample(tmp_path):
    one = folder_of(tmp_path / "one", {FIRST: range(60)})
    machines = [folders.machine_of([FIRST], device="another")]
    two = folder_of(tmp_path / "two", {FIRST: range(60, 100)}, machines=machines)
    records = bj.load([one.folder, two.folder])
    assert records.frame["seed"].to_list() == [*range(100)]
    assert records.interval == "fixed"  # all that both asked for are there
    assert bj.load(one.folder).interval == "anytime"
    whole = folder_of(tmp_path / "whole", {FIRST: range(100)})
    assert records.frame.equals(bj.load(whole.folder).frame)
    assert records.machine == {"basin_jax": "0", "jax": "0", "device": "another"}


def test_cells_of_several_folders_are_compared(tmp_path):
    one = folder_of(tmp_path / "one", {FIRST: range(100)})
    two = folder_of(tmp_path / "two", {SECOND: range(100)})
    records = bj.load((one.where, two.where))
    assert records.varied == ("tilt",)
    assert records.fractions().filter(pl.col("hits") > 0)["tilt"].unique().sort().to_list() == [
        0.1,
        0.2,
    ]
    assert records.compare()["trials"].to_list() == [100]


def test_a_seed_in_two_folders_is_refused_by_name(tmp_path):
    one = folder_of(tmp_path / "one", {FIRST: range(60)})
    two = folder_of(tmp_path / "two", {FIRST: range(59, 100)})
    said = rf"seed 59 of cell {FIRST} is in {one.where} and in {two.where}; allowed"
    with pytest.raises(StoreError, match=said):
        _ = bj.load([one.folder, two.folder]).frame


def test_verdicts_of_two_rules_need_one(tmp_path):
    one = folder_of(tmp_path / "one", {FIRST: range(60)})
    rule = {"fields": {"class": "Other"}, "sources": {"Other": "mine"}}
    two = folder_of(tmp_path / "two", {FIRST: range(60, 100)}, rule=rule)
    with pytest.raises(StoreError, match="verdicts of different rules; allowed"):
        bj.load([one.folder, two.folder])


def test_an_empty_folder_among_others_is_no_hindrance(tmp_path):
    one = folder_of(tmp_path / "one", {FIRST: range(60)})
    empty = folder_of(tmp_path / "empty", {}, cells={FIRST: CELLS[FIRST]})
    assert len(bj.load([empty.folder, one.folder]).frame) == 60
    with pytest.raises(StoreError, match="holds no seeds yet"):
        _ = bj.load([empty.folder, empty.folder]).frame


def test_no_folder_is_refused():
    with pytest.raises(ValueError, match="folder is empty; allowed: at least one"):
        bj.load([])
