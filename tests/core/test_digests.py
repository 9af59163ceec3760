"""The digests of the sweep files are what they were when they were written down."""

import json
from pathlib import Path

import jax
import pytest

from basin_jax import digest_of
from basin_jax.runs.sweepfile import load_sweep


ROOT = Path(__file__).parents[2]
# Written before the files of 0.4.0 moved; what has changed since is listed in the changelog.
GOLDEN = json.loads((ROOT / "tests/golden/digests.json").read_text())


@pytest.mark.ci
@pytest.mark.skipif(jax.__version__ != GOLDEN["jax"], reason="JAX traces other programs")
@pytest.mark.parametrize("all_", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("file", GOLDEN["digests"])
def test_a_sweep_has_the_digests_that_it_had(file, all_):
    cells, golden = load_sweep(ROOT / "sweeps" / file).cells, GOLDEN["digests"][file]
    assert len(cells) == len(golden)
    places = range(len(cells)) if all_ else {0, len(cells) - 1}
    assert [digest_of(cells[place]) for place in places] == [golden[place] for place in places]
