"""Folders that were damaged, edited, or made to do harm: found, or harmless."""

import json
import os
import re
import shutil
from pathlib import Path

import folders
import polars as pl
import pytest

import basin_jax
from basin_jax import load, run
from basin_jax.core.identity import digest_of
from basin_jax.core.verdict import Verdict
from basin_jax.engine.autotune import Tuning
from basin_jax.report.page import write_report
from basin_jax.results.chunk import write_chunk
from basin_jax.results.parquet import check_size
from basin_jax.results.store import Store, StoreError
from basin_jax.rules import Behavior
from basin_jax.runs import chunk_size, manifest
from basin_jax.schema import seal_of, text_of


GOLDEN = Path(__file__).parents[1] / "golden"
STOPS = (0, 10)
CELLS = dict(folders.cell_of({"tilt": tilt}, STOPS) for tilt in (0.1, 0.2))
CELL, OTHER = CELLS
SEEDS = {"kind": "range", "count": 100, "first": 0, "last": 99}


@pytest.fixture
def finished(tmp_path) -> Store:
    """A store of a finished run: two chunks of each of two cells."""
    made = folders.new_store(tmp_path / "sweep", CELLS)
    name = made.record_run(folders.run_of(SEEDS))
    for cell in CELLS:
        for seeds in (range(64), range(64, 100)):
            assert made.commit(cell, folders.columns(seeds, STOPS))
    assert ["incomplete" in notice for notice in made.notices()] == [True]
    made.finish_run(name, dict.fromkeys(CELLS, 100))
    assert made.verify() == made.notices() == []
    return made


@pytest.fixture
def copy(wells_folder, tmp_path) -> Path:
    return shutil.copytree(wells_folder, tmp_path / "copy")


def sealed(folder: Path, manifest: dict) -> None:
    """Write a manifest under a good seal, whatever it holds."""
    manifest.pop("seal", None)
    text = text_of({**manifest, "seal": seal_of(manifest)})
    (folder / "sweep.json").write_text(text)


def test_a_chunk_missing_from_a_finished_run_is_named(finished):
    for chunk, first in zip(finished.chunks(CELL), (0, 64), strict=True):
        path = finished.folder / chunk
        content = path.read_bytes()
        path.unlink()
        (fault,) = finished.verify()
        assert f"from seed {first} on" in fault
        assert path.name in fault
        path.write_bytes(content)
    (finished.folder / finished.chunks(OTHER)[1]).unlink()
    finished.commit(OTHER, folders.columns(range(200, 236), STOPS))  # as many, but others
    (fault,) = finished.verify()
    assert "lacks 36 of the 100 seeds" in fault


def test_a_cell_missing_from_a_finished_run_is_named(finished):
    for path in (finished.folder / chunk for chunk in finished.chunks(OTHER)):
        path.unlink()
    (fault,) = finished.verify()
    assert f"cell {OTHER} lacks 100 of the 100 seeds" in fault
    manifest = json.loads((finished.folder / "sweep.json").read_text())
    del manifest["cells"][OTHER]
    sealed(finished.folder, manifest)
    with pytest.raises(StoreError, match=r"runs\.seeds = .*, allowed: a cell of the sweep"):
        finished.manifest()


@pytest.mark.parametrize("harm", ["missing", "edited", "of another run"])
def test_a_run_record_that_is_missing_or_edited_is_found(finished, harm):
    (path,) = (finished.folder / "runs").iterdir()
    record = json.loads(path.read_text())
    if harm == "missing":
        path.unlink()
    else:
        record["request"]["count" if harm == "edited" else "last"] = 98
        path.write_text(text_of(record))
    (fault,) = finished.verify()
    assert path.name in fault
    for read in (finished.runs, finished.notices, lambda: load(finished.folder).fractions()):
        with pytest.raises(StoreError, match="a run's record, cannot be trusted"):
            read()


