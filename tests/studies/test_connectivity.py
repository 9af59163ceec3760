"""The study of connectivity: which pairs it joins, and what it reads on their lines."""

import numpy as np
import pytest
from study_tables import TINY, outcome

from basin_jax.studies.connectivity import Connectivity
from basin_jax.studies.framework.lab import Lab, Outcome, only
from basin_jax.studies.framework.testbed import META_LEARNER


STUDY = Connectivity(testbed=TINY, points=2, quick=48)
GROUPS = STUDY.sweeps(48)


def line(name, verdicts, fits):
    """Networks on lines, by the verdicts and the fits at each point."""
    cells = GROUPS[name].cells
    parts = [
        outcome({(cell, None): np.array([*at])}, cells, fit=np.array(fit, float))
        for cell, at, fit in zip(cells, verdicts, fits, strict=True)
    ]
    history = parts[0].history.vstack(parts[1].history).vstack(parts[2].history)
    return Outcome(cells=cells, history=history, rule=TINY.rule)


@pytest.fixture
def lab(tmp_path):
    one, other = "DIPDIDDI", "DIPIDDOP"
    names = {"D": "DECEPTIVE", "I": "INTENDED", "P": "PARTIAL", "O": "OTHER"}
    lab = Lab(folder=tmp_path, quick=True)
    for group, ends in (("fresh", one), ("partners", other)):
        cells = only(TINY.sweep, 8, rule=TINY.rule).cells
        lab.outcomes[group] = outcome({("", None): [names[end] for end in ends]}, cells)
    return lab


def test_a_partner_has_the_highest_bit_flipped(lab):
    partners = GROUPS["partners"].seeds
    assert callable(partners)
    assert partners(lab).tolist() == [2**63 + seed for seed in range(8)]


@pytest.mark.parametrize(
    ("kind", "seeds"),
    [("deceptive", [0, 5]), ("intended", [1]), ("partial", [2]), ("mixed", [3, 4])],
)
def test_pairs_are_joined_by_the_verdicts_of_their_ends(lab, kind, seeds):
    chosen = GROUPS[f"{kind}_matched"].seeds
    assert callable(chosen)
    assert chosen(lab).tolist() == seeds
    # No more than the share of each kind.
    fewer = STUDY.sweeps(24)[f"{kind}_plain"].seeds
    assert callable(fewer)
    assert fewer(lab).tolist() == seeds[:1]


def test_a_barrier_is_the_largest_fall_of_the_fit_below_the_line():
    joined = line("mixed_plain", ["DI", "OO", "ID"], [(1.0, 0.5), (0.25, 0.75), (0.5, 1.0)])
    np.testing.assert_allclose(STUDY.barriers(joined), [0.5, 0.0])
    np.testing.assert_allclose(STUDY.rises(joined), [0.25, 0.0])


def test_the_way_leads_from_the_deceptive_end():
    names = {"D": "DECEPTIVE", "I": "INTENDED"}
    ways = [[names[end] for end in ends] for ends in ("DDI", "DDI", "IID")]
    joined = line("mixed_plain", ways, np.ones((3, 3)))
    assert [one.value for one in STUDY.along(joined, "plain")] == [1, 2 / 3, 0]


def test_a_testbed_whose_units_cannot_be_matched_is_refused():
    with pytest.raises(ValueError, match=r"Connectivity\.testbed = .*; allowed: one whose network"):
        Connectivity(testbed=META_LEARNER)
    with pytest.raises(ValueError, match=r"points = 3; allowed: an even number"):
        STUDY.replace(points=3)
