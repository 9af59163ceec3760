"""Estimates from chunks, one after another, equal those from the table of all rows."""

import math

import folders
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import basin_jax as bj
from basin_jax import Verdict
from basin_jax.core.sweep import siblings_of
from basin_jax.core.verdict import judge, near_thresholds
from basin_jax.report.page import write_report
from basin_jax.results.reading import Stored
from basin_jax.results.rule import rule_identity
from basin_jax.results.seed_set import SeedSet
from basin_jax.results.store import Store, StoreError
from basin_jax.results.summary import EDGES
from basin_jax.rules import Behavior
from basin_jax.statistics.rows import difference_row, fraction_row


STOPS = (0, 10)
CHILD = {"start": "Fork", "start.children": 4}
# Two cells of unrelated seeds and two of children, which share some seeds.
CELLS = dict(
    folders.cell_of({"tilt": tilt, **more}, STOPS)
    for tilt, more in [(0.1, {}), (0.2, {}), (0.3, CHILD), (0.4, CHILD)]
)
# Chunks of each that lie apart, follow each other, and overlap.
CHUNKS = [
    [range(40), range(64, 100), range(100, 110)],
    [range(0, 90, 2), range(1, 30, 2), range(33, 60, 4), [90, 97, 2**63, 2**64 - 1]],
    [range(6), range(6, 13), range(13, 50)],
    [range(1, 60, 2), range(0, 60, 2)],
]
ALL = {"kind": "range", "count": 110, "first": 0, "last": 109}
CHOSEN = {"kind": "chosen", "count": 5, "first": 0, "last": 9, "set": "a", "from": "so"}
PILOT = {"kind": "range", "count": 20, "first": 5, "last": 24, "pilot": "the gap"}


def columns(seeds, cell: int) -> dict[str, np.ndarray]:
    """Return a chunk's columns, some with gaps beyond 1 or evidence that is not finite."""
    rows = folders.columns(list(seeds), STOPS, salt=0.7 * cell)
    x = rows.pop("x") + np.float32(0.1) * (rows["step"] > 0)
    gap = np.where(rows["seed"] % 17 == 3, np.nan, 1.2 * x)
    evidence = {"fit": abs(x), "watched": abs(x) / 8, "unwatched": gap, "margin": x}
    evidence = {name: values.astype(np.float32) for name, values in evidence.items()}
    return {**rows, "verdict": judge(Behavior(), evidence), **evidence}


def made(path, chunks, requests=(ALL,)) -> Store:
    """Return a folder of all cells with some chunks of each."""
    store = folders.new_store(path, CELLS)
    store.update(lambda old: {**(old or {}), "rule": rule_identity(Behavior())})
    for request in requests:
        store.record_run(folders.run_of(request))
    for cell, (digest, own) in enumerate(zip(CELLS, chunks, strict=True)):
        for seeds in own:
            assert store.commit(digest, columns(seeds, cell))
    return store


class Whole:
    """The estimates of some records from the table of all rows."""

    def __init__(self, records):
        self.records, history = records, records.history
        pilots = pl.Series(records.requests.are_pilots(history["seed"].to_numpy()))
        self.rows = history.filter(~pilots)

    def last(self, cell: str, step: int = STOPS[-1]) -> pl.DataFrame:
        return self.rows.filter(cell=cell, step=step)

    def row_of(self, made, parts, num_intervals: int, *cells: str):
        siblings = math.lcm(*(siblings_of(self.records.cells[cell]) for cell in cells))
        given = {"level": 0.95, "num_intervals": num_intervals, "basis": self.records.interval}
        return made([parts], siblings=siblings, **given) | {"sample": self.records.sample}

    def fraction(self, cell: str, hits: pl.Series, num_intervals: int):
        parts = hits.to_numpy(), self.last(cell)["seed"].to_numpy()
        return {"cell": cell, **self.row_of(fraction_row, parts, num_intervals, cell)}

    def fractions(self):
        return [
            self.fraction(cell, self.last(cell)["verdict"] == v.name, len(CELLS) * len(Verdict))
            | {"verdict": v.name}
            for cell in CELLS
            for v in Verdict
        ]

    def agreement(self):
        verdicts = {c: [self.last(c, step)["verdict"] for step in STOPS] for c in CELLS}
        return [
            self.fraction(cell, then == last, len(CELLS)) | {"step": STOPS[0]}
            for cell, (then, last) in verdicts.items()
        ]

    def differences(self):
        baseline, *others = CELLS
        for cell in others:
            pairs = self.last(cell).join(self.last(baseline), on="seed", maintain_order="left")
            hits = [(pairs[name] == "INTENDED").to_numpy() for name in ("verdict", "verdict_right")]
            parts = *hits, pairs["seed"].to_numpy()
            row = self.row_of(difference_row, parts, len(others), cell, baseline)
            yield {"cell": cell, "baseline": baseline, **row}

    def near_thresholds(self):
        for cell in CELLS:
            own, rule = self.last(cell), self.records.judged_by
            for name, near in near_thresholds(rule, self.records.evidence(own)).items():
                yield {"cell": cell, "threshold": name, "near": near.sum(), "trials": len(own)}

    def gaps(self):
        for cell in CELLS:
            own = self.last(cell)
            gap = (own["unwatched"] - own["watched"]).clip(-1, 1).fill_nan(0)
            parts = {v: gap.filter(own["verdict"] == v.name).to_numpy() for v in Verdict}
            yield {v: np.histogram(x, EDGES)[0].tolist() for v, x in parts.items() if len(x)}