def test_a_run_that_was_stopped_is_incomplete_until_another_does_its_work(tmp_path):
    made = folders.new_store(tmp_path, CELLS)
    made.record_run(folders.run_of(SEEDS, "2026-01-01"))
    wide = {"kind": "width", "width": 0.1, "interval": "anytime", "level": 0.95}
    made.record_run(folders.run_of(wide, "2026-01-02"))
    said = made.notices()
    assert [day in line for day, line in zip(("01-01", "01-02"), said, strict=True)] == [True] * 2
    assert all("repeat its command to resume it" in line for line in said)
    more = made.record_run(folders.run_of(SEEDS | {"count": 128, "last": 127}, "2026-01-03"))
    assert len(made.notices()) == 3
    made.finish_run(more, {CELL: 0, OTHER: 0})
    assert ["01-02" in line for line in made.notices()] == [True]
    made.finish_run(made.record_run(folders.run_of(wide, "2026-01-04")), {CELL: 0, OTHER: 0})
    assert made.notices() == []


@pytest.mark.parametrize("forged", ["the value", "the seal", "the seal and the cell's name"])
def test_an_edited_learning_rate_is_found_and_not_gone_on_with(wells, copy, forged):
    manifest = json.loads((copy / "sweep.json").read_text())
    digest, entry = next(iter(manifest["cells"].items()))
    entry["fields"]["method.learning_rate"] = 0.29
    if forged.endswith("name"):
        renamed = digest_of(wells[0].replace(method=basin_jax.methods.Gradient(learning_rate=0.29)))
        manifest = json.loads(json.dumps(manifest).replace(digest, renamed))
    if forged == "the value":
        (copy / "sweep.json").write_text(json.dumps(manifest))
    else:
        sealed(copy, manifest)
    assert Store(copy).verify()
    before = folders.contents(copy)
    with pytest.raises(StoreError):
        run(wells, 120, copy, lanes=8)
    with pytest.raises(StoreError):
        _ = load(copy).frame
    assert folders.contents(copy) == before


def frame() -> pl.DataFrame:
    columns = folders.columns(range(64), STOPS)
    return pl.DataFrame({"cell": pl.repeat(CELL, 128, eager=True), **columns})


BAD = {
    "a null verdict": {"verdict": pl.when(pl.col("seed") != 5).then("verdict")},
    "an unknown verdict": {"verdict": pl.lit(9, pl.Int8)},
    "null evidence": {"x": pl.when(pl.col("seed") != 5).then("x")},
    "a step that is no stop": {"step": pl.lit(3, pl.Int32)},
    "verdicts of another type": {"verdict": pl.col("verdict").cast(pl.Int64)},
    "seeds of another type": {"seed": pl.col("seed").cast(pl.Float64)},
    "evidence as text": {"x": pl.lit("high")},
    "evidence in lists": {"x": pl.concat_list("x")},
    "a field of the sweep": {"tilt": pl.lit(0.5)},
    "a name that is a pattern": {"^x.*$": pl.lit(0.5)},
    "seeds that fall": {"seed": 63 - pl.col("seed")},
    "two cells": {"cell": pl.when(pl.col("seed") < 9).then(pl.lit(OTHER)).otherwise("cell")},
    "evidence as whole numbers": {"x": pl.lit(1)},
}


@pytest.mark.parametrize("what", BAD)
def test_a_sealed_chunk_of_another_schema_is_named_and_refused(tmp_path, what):
    made = folders.new_store(tmp_path, CELLS)
    path = made.folder / "data" / f"{CELL}-{0:020d}.parquet"
    path.write_bytes(write_chunk(frame()))
    assert made.verify() == []
    path.write_bytes(write_chunk(frame().with_columns(**BAD[what])))
    (fault,) = made.verify()
    assert path.name in fault
    with pytest.raises(StoreError, match="damaged or foreign"):
        made.frame()


def test_chunks_without_some_evidence_are_of_another_sweep(tmp_path):
    made = folders.new_store(tmp_path, CELLS)
    made.commit(CELL, folders.columns(range(8), STOPS))
    other = folders.columns(range(8, 16), STOPS)
    made.commit(CELL, other | {"y": other["x"]})
    assert ["of another sweep" in fault for fault in made.verify()] == [True]
    with pytest.raises(StoreError, match="of another sweep"):
        made.frame()
    (made.folder / made.chunks()[1]).write_bytes(write_chunk(frame().drop("x")))
    assert any("then evidence" in fault for fault in made.verify())


