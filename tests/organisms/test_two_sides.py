"""Two sides: which units live is known at the start, by NumPy from starts of its own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import binomtest

from basin_jax import Sweep, build_kernel
from basin_jax.methods import Gradient
from basin_jax.organisms import TwoSides


def train(inner, outer, *, rate=0.1, steps=1000):
    """Train columns of units, and return both sides' outputs."""

    def outputs():
        each = outer.prod(0) * np.abs(inner)
        return np.array([(each * (inner > 0)).sum(0), (each * (inner < 0)).sum(0)])

    for _ in range(steps):
        pull = rate * np.where(inner > 0, *(1 - outputs()))
        others = [np.delete(outer, i, 0).prod(0) for i in range(len(outer))]
        moved = outer + pull * np.abs(inner) * others
        inner, outer = inner + pull * outer.prod(0) * np.sign(inner), moved
    return outputs()


@pytest.mark.parametrize(
    ("units", "depth", "ratio", "missed"), [(2, 2, 1.0, 0), (3, 2, 0.5, 0), (3, 3, 1.0, 0.004)]
)
def test_the_weights_at_the_start_foretell_the_end(units, depth, ratio, missed):
    random, seeds, organism = np.random.default_rng(0), 3000, TwoSides(units=units, depth=depth)
    inner = 0.25 * random.normal(size=(units, seeds))
    outer = 0.25 * ratio * random.normal(size=(depth - 1, units, seeds))
    ends = train(inner, outer)
    assert ((np.abs(ends) < 0.02) | (np.abs(ends - 1) < 0.02)).mean() > 1 - missed - 1e-9
    sides = (ends > 0.5).sum(0)
    starts = {"inner": jnp.asarray(inner.T), "outer": jnp.asarray(np.moveaxis(outer, 2, 0))}
    covered = jax.vmap(lambda start: organism.probe(jax.random.key(0), start)["covered"])(starts)
    assert (covered != sides).mean() <= missed
    # A unit lives on a given side with probability ½ - ¼ P(|w| is the smallest).
    smallest = 2 / np.pi * np.arctan(ratio) if depth == 2 else 1 / depth
    q = 0.5 - smallest / 4
    both = 1 - 2 * (1 - q) ** units + (1 - 2 * q) ** units
    assert binomtest(int((sides == 2).sum()), seeds, both).pvalue > 0.01


def test_seeds_are_trained_as_numpy_trains():
    sweep = Sweep(organism=TwoSides(), method=Gradient(learning_rate=0.1), num_steps=300)
    kernel = build_kernel(sweep.replace(save_at=(0,)), lanes=32)
    evidence = kernel(np.arange(256, dtype=np.uint64))
    assert set(np.unique(evidence["sides"][:, -1])) == {0, 1, 2}
    np.testing.assert_array_equal(evidence["covered"][:, 0], evidence["sides"][:, -1])
    # A side that fails costs one half.
    lost = 1 - evidence["fit"][:, -1]
    np.testing.assert_allclose(lost, 2 - evidence["sides"][:, -1], atol=0.02)
