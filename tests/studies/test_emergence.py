"""The study of emergence: the modes that it counts, and the seeds that it finds in them."""

import numpy as np
import pytest
from study_tables import TINY

from basin_jax.statistics.modes import Modes
from basin_jax.studies.emergence import Emergence, far
from basin_jax.studies.framework.testbed import AUDIT, SHORTCUT


def test_a_seed_is_on_its_way_far_from_all_modes():
    ends = np.array([0.0, 0.02, 0.04, 1.0, 0.98])
    modes = Modes(2, (0.5,))
    gaps = np.array([0.1, 0.13, 0.5, 0.88, 0.9, 1.1])
    assert far(gaps, modes, ends, 0.1).tolist() == [False, True, True, True, False, True]


def test_widths_have_that_of_the_testbed_among_them_and_stops_end_with_training():
    groups = Emergence().sweeps(4)
    assert groups["Audit"].cells[""].stops == (0, 62, 125, 250, 500, 1000, 2000)
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
        ({"testbed": TINY.replace(num_steps=31), "widths": (16,)}, "testbed"),
    ],
)
def test_a_testbed_that_does_not_fit_is_refused(given, said):
    with pytest.raises(ValueError, match=rf"Emergence.{said} = "):
        Emergence(**given)
