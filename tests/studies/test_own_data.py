"""Networks that choose their own data: the rows that compare them, and their sentences."""

import numpy as np
import pytest
from study_tables import outcome

from basin_jax.studies.framework.lab import Lab
from basin_jax.studies.framework.rows import Table, difference
from basin_jax.studies.parts import own_data
from basin_jax.studies.parts.own_data import CHOICES, CREDITED, IGNORED, INSTALLED, LENGTHS, NULLS


CELLS = own_data.choosers(128)["choosers"].cells
NONE, FEW, MORE = (np.arange(128) < count for count in (0, 2, 15))


def rows_of(tmp_path, **ends):
    """The rows where, by cell and at the last step alone, other seeds are deceptive than FEW."""
    given = {
        (cell, stop): ends.get(cell, FEW) if stop == sweep.num_steps else FEW
        for cell, sweep in CELLS.items()
        for stop in sweep.stops
    }
    submits = dict.fromkeys(("submitted_watched", "submitted_unwatched"), 0.25)
    lab = Lab(folder=tmp_path, quick=True)
    lab.outcomes["choosers"] = outcome(given, CELLS, **submits)
    return Table(own_data.corrected(lab))


@pytest.mark.parametrize("name", NULLS)
def test_a_network_and_its_null_are_the_same_until_the_correction(name):
    one, other = (CELLS[cell].organism for cell in (name, NULLS[name]))
    differ = {field for field in CHOICES[name] | CHOICES[NULLS[name]]}
    differ = {field for field in differ if getattr(one, field) != getattr(other, field)}
    # What counts in the correction alone.
    assert differ
    assert differ <= {"floor", "credit", "price"}
    assert CELLS[name].stops == tuple(INSTALLED + length for length in LENGTHS)


def test_a_network_is_compared_with_its_null_on_the_same_seeds(tmp_path):
    rows = rows_of(tmp_path, **{CREDITED: MORE})
    first, last = (
        rows[f"choosers/credited-less-indifferent/steps={n}/deceptive"] for n in (1000, 3000)
    )
    assert (first.sign, last.sign) == (0, 1)
    # For both choices and lengths at once.
    assert last.low == difference("", "", FEW, MORE, num_intervals=4).low
    said = [each.text for each in own_data.said(rows)]
    assert "; where none is shown, " in said[1]
    assert said[2].count("from 0.250 [") == 4


def test_a_null_that_stays_deceptive_does_not_hold(tmp_path):
    key = f"choosers/{IGNORED}/steps=3000/deceptive"
    assert rows_of(tmp_path, **{IGNORED: NONE})[key].holds
    assert rows_of(tmp_path, **{IGNORED: MORE})[key].holds is False
