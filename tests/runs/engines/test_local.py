"""Workers on this machine (test_bits: some that are killed)."""

import pytest

from basin_jax.runs.engines.local import Local


def test_more_workers_than_cores_are_refused():
    with pytest.raises(ValueError, match="workers = 10000; allowed: 1 to"):
        Local().check(10_000)
