"""Time single parts of the package: `uv run pytest benchmarks -n 0`.

The times are seconds on this machine, so no test of the package depends on them. To see the effect
of a change on a part, use `--benchmark-save` before it and `--benchmark-compare` after it.
"""

import itertools

import jax
import numpy as np
import pytest

from basin_jax import Verdict, basin_fractions
from basin_jax.bench.cases import CASES
from basin_jax.bench.pendulum import SWEEP
from basin_jax.engine.kernel import build_kernel
from basin_jax.results.store import Store


LANES, STEPS = 16, 100
DRAWS = (LANES, 32, 16)
SWEEPS = {case.name: case.sweep for cases in CASES.values() for case in cases}


@pytest.mark.parametrize("name", [*SWEEPS, "pendulum"])
def test_steps_of_a_block(benchmark, name):
    """Time 100 steps of one block per device."""
    sweep = {**SWEEPS, "pendulum": SWEEP}[name].replace(num_steps=STEPS)
    kernel = build_kernel(sweep, lanes=LANES)
    kernel.compile()
    seeds = np.arange(LANES * len(kernel.devices), dtype=np.uint64)
    benchmark(kernel, seeds)


@pytest.mark.parametrize("draw", [jax.random.bits, jax.random.normal], ids=["threefry", "normal"])
def test_draws(benchmark, draw):
    many = jax.jit(lambda key: draw(key, DRAWS))
    key = jax.random.key(0)
    benchmark(lambda: many(key).block_until_ready())


def test_statistics_of_a_million_verdicts(benchmark):
    verdicts = np.random.default_rng(0).choice(list(Verdict), 10**6)
    benchmark(basin_fractions, verdicts)


def test_commit_of_a_chunk(benchmark, tmp_path):
    store = Store(tmp_path)
    store.prepare()
    seeds, size = itertools.count(step=10**4), 10**4
    evidence = {name: np.zeros(size, np.float32) for name in ("fit", "watched", "unwatched")}

    def commit() -> bool:
        first = next(seeds)
        return store.commit("cell", {"seed": np.arange(first, first + size), **evidence})

    assert benchmark(commit)
