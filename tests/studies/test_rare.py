"""The study of rare basins: what is read of its searches."""

import pytest
from study_tables import TINY

from basin_jax.studies.rare import Known, Rare
from basin_jax.studies.registry import make


class Small(Rare):
    quick: int = 160


STUDY = Small(
    testbed=TINY.replace(num_steps=30),
    difficulties=(1,),
    searched=(1,),
    known=(Known(6, 0.05),),
)


@pytest.mark.slow
def test_the_search_is_compared_with_what_is_known_and_with_counting(tmp_path):
    (finding,) = make({"rare": STUDY}, tmp_path, quick=True)
    rows = finding.rows
    assert rows["units=6/searched"].expected == 2**-5
    assert finding.sound
    # Counting to 2/3 to 3/2 takes 1.96²/ln(1.5)² = 23.4 seeds for each hit.
    cost, saving = rows["units=6/cost"], rows["units=6/saving"]
    found = rows["units=6/searched"].value
    assert saving.value * cost.value == pytest.approx(23.4 * (1 - found) / found, rel=0.1)
    assert cost.low < cost.value < cost.high
    assert finding.sentences[0].text.startswith("XOR by 6 units fails with the probability 0.031;")


def test_only_difficulties_of_the_study_are_searched():
    with pytest.raises(ValueError, match=r"searched = \(5,\); allowed: difficulties"):
        Rare(searched=(5,))
