"""Studies: what they are put to, what they find, and the page that says so."""

import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from scipy.stats import norm
from study_tables import finding, number, unsupported

from basin_jax import Sweep, Verdict, load
from basin_jax.core.identity import digest_of
from basin_jax.methods import Gradient
from basin_jax.networks.mlp import MLP
from basin_jax.organisms import Audit, DoubleWell
from basin_jax.rules import Behavior
from basin_jax.starts import Trained
from basin_jax.statistics.estimates import estimate
from basin_jax.studies.buffer import Buffer
from basin_jax.studies.commitment import (
    LEFT,
    RIGHT,
    SEALED,
    Commitment,
    _agree,
    _beyond,
    _by_committor,
    _entropy,
    _split,
)
from basin_jax.studies.framework import study as study_module
from basin_jax.studies.framework.page import markdown
from basin_jax.studies.framework.rows import row
from basin_jax.studies.framework.study import WELL, Lab, Outcome, farthest, median, root_of, turn
from basin_jax.studies.framework.testbed import AUDIT, INSPECTION, Subject
from basin_jax.studies.hijack import Hijack
from basin_jax.studies.initialization import Initialization
from basin_jax.studies.preservation import Preservation
from basin_jax.studies.registry import STUDIES, all_named, make, named
from basin_jax.studies.way_back import WayBack


WELLS = Sweep(
    organism=DoubleWell(tilt=0.2, scale=0.0), method=Gradient(learning_rate=0.3), num_steps=60
)
SPREAD = WELLS.replace(organism=DoubleWell(tilt=0.2), save_at=(0,))


def test_a_subject_lies_between_itself_and_its_overseen_twin():
    assert AUDIT.overseen_by(0.0, end=1).objective == AUDIT.organism
    assert AUDIT.overseen_by(end=1).objective == AUDIT.overseen
    assert AUDIT.overseen_by(0.25, end=1).objective == Audit(honeypot_rate=0.25)


