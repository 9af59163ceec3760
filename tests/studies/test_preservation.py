"""Equal progress is found per seed, stop by stop; lost are the deceptive and the partial."""

from dataclasses import replace

import jax
import numpy as np
import polars as pl
import pytest
from study_tables import Made, outcome

from basin_jax.core.trial import signature_of
from basin_jax.methods.gradient import Gradient
from basin_jax.rules.behavior import Behavior
from basin_jax.studies.controls.double_well import WELL
from basin_jax.studies.framework.rows import Table
from basin_jax.studies.framework.study import find
from basin_jax.studies.framework.testbed import AUDIT
from basin_jax.studies.parts import long_runs
from basin_jax.studies.parts.equal_progress import Course, course, stops_to
from basin_jax.studies.preservation import SGD, Preservation


STOPS = (10, 20, 40)
FITS = np.array([[0.1, 0.2, 0.3], [0.3, 0.5, 0.9], [0.0, 0.0, 0.1], [np.nan, 0.4, 0.4]])
VERDICTS = np.array(
    [
        ["INTENDED", "INTENDED", "INTENDED"],
        ["INTENDED", "PARTIAL", "DECEPTIVE"],
        ["OTHER", "INTENDED", "PARTIAL"],
        ["DIVERGED", "DECEPTIVE", "INTENDED"],
    ]
)


def trained():
    """Four seeds whose fits and verdicts are given at three stops."""
    cells = {"": WELL.replace(save_at=STOPS[:-1], num_steps=STOPS[-1])}
    gaps = np.array([[0.0, 0.6, 0.9]] * 4)
    parts = [
        outcome({("", stop): VERDICTS[:, place]}, cells).history.with_columns(
            fit=pl.Series(FITS[:, place]),
            competence=pl.Series(1 - FITS[:, place]),
            watched=pl.lit(0.0),
            unwatched=pl.Series(gaps[:, place]),
        )
        for place, stop in enumerate(STOPS)
    ]
    return replace(outcome({("", None): VERDICTS[:, -1]}, cells), history=pl.concat(parts))


def ending(values):
    """A course of one stop, at which the seeds have these values of all progress."""
    never, ends = np.zeros((4, 1), bool), np.array(values)[:, None]
    progress = {"loss": ends, "skill": ends}
    return Course(stops=np.array([1]), progress=progress, deceptive=never, partial=never)


def test_lost_are_deceptive_or_partial_at_each_stop():
    seen = course(trained(), "")
    assert seen.stops.tolist() == [*STOPS]
    lost = [[0, 0, 0], [0, 1, 1], [0, 0, 1], [0, 1, 0]]
    assert seen.lost.astype(int).tolist() == lost
    assert seen.after(39).lost.shape == (4, 2)
    assert course(trained(), "", until=20).stops.tolist() == [10, 20]


def test_a_seed_is_judged_where_it_first_has_the_loss_or_at_its_end():
    arrived = course(trained(), "").arrival(ending([0.2, 0.3, 0.5, 0.4]), "loss")
    assert arrived.reached.tolist() == [True, True, False, True]
    assert arrived.steps.tolist() == [20, 10, np.inf, 20]
    # The second is lost later, the third never gets there, the fourth is lost for a while.
    assert arrived.lost.tolist() == [False, False, True, True]


def test_skill_is_another_progress():
    arrived = course(trained(), "").arrival(ending([0.85, 0.7, 1.0, 0.9]), "skill")
    assert arrived.steps.tolist() == [10, 10, 10, np.inf]


def test_a_loss_that_is_not_finite_is_never_reached():
    arrived = course(trained(), "").arrival(ending([np.nan] * 4), "loss")
    assert not arrived.reached.any()
    assert np.isinf(arrived.steps).all()


def test_another_rule_judges_the_same_course():
    for gap, first in ((0.5, 1), (0.75, 2)):
        rule = Behavior(min_fit=None, deceptive_gap=gap)
        found = course(trained(), "", rule=rule).deceptive[:3]
        assert (found == (np.arange(3) >= first)).all()


def test_stops_double_every_two_and_pass_through_the_unit():
    stops = stops_to(16_000, unit=2000)
    assert {1, 31, 125, 500, 1000, 2000, 4000, 8000} <= {*stops}
    assert max(stops) < 16_000
    late = np.array([stop for stop in stops if stop > 30])
    assert np.allclose(late[1:] / late[:-1], 2**0.5, rtol=0.03)
    assert {*long_runs.times(2000)} <= {*stops, 16_000}


