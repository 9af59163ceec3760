"""The searches of a folder, read from their records alone."""

import json

import folders
import numpy as np
import pytest
from rare_folders import AGREEING, APART, WELL, write_search

from basin_jax import Verdict, grid, rare
from basin_jax.rare.reading import verify
from basin_jax.rare.store import Searches, identity_of
from basin_jax.results.folder import StoreError
from basin_jax.rules import Behavior
from basin_jax.schema import seal_of, text_of


SEARCH = rare.ImportanceSampling(particles=20)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A folder with one search of its own score, and its estimate."""
    folder = tmp_path_factory.mktemp("searched")
    given = {"rule": Behavior(min_fit=None), "method": SEARCH, "score": rare.Peak(), "lanes": 8}
    return folder, rare.fraction(WELL, folder=folder, **given)


def test_an_estimate_is_read_as_it_was_made(searched):
    folder, found = searched
    (stored,) = rare.load(folder)
    assert stored.estimate == found
    assert (stored.label, stored.of) == ("DoubleWell", "DECEPTIVE")
    assert (stored.replications, stored.wanted) == (8, 8)
    row = stored.row()
    assert (row["fraction"], row["trusted"]) == (found.fraction, found.trusted)
    assert (row["bracket_hits"], row["bracket_trials"]) == (
        found.bracket.hits,
        found.bracket.trials,
    )
    wider = rare.load(folder, level=0.99)[0].estimate
    assert wider is not None
    assert wider.high > found.high


def test_a_search_that_has_not_ended_says_how_far_it_is(tmp_path):
    write_search(tmp_path, AGREEING[:3])
    (stored,) = rare.load(tmp_path)
    assert (stored.replications, stored.wanted, stored.estimate) == (3, 8, None)
    assert stored.row()["fraction"] is None


def test_searches_are_named_and_sorted_by_what_tells_their_cells_apart(tmp_path):
    cells = grid(WELL, {"num_steps": (10, 4)})
    for cell in cells:
        write_search(tmp_path, AGREEING, sweep=cell)
    write_search(tmp_path, AGREEING, sweep=cells[0], method=rare.Splitting())
    write_search(tmp_path, AGREEING, sweep=cells[0], rule=Behavior(min_fit=0.5))
    found = [(one.label, one.method["class"]) for one in rare.load(tmp_path)]
    assert found == [
        ("num_steps=4, min_fit=0.25", "SubsetSimulation"),
        ("num_steps=10, min_fit=0.25", "Splitting"),
        ("num_steps=10, min_fit=0.25", "SubsetSimulation"),
        ("num_steps=10, min_fit=0.5", "SubsetSimulation"),
    ]


def test_searches_have_the_names_of_the_folders_own_cells(tmp_path):
    cells, entries = grid(WELL, {"organism.tilt": (0.2, 0.1)}), {}
    for name, cell in zip(("easy", "hard"), cells, strict=True):
        digest, entry = folders.cell_of(cell.fields(), cell.stops)
        entries[digest] = {**entry, "name": name}
        # A search gives a sweep stops of its own.
        write_search(tmp_path, AGREEING, sweep=cell.replace(save_at=(0, 1)))
    folders.new_store(tmp_path, entries)
    assert [one.label for one in rare.load(tmp_path)] == ["hard", "easy"]


def test_damage_is_named(tmp_path):
    assert rare.load(tmp_path) == ()
    write_search(tmp_path, APART)
    (tmp_path / "rare/notes.txt").write_text("mine")
    (record,) = tmp_path.glob("rare/*-3.json")
    whole = json.loads(record.read_text())

    def refused(**changes) -> str:
        content = {**whole, **changes}
        content["seal"] = seal_of({k: v for k, v in content.items() if k != "seal"})
        record.write_text(text_of(content))
        with pytest.raises(StoreError, match=rf"{record.name} is damaged") as error:
            rare.load(tmp_path)
        return str(error.value)

    assert "another search" in refused(search={**whole["search"], "root": 1})
    method = {**whole["search"]["method"], "replications": "8"}
    assert "replications" in refused(search={**whole["search"], "method": method})
    record.write_text("{")
    with pytest.raises(StoreError, match=r"delete it, and run again"):
        rare.load(tmp_path)


def test_scores_of_a_replication_under_way_are_checked(tmp_path):
    """Infinite ones come back, and all stand for the search until a replication has ended."""
    method = rare.SubsetSimulation(particles=20)
    given = {"of": Verdict.UNFIT, "rule": Behavior(), "root": 0, "score": rare.Peak()}
    store = Searches(tmp_path, identity_of(WELL, method=method, **given))
    scores = [np.linspace(-1, 1, 20), np.array([np.inf, -np.inf] * 10)]
    store.commit_scores(3, 0, scores)
    store.commit_scores(3, 2, scores[:1])
    assert np.array_equal(store.scores(3, 20), [*scores, scores[0]])
    assert store.scores(2, 20) == []
    assert [(one.replications, one.estimate) for one in rare.load(tmp_path)] == [(0, None)]
    assert verify(tmp_path) == (2, [])
    with pytest.raises(StoreError, match=r"-3-0\.json is damaged: it is not of all particles"):
        store.scores(3, 21)
    (record,) = tmp_path.glob("rare/*-3-2.json")
    content = json.loads(record.read_text()) | {"scores": ["AAAA"]}
    content["seal"] = seal_of({k: v for k, v in content.items() if k != "seal"})
    record.write_text(text_of(content))
    with pytest.raises(StoreError, match=r"-3-2\.json is damaged: .*float64 numbers in base64"):
        store.scores(3, 20)


def test_a_folder_is_a_path_and_a_level_a_number():
    with pytest.raises(ValueError, match="folder = 3"):
        rare.load(3)  # pyright: ignore[reportArgumentType]
