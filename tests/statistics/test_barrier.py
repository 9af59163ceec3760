"""The barrier is what a line rises by above its ends."""

import numpy as np
import pytest

from basin_jax.statistics.barrier import loss_barrier


WEIGHTS = tuple(np.linspace(0, 1, 9))


def test_a_known_line_has_its_barrier():
    along = np.asarray(WEIGHTS)
    slope, hill = 3 - 2 * along, along * (1 - along)
    found = loss_barrier(np.stack([slope, slope + hill, slope - hill]), WEIGHTS)
    # A valley between the ends is no barrier.
    np.testing.assert_allclose(found, [0, 0.25, 0], atol=1e-12)


@pytest.mark.parametrize("weights", [(0.0, 0.5), (0.0, 0.7, 0.3, 1.0), (0.0,), ()])
def test_weights_lead_from_one_end_to_the_other(weights):
    with pytest.raises(ValueError, match=r"weights = .*; allowed: rising from 0 to 1"):
        loss_barrier(np.zeros((2, len(weights))), weights)