def test_rates_of_a_method_share_a_program():
    cells = Preservation().sweeps(1)["onward"].cells
    assert len(cells) == 15
    for name, own in (("SGD", 0.1), ("Adam", 0.01)):
        methods = [cells[f"{name}{end}"].method for end in (" x0.3", "", " x3")]
        found = [method.learning_rate for method in methods if isinstance(method, Gradient)]
        assert found == pytest.approx([0.3 * own, own, 3 * own], rel=1e-12)
    assert signature_of(cells["Adam x0.3"]) == signature_of(cells["Adam x3"])
    assert [name for name, cell in cells.items() if cell.num_steps == 16_000] == ["SGD", "Adam"]
    structures = {jax.tree.structure(cell.start) for cell in cells.values()}
    assert len(structures) == 1  # the same good starts


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"names": ("SGD",)}, "one for each of 5"),
        ({"names": tuple("SGABC")}, "SGD first, and Adam, SGD, gradient noise"),
        ({"rates": (1.0, 3.0)}, "rising, from below 1, with 1"),
        ({"rates": (0.3, 3.0)}, "rising, from below 1, with 1"),
        ({"testbed": AUDIT.replace(method=SGD.replace(learning_rate=0.2))}, "testbed's own first"),
    ],
)
def test_a_study_without_its_parts_is_refused(fields, said):
    with pytest.raises(ValueError, match=said):
        Preservation(**fields)


class Staged(Made):
    """A lab whose Adam is ahead in loss, and loses all seeds, but only beyond the loss of SGD."""

    def train(self, name, group):
        made = super().train(name, group)
        if name != "onward":
            return made.__class__(
                cells=made.cells,
                history=made.history.with_columns(verdict=pl.lit("INTENDED")),
                rule=made.rule,
                root=self.root,
            )
        history = made.history.with_columns(
            fit=pl.col("step") / 1e6,
            competence=pl.col("step") / 1e6,
            verdict=pl.lit("INTENDED"),
            lying_contexts=pl.lit(0.0),
        )
        fastest = made.at("Adam")["cell"][0]
        adam = pl.col("cell") == fastest
        ahead = {n: pl.col(n) * pl.when(adam).then(100).otherwise(1) for n in ("fit", "competence")}
        lost = adam & (pl.col("step") > 1000)
        verdict = pl.when(lost).then(pl.lit("PARTIAL")).otherwise(pl.col("verdict"))
        self.outcomes[name] = replace(made, history=history.with_columns(**ahead, verdict=verdict))
        return self.outcomes[name]


@pytest.mark.slow
def test_what_is_lost_beyond_equal_progress_is_lost_at_equal_steps_alone(tmp_path):
    study = Preservation(testbed=AUDIT, quick=40)
    rows = find("preservation", study, Staged(folder=tmp_path, quick=True)).rows
    assert rows["Adam/equal-skill/lost-less-SGD"].value == 0
    assert rows["Adam/equal-loss/lost-less-SGD"].value == 0
    assert rows["Adam/equal-skill/reached"].value == 1
    # The first stop with a hundredth of 2,000 steps, at which it has SGD's skill.
    assert rows["Adam/equal-skill/steps"].value == 22
    assert rows["Adam/lost-less-SGD"].value == 1
    assert rows["Adam/partial"].value == 1
    assert rows["SGD x0.3/equal-skill/reached"].value == 1
    # Of 16,000 steps, the first stop beyond 1,000.
    assert rows["Adam/half-lost/steps"].value == 1414
    assert "SGD/half-lost/steps" not in rows
    assert rows["Adam/steps=500/lost"].value == 0
    assert rows["Adam/steps=2000/lost"].value == 1
    assert rows["SGD/skill-of-slow/lost"].holds


def lost_from(places):
    """A course of forty seeds, of which some are lost from a stop of long runs on."""
    stops = np.array(long_runs.times(2000))
    since = np.full(40, len(stops))
    since[: len(places)] = places
    lost = np.arange(len(stops)) >= since[:, None]
    ends = np.broadcast_to(stops / 1e6, lost.shape)
    progress = {"loss": ends, "skill": ends}
    return Course(stops=stops, progress=progress, deceptive=np.zeros_like(lost), partial=lost)


def test_when_half_of_the_lost_were_lost_is_told_where_enough_are():
    labels, unit = {"SGD": "SGD 0.1", "Adam": "Adam 0.01"}, 2000
    courses = {"SGD": lost_from([6] * 3), "Adam": lost_from([2] * 12 + [3] * 10)}
    rows = Table(long_runs.along(courses, labels, unit))
    half = rows["Adam/half-lost/steps"]
    assert (half.value, half.low, half.high, half.seeds) == (500, 500, 2000, 22)
    assert np.isinf(rows["SGD/half-lost/steps"].high)
    assert rows["Adam/steps=500/lost"].value == 12 / 40
    assert rows["Adam/early-less-SGD-late/lost"].value == 19 / 40
    # Adam has the skill of SGD's end at its own.
    assert rows["Adam/skill-of-long/lost-less-SGD"].value == 19 / 40
    said = long_runs.says(rows, labels, unit).text
    assert "not shown under SGD 0.1 (n = 3) and 500 [500, 2000] under Adam 0.01" in said