def many_rows() -> pl.DataFrame:
    rows = 2_000_000
    types = {"seed": pl.UInt64, "step": pl.Int32, "verdict": pl.Int8, "x": pl.Float32}
    columns = {name: pl.repeat(0, rows, dtype=kind, eager=True) for name, kind in types.items()}
    return pl.DataFrame({"cell": pl.repeat(CELL, rows, eager=True), **columns})


def long_text() -> pl.DataFrame:
    return frame().head(2).with_columns(cell=pl.lit("a" * 2**24))


@pytest.mark.parametrize("bomb", [many_rows, long_text])
def test_a_small_file_that_expands_to_a_large_one_is_refused_unread(tmp_path, monkeypatch, bomb):
    made = folders.new_store(tmp_path, CELLS)
    raw = write_chunk(bomb())
    assert len(raw) < 2**17
    (made.folder / "data" / f"{CELL}-{0:020d}.parquet").write_bytes(raw)
    monkeypatch.setattr(pl, "read_parquet", None)
    with pytest.raises(StoreError, match=r"rows, allowed|more bytes than its rows"):
        made.frame()


def test_sizes_are_those_of_the_pages():
    raw = write_chunk(frame())
    check_size(raw, rows=128)
    with pytest.raises(ValueError, match="has 128 rows; allowed: at least 1, at most 127"):
        check_size(raw, rows=127)
    for length in range(0, len(raw), 7):
        with pytest.raises(ValueError, match="has"):
            check_size(raw[:length], rows=128)


def fifo(path: Path, content: bytes) -> None:
    os.mkfifo(path)


def device(path: Path, content: bytes) -> None:
    path.symlink_to("/dev/zero")


def link(path: Path, content: bytes) -> None:
    kept = path.parents[2] / "kept"
    kept.write_bytes(content)
    path.symlink_to(kept)


