"""The study of inheritance: who teaches, and what it reads of the students."""

import numpy as np
import pytest
from study_tables import TINY, outcome

from basin_jax.studies.framework.lab import Lab, only
from basin_jax.studies.framework.testbed import META_LEARNER
from basin_jax.studies.inheritance import CELLS, Inheritance


STUDY = Inheritance(testbed=TINY, quick=16)
GROUPS = STUDY.sweeps(16)


def test_teachers_are_the_first_seeds_of_their_verdict(tmp_path):
    lab = Lab(folder=tmp_path, quick=True)
    cells = only(STUDY.teachers, 6, rule=TINY.rule).cells
    ends = ["INTENDED", "DECEPTIVE", "PARTIAL", "DECEPTIVE", "DECEPTIVE", "INTENDED"]
    lab.outcomes["teachers"] = outcome({("", None): ends}, cells)
    for teacher, seeds in (("deceptive", [1, 3]), ("intended", [0, 5])):
        chosen = GROUPS[teacher].seeds
        assert callable(chosen)
        assert chosen(lab).tolist() == seeds


def test_what_students_are_shown_and_where_they_begin():
    cells = GROUPS["deceptive"].cells
    assert len(cells) == len(CELLS) + 1
    names = ("organism.acts", "organism.auxiliary", "start.shared")
    shown = {name: [cell.fields()[path] for path in names] for name, cell in cells.items()}
    assert shown["acts/same"] == ["watched", None, True]
    assert shown["logits/other"] == [None, "all", False]
    assert shown["both/same"] == ["watched", "all", True]
    assert shown["everything"] == ["all", None, False]


@pytest.mark.ci
def test_the_gap_of_students_tells_their_teachers_apart(tmp_path):
    lab = Lab(folder=tmp_path, quick=True)
    cells = GROUPS["deceptive"].cells
    for teacher, unwatched in (("deceptive", [0.9, 0.4]), ("intended", [0.5, 0.3])):
        lab.outcomes[teacher] = outcome(
            {("logits/same", None): [True, False]},
            cells,
            watched=np.array([0.1, 0.2]),
            unwatched=np.array(unwatched),
        )
    np.testing.assert_allclose(STUDY.gaps(lab, "deceptive", "logits/same"), [0.8, 0.2])
    row = STUDY.told(lab, "logits", "same")
    assert row.key == "logits/same/AUC"
    assert row.value == 0.75


def test_a_testbed_that_shows_nothing_to_imitate_is_refused():
    with pytest.raises(ValueError, match=r"Inheritance\.testbed = .*; allowed: one whose organism"):
        Inheritance(testbed=META_LEARNER)
