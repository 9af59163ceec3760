"""The index of a folder of runs."""

import shutil
from pathlib import Path

import folders
import pytest
from rare_folders import APART, write_search

from basin_jax.report.index import index
from basin_jax.results.records import load
from basin_jax.results.store import StoreError


GOLDEN = Path(__file__).parents[1] / "golden"
WHOLE = {"kind": "range", "count": 10, "first": 0, "last": 9}


def rows(folder) -> dict[str, list[str]]:
    (group,) = index(folder).groups
    return {line.cells[0]: list(line.cells[1:]) for line in group.lines}


def test_each_sweep_is_a_row_however_deep_and_broken_ones_say_why(tmp_path):
    for name in ("0.2.0", "old/0.4.0", "edited", "damaged"):
        version = name[-5:] if name[-1] == "0" else "0.4.0"
        shutil.copytree(GOLDEN / version, tmp_path / name)
    (tmp_path / "edited/sweep.json").write_bytes(b"{}")
    for chunk in (tmp_path / "damaged/data").iterdir():
        chunk.write_bytes(chunk.read_bytes() + b"x")
    (tmp_path / "other").mkdir()
    found = rows(tmp_path)
    assert found["old/0.4.0"] == ["2026-11-30 14:43", "2", "16", "0.625", "complete"]
    assert found["0.2.0"][-1] == "complete"
    assert found["edited"][:-1] == ["-"] * 4
    assert found["edited"][-1].startswith("broken: sweep.json cannot be trusted")
    assert found["damaged"][-1].startswith("broken: data/39d32d1c21fc-")
    assert len(found) == 4
    assert rows(tmp_path / "0.2.0") == {".": found["0.2.0"]}


def test_a_report_is_read_in_place_of_the_chunks_as_long_as_it_is_that_of_all_seeds(tmp_path):
    path = tmp_path / "sweep"
    shutil.copytree(GOLDEN / "0.4.0", path)
    (path / "report").mkdir()
    table = path / "report/fractions.csv"  # as `write_report` writes it
    load(path).fractions().write_csv(table)
    for chunk in (path / "data").iterdir():
        chunk.write_bytes(b"")
    write_search(path, APART)
    assert rows(tmp_path)["sweep"][2:] == ["16", "0.625", "complete, 1 rare search"]
    table.write_text(table.read_text().replace(",16,", ",15,"))
    assert rows(tmp_path)["sweep"][-1].startswith("broken: ")


def test_a_run_that_was_stopped_is_incomplete(tmp_path):
    digest, cell = folders.cell_of({"tilt": 0.1}, (10,))
    store = folders.new_store(tmp_path / "sweep", {digest: cell})
    assert rows(tmp_path)["sweep"] == ["-", "1", "0", "no seeds yet", "no run"]
    name = store.record_run(folders.run_of(WHOLE))
    store.commit(digest, folders.columns(range(10), (10,)))
    assert rows(tmp_path)["sweep"][1:3] == ["1", "10"]
    assert rows(tmp_path)["sweep"][-1] == "incomplete"
    store.finish_run(name, {digest: 10})
    assert rows(tmp_path)["sweep"][-1] == "complete"


def noted(folder: Path, *notes: str | None) -> None:
    digest, cell = folders.cell_of({"tilt": 0.1}, (10,))
    store = folders.new_store(folder, {digest: cell})
    for day, note in enumerate(notes, start=1):
        run = folders.run_of(WHOLE, began=f"2026-01-0{day}T00:00:00+00:00")
        store.record_run(run if note is None else {**run, "note": note})


def test_the_newest_note_of_a_sweep_is_shown_where_some_sweep_has_one(tmp_path):
    noted(tmp_path / "bare", None)
    assert "note" not in index(tmp_path).head
    noted(tmp_path / "kept", "a first look", None)
    noted(tmp_path / "two", "a first look", "for\nthe paper")
    assert index(tmp_path).head[-1] == "note"
    assert {name: row[-1] for name, row in rows(tmp_path).items()} == {
        "bare": "",
        "kept": "a first look",
        "two": "for the paper",
    }


def test_sweeps_are_found_by_their_names_and_notes(tmp_path):
    noted(tmp_path / "rates", None)
    noted(tmp_path / "gaps", "after the rates")
    (tmp_path / "rates-broken").mkdir()
    (tmp_path / "rates-broken/sweep.json").write_bytes(b"{}")
    noted(tmp_path / "other", "a first look")

    def matching(text):
        return [line.cells[0] for line in index(tmp_path, match=text).groups[0].lines]

    assert matching("RATES") == ["gaps", "rates", "rates-broken"]
    assert matching("first") == ["other"]
    with pytest.raises(
        ValueError, match=r"match = 'x+' is in no name and no note of .*; allowed: "
    ):
        index(tmp_path, match="xxx")


def test_a_note_that_could_not_be_shown_is_not_recorded(tmp_path):
    with pytest.raises(StoreError, match=r"note = 'a\\x00', allowed: text"):
        noted(tmp_path / "bad", "a\x00")


def test_searches_for_rare_basins_are_counted(tmp_path):
    for name, found in (("apart", APART), ("begun", APART[:2])):
        write_search(tmp_path / name, found)
    (tmp_path / "notes/rare").mkdir(parents=True)
    found = rows(tmp_path)
    assert found["apart"] == ["-", "1", "-", "-", "1 rare search, 1 not to be trusted"]
    assert found["begun"][-1] == "1 rare search, 1 incomplete"
    assert len(found) == 2


def test_a_folder_without_sweeps_is_refused(tmp_path):
    with pytest.raises(ValueError, match="has no sweep; allowed: a folder with results"):
        index(tmp_path)
    with pytest.raises(ValueError, match="DIR = 's3:/bucket'; allowed: a folder on this machine"):
        index(Path("s3:") / "bucket")
