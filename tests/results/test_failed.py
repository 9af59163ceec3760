"""Seeds that failed: stored with their reasons, sealed, and replaced as one."""

import functools
import io
import json

import folders
import numpy as np
import polars as pl
import pytest
from folders import cell_of, run_of
from hypothesis import given
from hypothesis import strategies as st

from basin_jax.core.verdict import Verdict
from basin_jax.files import printable
from basin_jax.report.tables import failures
from basin_jax.results import chunk
from basin_jax.results.failed import failed_seeds, mend
from basin_jax.results.records import load
from basin_jax.results.store import Store, StoreError
from basin_jax.rules import Preference


STOPS = (0, 10)
CELL, ENTRY = cell_of({"tilt": 0.1}, STOPS)
new_store = functools.partial(folders.new_store, cells={CELL: ENTRY})


def columns(seeds, failed):
    made = folders.columns(seeds, STOPS)
    which = np.isin(made["seed"], list(failed))
    made["verdict"] = np.where(which, Verdict.ERROR, made["verdict"]).astype(np.int8)
    return {**made, "x": np.where(which, np.nan, made["x"]).astype(np.float32)}


def forged(reasons):
    """Return a sealed chunk whose seed 3 failed, with any reasons, and its rows."""
    rows, written = chunk.rows_of(CELL, columns(range(8), {3})), io.BytesIO()
    metadata = {chunk.ERRORS: json.dumps(reasons), chunk.HASH: chunk.UNSEALED}
    rows.write_parquet(written, metadata=metadata)
    return chunk.seal_chunk(written.getvalue()), rows


def reasons(store):
    return dict(failed_seeds(store).select("seed", "reason").iter_rows())


@given(
    st.dictionaries(
        st.integers(0, 63),
        st.text().map(printable) | st.just(chunk.HASH),
        min_size=1,
    )
)
def test_reasons_come_back_whatever_they_say(errors):
    rows = chunk.rows_of(CELL, columns(range(64), errors))
    written = chunk.write_chunk(rows, errors)
    assert chunk.read_chunk(written, rows=256).equals(rows, null_equal=True)
    assert chunk.read_errors(written, rows) == errors


def test_reasons_that_are_too_many_are_one():
    errors = {seed: f"{seed}: {'x' * 2000}" for seed in range(0, 2000, 2)}
    rows = chunk.rows_of(CELL, columns(range(2000), errors))
    found = chunk.read_errors(chunk.write_chunk(rows, errors), rows)
    assert found.keys() == errors.keys()
    assert {why[:28] for why in found.values()} == {"1,000 different errors, such"}


@pytest.mark.parametrize(
    ("failed", "errors", "said"),
    [
        ({3}, {}, "failed without a reason"),
        ({3, 4}, {3: "bad"}, "failed without a reason"),
        ({3}, {3: "bad \x00 text"}, "without control characters"),
    ],
)
def test_a_seed_that_failed_has_a_reason(tmp_path, failed, errors, said):
    store = new_store(tmp_path)
    store.commit(CELL, columns(range(8), failed), errors)
    with pytest.raises(StoreError, match=said):
        store.frame()
    assert len(store.verify()) == 1


@pytest.mark.parametrize("column", ["x", "verdict"])
def test_a_seed_that_failed_has_no_evidence(tmp_path, column):
    store, own = new_store(tmp_path), columns(range(8), {3})
    own[column] = np.where(own["step"] == 0, folders.columns(range(8), STOPS)[column], own[column])
    store.commit(CELL, own, {3: "bad"})
    with pytest.raises(StoreError, match="has evidence of seeds that failed"):
        store.frame()


def test_seeds_that_failed_are_replaced_as_one(tmp_path):
    store = new_store(tmp_path)
    store.commit(CELL, columns(range(8), {3, 5}), {3: "bad", 5: "bad"})
    store.commit(CELL, columns(range(8, 16), {9}), {9: "worse"})
    assert reasons(store) == {3: "bad", 5: "bad", 9: "worse"}
    (key, _) = store.chunks()
    assert mend(store, key, columns([3, 5], {5}), {5: "worse"}).tolist() == [3, 5]
    assert reasons(store) == {5: "worse", 9: "worse"}
    # Another worker has replaced seed 3, and does not lose seed 5 by it.
    assert mend(store, key, columns([3, 5], {3}), {3: "late"}).tolist() == [5]
    assert not len(mend(store, key, columns([3, 5], {}), {}))
    assert reasons(store) == {9: "worse"}
    alone = new_store(tmp_path / "alone")
    alone.commit(CELL, folders.columns(range(8), STOPS))
    assert store.place.get(key, at_most=10**6) == alone.place.get(key, at_most=10**6)
    assert store.verify() == []


