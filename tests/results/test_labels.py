"""Names of cells: given to a run, stored, shown in every frame, and replaced when loaded."""

import pytest

import basin_jax as bj
from basin_jax.methods import Gradient
from basin_jax.organisms import DoubleWell
from basin_jax.runs.sweepfile import load_sweep


def well(tilt):
    method = Gradient(learning_rate=0.3)
    return bj.Sweep(organism=DoubleWell(tilt=tilt), method=method, num_steps=10, save_at=(5,))


def trained(sweep, folder):
    return bj.run(sweep, 16, folder, lanes=8, progress=False)


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """Return the records of two cells that have names."""
    return trained({"even": well(0.0), "tilted": well(0.2)}, tmp_path_factory.mktemp("named"))


def test_names_are_stored_and_change_no_identity(named, tmp_path):
    assert [*bj.load(named.store.folder).labels.values()] == ["even", "tilted"]
    plain = trained([well(0.0), well(0.2)], tmp_path)
    assert [*plain.labels.values()] == ["tilt=0.0", "tilt=0.2"]
    assert plain.cells == named.cells
    # Names may be given later, and stay where none are.
    again = trained({"flat": well(0.0), "tilted": well(0.2)}, tmp_path)
    assert [*again.labels.values()] == ["flat", "tilted"]
    assert [*trained([well(0.0), well(0.2)], tmp_path).labels.values()] == ["flat", "tilted"]


def test_every_frame_has_labels(named):
    frames = [
        named.frame,
        named.history,
        named.fractions(),
        named.differences(),
        named.agreement(),
        named.near_thresholds(),
        named.errors(),
        bj.load(named.store.folder, rule=bj.rules.Behavior()).sensitivity("deceptive_gap", [0.5]),
    ]
    assert all(frame.columns[:2] == ["cell", "label"] for frame in frames)
    assert named.frame.filter(label="tilted").height == 16
    assert len(named.seeds("DECEPTIVE", cell="even")) == named.frame.filter(
        label="even", verdict="DECEPTIVE"
    ).height  # fmt: skip


def test_labels_can_be_given_when_results_are_loaded(named):
    records = bj.load(named.store.folder, labels={"even": "no tilt"})
    assert [*records.labels.values()] == ["no tilt", "tilted"]
    assert records.fractions()["label"].unique(maintain_order=True).to_list() == [
        "no tilt",
        "tilted",
    ]
    with pytest.raises(ValueError, match=r"labels = 'evn'; allowed: .*even"):
        bj.load(named.store.folder, labels={"evn": "no tilt"})
    with pytest.raises(ValueError, match="the name of cell 0 = ''"):
        bj.load(named.store.folder, labels={"even": ""})


def test_a_sweep_file_may_name_its_cells(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from basin_jax import Sweep\nfrom basin_jax.methods import Gradient\n"
        "from basin_jax.organisms import DoubleWell\n"
        "given = dict(method=Gradient(learning_rate=0.3), num_steps=10)\n"
        "sweep = {'a': Sweep(organism=DoubleWell(tilt=0.0), **given),\n"
        "         'b': Sweep(organism=DoubleWell(tilt=0.2), **given)}\n"
    )
    source = load_sweep(tmp_path / "mine.py")
    assert dict(source.sweep) == dict(zip("ab", source.cells, strict=True))
    alike = load_sweep(tmp_path / "mine.py", ["organism.tilt=0.1"])
    assert [*dict(alike.sweep)] == ["a"]


def test_a_run_refuses_a_name_that_cannot_be_shown(tmp_path):
    with pytest.raises(ValueError, match="the name of cell 1 = ' b'; allowed"):
        trained({"a": well(0.0), " b": well(0.2)}, tmp_path / "out")
    assert not (tmp_path / "out").exists()
