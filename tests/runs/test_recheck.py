"""A recheck: stored seeds that are trained again have the stored bits, or are counted."""

import folders
import numpy as np
import pytest
from folders import cell_of

import basin_jax as bj
from basin_jax.core.verdict import Verdict
from basin_jax.engine.kernel import Kernel
from basin_jax.results.store import Store


WELLS = bj.grid(
    bj.Sweep(
        organism=bj.organisms.DoubleWell(),
        method=bj.methods.Gradient(learning_rate=0.1),
        num_steps=30,
        save_at=(10,),
    ),
    {"organism.tilt": (0.1, 0.2)},
)


@pytest.fixture
def folder(tmp_path):
    bj.run(WELLS, 40, tmp_path, lanes=8, progress=False)
    return tmp_path


def altered(folder, change) -> None:
    """Commit the chunks of the first cell again, with changed columns."""
    store = Store(folder)
    cell = next(iter(store.manifest()["cells"]))
    for key in store.chunks(cell):
        (rows,) = store.rows([key])
        columns = {name: rows[name].to_numpy().copy() for name in rows.columns}
        store.place.delete(key)
        change(columns)
        columns.pop("cell")
        assert store.commit(cell, columns)


def test_seeds_that_are_trained_again_have_the_stored_bits(folder):
    found = bj.recheck(folder, seeds=60)
    assert (found.differing.hits, found.flips.hits, found.flips.trials) == (0, 0, 60)
    assert found.changes == ()
    assert found.frame["cell"].n_unique() == 2
    again = bj.recheck(folder, seeds=60, root=found.root)
    assert again.frame.equals(found.frame)
    assert len(bj.recheck(folder, seeds=1000).frame) == 80


def test_a_bit_at_any_stop_counts(folder):
    def change(columns):
        at = (columns["seed"] == 7) & (columns["step"] == 10)
        columns["margin"][at] = np.nextafter(columns["margin"][at], np.float32(np.inf))

    altered(folder, change)
    found = bj.recheck(folder, seeds=80)
    assert found.frame.filter(equal=False)["seed"].to_list() == [7]
    assert (found.differing.hits, found.flips.hits) == (1, 0)


def test_another_verdict_is_a_flip(folder):
    def change(columns):
        own = columns["verdict"][columns["seed"] == 3]
        columns["verdict"][columns["seed"] == 3] = Verdict.OTHER
        assert (own != Verdict.OTHER).all()

    altered(folder, change)
    found = bj.recheck(folder, seeds=80)
    assert found.flips.hits == 1
    assert found.flips.low < 1 / 80 < found.flips.high


def test_a_fault_is_said_in_a_line(folder, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("INTERNAL: it is broken")

    monkeypatch.setattr(Kernel, "stream", broken)
    with pytest.raises(ValueError, match="one of 40 seeds fails: RuntimeError: INTERNAL: it is"):
        bj.recheck(folder, seeds=80)


def test_a_folder_whose_seeds_all_failed_has_none_to_train_again(tmp_path):
    cell, entry = cell_of({}, (10,))
    store, made = folders.new_store(tmp_path, {cell: entry}), folders.columns(range(8), (10,))
    made["verdict"][:], made["x"][:] = Verdict.ERROR, np.nan
    store.commit(cell, made, dict.fromkeys(range(8), "bad"))
    with pytest.raises(ValueError, match="has no stored seed that did not fail; allowed: a folder"):
        bj.recheck(tmp_path)


def test_no_seeds_are_refused(folder):
    with pytest.raises(ValueError, match="seeds = 0; allowed: at least one"):
        bj.recheck(folder, seeds=0)