def test_a_worker_whose_turn_comes_later_replaces_what_is_left(tmp_path, monkeypatch):
    store = new_store(tmp_path)
    store.commit(CELL, columns(range(8), {3, 5}), {3: "bad", 5: "bad"})
    (key,), swap = store.chunks(), store.place.swap

    def late(key, old, new):
        monkeypatch.undo()
        assert mend(Store(tmp_path), key, columns([3], {}), {}).tolist() == [3]
        return swap(key, old, new)

    monkeypatch.setattr(store.place, "swap", late)
    assert mend(store, key, columns([3, 5], {}), {}).tolist() == [5]
    assert reasons(store) == {}
    assert store.verify() == []


class Sign(Preference):
    def judge(self, evidence):
        return np.where(evidence["x"] > 0, Verdict.DECEPTIVE, Verdict.INTENDED)


def test_scheduled_seeds_are_the_sum_over_all_verdicts(tmp_path):
    store = new_store(tmp_path)
    name = store.record_run(run_of({"kind": "range", "count": 16, "first": 0, "last": 15}))
    store.commit(CELL, columns(range(16), {3, 9}), {3: "bad", 9: "worse"})
    store.finish_run(name, {CELL: 16})
    assert store.verify() == []
    for rule in (None, Sign()):
        records = load(tmp_path, rule=rule)
        table = records.fractions()
        assert table["hits"].sum() == 16
        assert table.filter(verdict="ERROR")["hits"].item() == 2
        assert records.interval == "fixed"
        assert records.errors().drop("label").rows() == [(CELL, 3, "bad"), (CELL, 9, "worse")]


def test_a_folder_without_errors_has_none(tmp_path):
    store = new_store(tmp_path)
    store.commit(CELL, folders.columns(range(16), STOPS))
    assert load(tmp_path).errors().is_empty()
    written = store.place.get(store.chunks()[0], at_most=10**6)
    assert chunk.ERRORS not in pl.read_parquet_metadata(io.BytesIO(written))


def test_a_seed_that_failed_agrees_with_nothing(tmp_path):
    store = new_store(tmp_path)
    store.record_run(run_of({"kind": "range", "count": 16, "first": 0, "last": 15}))
    store.commit(CELL, columns(range(16), {3, 9}), {3: "bad", 9: "worse"})
    (row,) = load(tmp_path).agreement().iter_rows(named=True)
    assert (row["hits"], row["trials"], row["interval"]) == (14, 14, "conditional")


@pytest.mark.parametrize(
    ("ranges", "said"),
    [
        ([[0, 9], [0, 9]], "two reasons why seed 0 failed"),
        ([[3, 2**64]], "allowed: an integer"),
        ([[0, 2**64 - 1]], None),
        ([[9, 0]], "a first and a last seed"),
        ([[3]], "a first and a last seed"),
    ],
)
def test_forged_ranges_of_reasons_are_refused(ranges, said):
    written, rows = forged({"bad": ranges})
    if said is None:
        assert chunk.read_errors(written, rows) == {3: "bad"}
    else:
        with pytest.raises(ValueError, match=said):
            chunk.read_errors(written, rows)


def test_a_page_of_reasons_is_refused():
    written, rows = forged({"bad": [[3, 3]] * 2**18})
    with pytest.raises(ValueError, match=r"bytes of reasons; allowed: 1,048,576"):
        chunk.read_errors(written, rows)


def test_evidence_may_be_called_as_what_readers_note(tmp_path):
    store = new_store(tmp_path)
    for seeds in ([0, 1, 6, 7], [2, 3]):  # which overlap
        own = folders.columns(seeds, STOPS)
        store.commit(CELL, {**own, "folder": own["x"], "other": own["x"]})
    frame = load(tmp_path).frame
    assert frame["folder"].to_list() == frame["x"].to_list() == frame["other"].to_list()


def test_a_reason_is_one_line_of_a_report(tmp_path):
    store = new_store(tmp_path)
    store.commit(CELL, columns(range(8), {3}), {3: "bad\n\\input{/etc/passwd}"})
    (said,) = failures(load(tmp_path))
    assert "\n" not in said