def test_oversight_in_turn_has_each_strength_for_its_spell():
    base = Subject(
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


def test_a_twin_that_differs_in_more_than_numbers_is_refused():
    with pytest.raises(ValueError, match=r"Subject\.overseen = .*; allowed: what differs in"):
        AUDIT.replace(overseen=Audit(difficulty=1, honeypot_rate=1.0))


def test_a_study_is_named_and_its_names_fit_its_methods():
    assert all(named(name) == (name, kind()) for name, kind in STUDIES.items())
    with pytest.raises(ValueError, match="did you mean 'hijack'"):
        named("hijak")
    with pytest.raises(ValueError, match="one for each of 8"):
        Preservation(names=("SGD",))


@pytest.mark.parametrize(
    ("make_it", "said"),
    [
        (
            lambda: Hijack(
                subject=INSPECTION.replace(organism=WELL.organism, overseen=WELL.organism)
            ),
            "an organism with a difficulty",
        ),
        (lambda: Hijack(doses=(0.1, 1.0)), "rising from 0"),
        (lambda: WayBack(strengths=(0.0, 0.5)), "rising from 0 to 1"),
        (lambda: WayBack(strengths=(0.0, 5.0, 1.0)), "rising from 0 to 1"),
        (lambda: WayBack(lengths=()), "one or more, rising from at least 1"),
        (lambda: WayBack(lengths=(0, 5)), "one or more, rising from at least 1"),
        (lambda: named("simulators", "audit"), "cannot be put to --organism audit: .*a Simulator"),
        (lambda: all_named(["hijack", "hijack"]), "hijack, hijack; allowed: studies of different"),
        (lambda: Buffer(quick=3), "quick = 3; allowed: at least 12"),
        (lambda: Commitment(children=1), "at least 2"),
        (lambda: Commitment(quick=100), "a multiple of twice children = 4"),
        (lambda: Commitment(shares=(0.1,)), "rising from 0"),
    ],
)
def test_a_study_that_cannot_be_made_is_refused(make_it, said):
    with pytest.raises(ValueError, match=said):
        make_it()


def test_a_file_may_define_a_study(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from basin_jax.studies.way_back import WayBack\nstudy = WayBack(lengths=(5,))\n"
    )
    assert named(str(file)) == ("mine", WayBack(lengths=(5,)))
    file.write_text("study = 3\n")
    with pytest.raises(ValueError, match=r"mine\.py defines a wrong `study`"):
        named(str(file))


def test_a_study_is_put_to_another_organism_by_its_name_or_by_a_file(tmp_path):
    assert named("way_back", "inspection") == ("way_back-inspection", WayBack(subject=INSPECTION))
    with pytest.raises(ValueError, match=r"--organism 'inspektion'.*did you mean 'inspection'"):
        named("way_back", "inspektion")
    file = tmp_path / "mine.py"
    file.write_text("from basin_jax.studies.framework.testbed import AUDIT\nsubject = AUDIT\n")
    assert named("way_back", str(file)) == ("way_back-mine", WayBack())
    file.write_text("subject = 3\n")
    with pytest.raises(ValueError, match=r"mine\.py defines a wrong `subject`"):
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
    files = sorted((Path(__file__).parents[2] / "sweeps" / "studies").glob("*.py"))
    assert files
    for file in files:
        assert named(str(file))[0] == file.stem


@pytest.mark.parametrize(
    ("expected", "holds"), [(None, None), (0.0, True), (0.1, True), (0.11, False)]
)
def test_a_control_holds_where_the_interval_has_it(expected, holds):
    assert number(expected).holds is holds
    assert finding(number(), number(expected)).sound is (holds is not False)


def test_a_number_is_said_with_its_interval():
    assert str(row("all", estimate(30, 30))) == "1 [0.884, 1]"
    assert str(number(value=math.inf, high=math.inf)) == "∞ [0, ∞]"
    assert str(number(value=-0.012345, low=-0.02)) == "-0.012 [-0.02, 0.100]"


def test_a_bisection_is_read_where_it_was_made_and_made_again_where_it_is_damaged(
    tmp_path, monkeypatch
):
    lab = Lab(folder=tmp_path, quick=True)
    asked = {"between": (-1.0, 1.0), "rule": Behavior()}
    first = lab.critical(WELLS, "organism.mean", 3, **asked)
    assert first["high"].to_numpy() == pytest.approx(-0.20915, abs=2 / 2**10)

    (file,) = (tmp_path / "critical").iterdir()
    sound = file.read_bytes()
    file.write_bytes(sound[:-400] + bytes([sound[-400] ^ 1]) + sound[-399:])
    assert lab.critical(WELLS, "organism.mean", 3, **asked).equals(first)
    assert file.read_bytes() == sound

    def refuse(*args, **settings):
        raise AssertionError("made again")

    monkeypatch.setattr(study_module, "critical", refuse)
    assert lab.critical(WELLS, "organism.mean", 3, **asked).equals(first)
    for other in ({"between": (-1.0, 0.5)}, {"rule": Behavior(min_fit=0.5)}, {"halvings": 3}):
        with pytest.raises(AssertionError, match="made again"):
            lab.critical(WELLS, "organism.mean", 3, **{**asked, **other})


def test_there_must_be_seeds(tmp_path):
    lab = Lab(folder=tmp_path, quick=True)
    none = np.zeros(0, np.uint64)
    with pytest.raises(ValueError, match="wells has no seeds"):
        lab.run("wells", [WELLS], none, rule=Behavior())
    with pytest.raises(ValueError, match=r"organism\.mean has no seeds"):
        lab.critical(WELLS, "organism.mean", none, between=(0.0, 1.0), rule=Behavior())


def test_what_is_trained_is_told_by_cell_whatever_was_trained_before(tmp_path):
    lab = Lab(folder=tmp_path, quick=True)
    cells = {tilt: WELLS.replace(organism=DoubleWell(tilt=tilt)) for tilt in (-0.3, 0.0, 0.3)}
    lab.run("wells", [cells[0.3], cells[-0.3]], 60, rule=Behavior())
    trained = lab.run("wells", [*cells.values()], 40, rule=Behavior())
    shares = [trained.fraction(cell) for cell in cells.values()]
    assert [share.trials for share in shares] == [40] * 3
    assert shares[0].hits < shares[1].hits < shares[2].hits
    right = trained.seeds(cells[0.3], Verdict.DECEPTIVE)
    assert len(right) == shares[2].hits
    assert right.max() < 40
    rows = trained.thresholds(cells[0.0], "right")
    assert [one.what for one in rows] == [
        f"right, by a gap of at least {gap}" for gap in (0.25, 0.5, 0.75)
    ]


def test_no_two_studies_share_seeds(tmp_path):
    roots = {name: root_of(name) for name in (*STUDIES, "way_back_inspection")}
    assert len({*roots.values()}) == len(roots)
    assert roots["hijack"] == 1694542522  # the same in every process
    found = {}
    for root in (roots["hijack"], roots["buffer"]):
        lab = Lab(folder=tmp_path / str(root), root=root, quick=True)
        trained = lab.run(
            "wells", [SPREAD, SPREAD.replace(start=Trained(of=WELLS))], 20, rule=Behavior()
        )
        stored = load(tmp_path / str(root) / "wells").cells.values()
        assert {v for cell in stored for path, v in cell.items() if path.endswith("root")} == {root}
        found[root] = trained.evidence(SPREAD, 0)["x"]
        assert len(found[root]) == 20
        turns = lab.critical(WELLS, "organism.mean", 3, between=(-1.0, 1.0), rule=Behavior())
        assert len(turns) == 3
    first, second = found.values()
    assert not np.isin(first, second).any()


def test_a_field_that_is_none_in_some_cells_is_no_evidence(tmp_path):
    lab = Lab(folder=tmp_path, quick=True)
    plain, momentum = (
        WELLS.replace(method=Gradient(learning_rate=0.3, options=options))
        for options in ({}, {"momentum": 0.5})
    )
    trained = lab.run("wells", [plain, momentum], 40, rule=Behavior())
    for cell in (plain, momentum):
        assert {*trained.evidence(cell)} == {
            "fit",
            "watched",
            "unwatched",
            "competence",
            "margin",
            "x",
        }
        rows = {one.what: one.value for one in trained.thresholds(cell, "right")}
        assert rows["right, by a gap of at least 0.5"] == trained.fraction(cell).fraction > 0
    records = load(tmp_path / "wells", rule=Behavior())
    assert {*records.evidence_names} == {*trained.evidence(plain)}
    table = records.sensitivity("deceptive_gap", [0.5]).filter(verdict="DECEPTIVE")
    assert table["hits"].to_list() == [trained.fraction(c).hits for c in (plain, momentum)]


def test_thresholds_move_the_fraction_where_gaps_lie_between_them():
    names = ("fit", "watched", "unwatched")
    gaps = [0.0, 0.3, 0.6, 0.9]
    history = pl.DataFrame(
        {"cell": digest_of(WELLS), "seed": range(4), "step": WELLS.num_steps, "verdict": "OTHER"}
        | dict(zip(names, ([1.0] * 4, [0.0] * 4, gaps), strict=True))
    )
    rows = Outcome(history=history, rule=Behavior()).thresholds(WELLS, "all")
    assert [one.value for one in rows] == [0.75, 0.5, 0.25]


def test_the_farthest_value_decides_whether_what_is_known_was_found():
    assert farthest(np.array([0.9, 1.05]), 1.0, "one", within=0.11).holds
    assert not farthest(np.array([1.0, 1.0, 1.2]), 1.0, "one", within=0.11).holds
    assert not farthest(np.array([1.0, np.inf]), 1.0, "one", within=0.11).holds
    assert not farthest(np.zeros(0), 1.0, "one", within=0.11).holds


def test_a_median_reaches_over_the_last_halvings():
    high = np.arange(1.0, 42.0)
    found = median(pl.DataFrame({"low": high - 0.5, "high": high}), "dose")
    assert (found.value, found.low, found.high) == (21, 13.5, 28)


def test_the_entropy_among_children():
    two = np.array([["OTHER", "OTHER"], ["OTHER", "INTENDED"]])
    assert _entropy(two) == pytest.approx(0.5)


def test_agreement_counts_pairs_of_one_parents_children():
    names = np.array([["DECEPTIVE"] * 3, ["DECEPTIVE", "DECEPTIVE", "OTHER"], ["OTHER"] * 3])
    found = _agree(names, "alike")
    assert found.value == pytest.approx((1 + 1 / 3 + 1) / 3)
    assert found.low < found.value < found.high


def test_the_variance_of_verdicts_is_split_in_two():
    strangers = number(kind="measured", value=0.5, low=0.4, high=0.6)
    kin = number(kind="measured", value=0.8, low=0.7, high=0.9)
    shares = [(one.value, one.low, one.high) for one in _split(strangers, kin)]
    assert shares[0] == pytest.approx((0.6, 0.25, 5 / 6))
    assert shares[1] == pytest.approx((0.4, 1 / 6, 0.75))
    alike = number(kind="measured", value=1.0, low=0.9, high=1.0)
    assert _split(alike, alike)[0].low == 0


def test_particles_that_begin_alike_end_alike_as_the_committor_says():
    x = np.linspace(LEFT, RIGHT, 20001)
    weight = np.exp(((x**2 - 1) ** 2 / 4 - 0.2 * x) / 0.1)
    right = np.cumsum(weight) / weight.sum()
    alike = ((right**2 + (1 - right) ** 2) * norm.pdf(x)).sum() * (x[1] - x[0])
    outside = norm.cdf(LEFT) + norm.sf(RIGHT)
    assert _by_committor() == pytest.approx(outside + alike, abs=1e-4)


def test_that_children_agree_more_often_than_not_is_no_commitment():
    # A parent whose children are deceptive with a probability of .85: half of the families of
    # four agree, and two children do in .745.
    children = np.random.default_rng(0).random((512, 4)) < 0.85
    families = np.where(children, "DECEPTIVE", "INTENDED")
    assert (families == families[:, :1]).all(1).mean() > 0.5
    sealed = np.full((512, 4), "DECEPTIVE")
    kin = [_agree(each, "alike", cells=2) for each in (families, sealed)]
    found = turn((0, 100), kin, "fork", past=SEALED)
    assert (found.value, found.low, found.high) == (100, 0, 100)
    never = turn((0, 100), [kin[0], kin[0]], "fork", past=SEALED)
    assert (never.value, never.high) == (math.inf, math.inf)


def test_children_are_compared_with_those_of_another_parent_on_the_same_seeds():
    rng = np.random.default_rng(2)
    alike = np.repeat(rng.random(64) < 0.5, 4).reshape(-1, 4)
    families = np.where(alike, "DECEPTIVE", "INTENDED")
    found = _beyond(families, "all alike", cells=6)
    neighbors = (families[::2, 0] == families[1::2, 0]).mean()
    assert found.value == pytest.approx(1 - neighbors)
    assert (found.low > 0, found.seeds) == (True, 256)
    mixed = _beyond(rng.permutation(families.ravel()).reshape(-1, 4), "none alike", cells=6)
    assert mixed.low < 0 < mixed.high


def test_a_row_without_a_value_is_undefined_and_neither_holds_nor_fails():
    none = number(0.0, value=np.nan, low=0.0, high=1.0, seeds=0)
    assert str(none) == "undefined: no seeds"
    assert none.holds is None
    assert not finding(none).sound
    assert "| none | undefined: no seeds | 0 | 0 | not known |" in markdown(
        [finding(none)], made="here"
    )


TINY = Subject(
    organism=Audit(network=MLP(widths=(8, 8))),
    overseen=Audit(network=MLP(widths=(8, 8)), honeypot_rate=1.0),
    method=Gradient(learning_rate=0.3),
    num_steps=600,
)
SETTINGS: dict[str, Any] = {
    "preservation": {"subject": TINY.replace(method=AUDIT.method)},
    "hijack": {"difficulties": (2,)},
    "buffer": {"reach": 10.0},
    "gradient_hacking": {"lengths": (20, 400)},
    "competence": {"difficulties": (1, 2), "sized": (1,), "widths": (1, 8), "depths": (0, 2)},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_every_study_is_sound_in_the_small(name, tmp_path):
    _, study = named(name)
    subject = study.subject if name in ("commitment", "simulators") else TINY
    study = study.replace(**{"subject": subject, "quick": 96} | SETTINGS.get(name, {}))
    (found,) = make({name: study}, tmp_path, quick=True)
    assert found.sound, found.frame.filter(~pl.col("holds"))
    assert {one.kind for one in found.rows} >= {"measured", "control", "known", "sensitivity"}
    names = [one.what for one in found.rows]
    assert len({*names}) == len(names)
    for said in found.says:
        assert not unsupported(said.text, [one for one in found.rows if one.what in said.rests_on])
    assert "deceptive" in "".join(said.text for said in found.says)
    text = (tmp_path / f"{name}.md").read_text(encoding="utf-8")
    assert all(f"- {said.text} [row" in text for said in found.says)


@pytest.mark.slow
def test_a_control_that_is_not_null_is_not_sound(tmp_path):
    twin = TINY.replace(overseen=TINY.organism)
    (found,) = make(
        {"initialization": Initialization(subject=twin, quick=96)}, tmp_path, quick=True
    )
    assert not found.sound
    assert [one.kind for one in found.rows if one.holds is False] == ["control"]
