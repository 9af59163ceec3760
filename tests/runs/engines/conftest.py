"""What the tests of engines share."""

import pytest
from engine_runs import SEEDS, written

from basin_jax import run


@pytest.fixture(scope="session")
def alone(tmp_path_factory):
    """Return the frame of a run without an engine."""
    source, _ = written(tmp_path_factory.mktemp("engines") / "alone")
    folder = tmp_path_factory.mktemp("alone")
    return run(source.cells, SEEDS, folder, lanes=8, progress=False).store.frame()