def sparse(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.truncate(2**42)


def folder_instead(path: Path, content: bytes) -> None:
    path.mkdir()


@pytest.mark.ci
@pytest.mark.parametrize("make", [fifo, device, link, sparse, folder_instead])
@pytest.mark.parametrize("part", ["sweep.json", "data", "runs"])
def test_only_regular_files_of_bounded_size_are_read(finished, make, part):
    path = finished.folder / part
    path = path if path.is_file() else sorted(path.iterdir())[0]
    content = path.read_bytes()
    path.unlink()
    make(path, content)
    assert [path.name in fault for fault in finished.verify()][:1] == [True]
    with pytest.raises(StoreError, match=re.escape(path.name)):
        load(finished.folder).fractions()


@pytest.mark.parametrize("part", ["data", "runs", "staging", "lock", "commit.lock"])
def test_links_out_of_a_folder_are_not_followed(wells, copy, tmp_path, part):
    away = tmp_path / "away"
    if (copy / part).is_dir():
        shutil.move(copy / part, away)
    else:
        away.write_text("mine")
        (copy / part).unlink()
    (copy / part).symlink_to(away)
    before = folders.contents(tmp_path)
    with pytest.raises(StoreError):
        run(wells, 120, copy, lanes=8)
    assert folders.contents(tmp_path) == before


def test_the_name_of_a_file_cannot_break_a_line_or_a_terminal(finished):
    for name in ("a\nb.parquet", "a\x1b[2J.parquet", os.fsdecode(b"a\xff.parquet")):
        (finished.folder / "data" / name).write_text("")
    assert all(fault.isprintable() and "a?" in fault for fault in finished.verify())
    assert len(finished.verify()) == 3


def test_a_report_writes_through_no_link(copy, tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (copy / "report").mkdir()
    (copy / "report/report.html").symlink_to(mine)
    os.mkfifo(copy / "report/fractions.csv")
    os.link(mine, copy / "report/fractions.tex")
    assert write_report(load(copy)).stat().st_size > 2**14
    assert mine.read_text() == "mine"
    shutil.rmtree(copy / "report")
    (copy / "report").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="is a link"):
        write_report(load(copy))
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.ci
@pytest.mark.parametrize(
    ("version", "form", "unsealed"), [("0.2", 1, [True]), ("0.3", 2, []), ("0.4", 3, [])]
)
def test_a_folder_of_an_old_format_is_read_and_not_gone_on_with(version, form, unsealed, tmp_path):
    golden = GOLDEN / f"{version}.0"
    old = shutil.copytree(golden, tmp_path / "old")
    records = load(old)
    counts = records.fractions().filter(verdict="INTENDED")["hits"].to_list()
    assert records.frame.height == 32
    stored = pl.read_parquet(golden / "data").filter(step=50, verdict=int(Verdict.INTENDED))
    assert counts == [stored.filter(cell=cell).height for cell in records.cells] == [6, 6]
    assert records.interval == "fixed"
    page = write_report(records, tmp_path / "report").read_text()
    assert "16 seeds, from 0 to 15" in page
    assert "cpu, 8 lanes" in page
    assert records.store.verify() == []
    assert ["has no seal" in notice for notice in records.store.notices()] == unsealed
    wells = basin_jax.Sweep(
        organism=basin_jax.organisms.DoubleWell(tilt=0.1),
        method=basin_jax.methods.Gradient(learning_rate=0.05),
        num_steps=50,
        save_at=(20,),
    )
    before = folders.contents(old)
    said = rf"{version} \(format {form}\).*to go on, give another folder"
    with pytest.raises(StoreError, match=said):
        run(basin_jax.grid(wells, {"organism.tilt": (0.1, 0.2)}), 32, old, lanes=8)
    locks = {"lock": b"", "commit.lock": b""}
    assert folders.contents(old) | locks == before | locks


def test_backends_of_an_old_format_have_the_names_of_today(tmp_path):
    old = shutil.copytree(GOLDEN / "0.2.0", tmp_path / "old")
    text = (old / "sweep.json").read_text()
    for name, now in (("simd", "cpu"), ("fused", "cuda"), ("xla", "xla")):
        (old / "sweep.json").write_text(text.replace('"simd"', f'"{name}"'))
        plans = folders.plans_of(load(old).manifest)
        assert {plan["backend"]["name"] for plan in plans} == {now}
    (old / "sweep.json").write_text(text.replace('"simd"', '"cpu"'))
    with pytest.raises(
        StoreError, match=r"program\.name = 'cpu', allowed: one of simd, fused, xla"
    ):
        load(old)


def test_an_edited_cell_of_the_first_format_is_found(tmp_path):
    old = shutil.copytree(GOLDEN / "0.2.0", tmp_path / "old")
    text = (old / "sweep.json").read_text()
    (old / "sweep.json").write_text(text.replace('learning_rate": 0.05', 'learning_rate": 0.06'))
    with pytest.raises(StoreError, match="the hash of its fields and code"):
        load(old)


def test_what_could_not_be_read_again_is_not_written(tmp_path):
    made = folders.new_store(tmp_path, CELLS)
    before = (tmp_path / "sweep.json").read_bytes()
    machine = folders.machine_of(CELLS)
    machine["plans"][CELL] = machine["plans"][CELL] | {"lanes": 0}
    with pytest.raises(StoreError, match=r"lanes = 0, allowed: an integer from 1"):
        made.update(lambda _: made.manifest() | {"machines": [machine]})
    with pytest.raises(StoreError, match=r"devices = 0"):
        made.record_run(folders.run_of(SEEDS) | {"devices": 0})
    assert (tmp_path / "sweep.json").read_bytes() == before


def test_evidence_whose_name_stands_for_several_columns_is_refused_before_training(wells, tmp_path):
    class Named(basin_jax.organisms.DoubleWell):
        def probe(self, key, params):
            return {"^x.*$": params}

    with pytest.raises(ValueError, match=r"evidence = '\^x\.\*\$'; allowed: a name without"):
        run(wells[0].replace(organism=Named()), 8, tmp_path, lanes=8)
    assert not list(tmp_path.iterdir())


def test_a_chunk_has_no_more_rows_than_are_read(wells, tmp_path, monkeypatch):
    sweep = wells[0].replace(num_steps=4096, save_at=tuple(range(1023)))
    monkeypatch.setattr(manifest, "choose", lambda *_, **__: Tuning("xla", 8, 1e18))
    given = {"names": {}, "lanes": 8, "seeds": 8, "most": 2**17, "tell": print}
    made = manifest.manifest_of({"a": sweep}, Behavior(), Store(tmp_path), None, **given)
    assert made["chunk"] * len(sweep.stops) == chunk_size.ROWS
