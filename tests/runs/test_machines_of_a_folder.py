"""Several kinds of machine train the seeds of one folder: each marks its own."""

import folders
import numpy as np
import pytest

import basin_jax as bj
from basin_jax.report.page import write_report
from basin_jax.results.store import StoreError


LANES = {"here": 8, "elsewhere": 16}


@pytest.fixture
def elsewhere(monkeypatch):
    """Return a context in which this is another kind of machine."""

    def become(device: str | None, **other: str) -> None:
        monkeypatch.undo()
        if device is not None:
            from basin_jax.runs import manifest, provenance, run

            machine = {**provenance.machine_identity(), "device": device, **other}
            for module in (provenance, manifest, run):
                monkeypatch.setattr(module, "machine_identity", lambda: machine)

    return become


@pytest.mark.ci
def test_another_kind_of_machine_goes_on_with_a_folder_and_marks_its_seeds(
    wells, tmp_path, elsewhere, capfd
):
    bj.run(wells, 8, tmp_path, lanes=LANES["here"])
    elsewhere("another CPU")
    bj.run(wells, 24, tmp_path, lanes=LANES["elsewhere"])
    assert "another kind of machine has trained seeds" in capfd.readouterr().err
    elsewhere(None)
    records = bj.run(wells, 32, tmp_path)
    assert {plan["lanes"] for plan in folders.plans_of(records.manifest)} == {8, 16}
    assert records.frame.group_by("cell").len()["len"].to_list() == [32, 32]
    assert records.store.verify() == []
    page = write_report(records, tmp_path / "report").read_text()
    assert "8 lanes (32 seeds on" in page
    assert "16 lanes (32 seeds on another CPU)" in page


def test_a_recheck_tells_seeds_of_another_kind_of_machine(wells, tmp_path, elsewhere):
    bj.run(wells[0], 8, tmp_path, lanes=LANES["here"])
    elsewhere("another CPU")
    bj.run(wells[0], 24, tmp_path, lanes=LANES["elsewhere"])
    elsewhere(None)
    found = bj.recheck(tmp_path, seeds=24)
    assert np.array_equal(found.frame["same"], found.frame["seed"] < 8)
    assert found.frame["equal"].all()  # it is another kind by its name alone
    (change,) = found.changes
    assert "device: another CPU then" in change
    replayed = bj.replay(tmp_path, seed=20)
    assert replayed.differing == ()
    assert len(replayed.changes) == 1


def test_a_machine_of_other_versions_is_no_other_kind(wells, tmp_path, elsewhere):
    bj.run(wells, 8, tmp_path, lanes=8)
    elsewhere("another CPU", jax="0.0.1")
    with pytest.raises(StoreError, match=r"holds another sweep \(jax: "):
        bj.run(wells, 16, tmp_path, lanes=8)