def expect(found: pl.DataFrame, rows) -> None:
    expected = pl.DataFrame(list(rows))
    assert_frame_equal(
        found.select(expected.columns), expected, check_exact=True, check_dtypes=False
    )


@pytest.mark.ci
@pytest.mark.parametrize(
    ("requests", "rule"),
    [([ALL], None), ([CHOSEN], None), ([ALL, PILOT], Behavior(min_fit=None, deceptive_gap=0.3))],
    ids=["a range", "chosen", "a pilot, judged by another rule"],
)
def test_estimates_are_those_of_the_table_of_all_rows(tmp_path, requests, rule):
    folder = made(tmp_path, CHUNKS, requests).folder
    records, whole = bj.load(folder, rule=rule), Whole(bj.load(folder, rule=rule))
    assert len(whole.rows["verdict"].unique()) > 3
    expect(records.fractions(), whole.fractions())
    expect(records.agreement(), whole.agreement())
    expect(records.compare("INTENDED"), whole.differences())
    expect(records.near_thresholds(), whole.near_thresholds())
    found = [{v: own.tolist() for v, own in gaps.items()} for gaps in records.gaps().values()]
    assert found == [*whole.gaps()]
    assert records.left_out == (20 if PILOT in requests else 0)


@pytest.mark.ci
def test_estimates_from_several_folders_are_those_of_one(tmp_path):
    one = bj.load(made(tmp_path / "one", CHUNKS).folder)
    shards = [made(tmp_path / str(n), [own[n::2] for own in CHUNKS]).folder for n in range(2)]
    several = bj.load(shards)
    for estimate in ("fractions", "agreement", "compare", "near_thresholds"):
        assert_frame_equal(getattr(several, estimate)(), getattr(one, estimate)())
    assert_frame_equal(several.history, one.history)


@pytest.mark.ci
def test_no_table_of_all_rows_is_made_unless_it_is_asked_for(tmp_path, monkeypatch):
    made(tmp_path, CHUNKS, [ALL, PILOT])
    monkeypatch.setattr(Stored, "history", property(lambda _: pytest.fail("all rows were read")))
    write_report(bj.load(tmp_path))
    assert len(bj.load(tmp_path).seeds("INTENDED", cell="tilt=0.1"))
    with pytest.raises(pytest.fail.Exception):
        _ = bj.load(tmp_path).frame


def test_a_seed_that_is_stored_twice_is_refused_where_chunks_are_counted(tmp_path):
    store = made(tmp_path, [*CHUNKS[:3], [range(1, 60, 2), range(0, 60, 2), [40, 59, 70]]])
    with pytest.raises(StoreError, match="has seeds that are stored more than once"):
        bj.load(tmp_path).fractions()
    assert [fault.split()[1] for fault in store.verify()] == ["40", "59"]


def test_a_set_of_seeds_knows_what_it_lacks_of_a_range():
    seeds = SeedSet()
    assert seeds.between(0, 2**64 - 1) == (0, 0)
    seeds.add(np.array([2, 3, 7, 8, 2**64 - 1], np.uint64))
    assert seeds.between(2, 3) == (2, 4)
    assert seeds.between(2, 9) == (4, 4)
    assert seeds.between(4, 7) == (1, 4)
    assert seeds.between(8, 2**64 - 1) == (2, 9)
    assert seeds.between(2**64 - 1, 2**64 - 1) == (1, 2**64)
