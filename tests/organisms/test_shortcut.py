"""A cue and slabs: which one a network follows where they conflict."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from basin_jax import Sweep, Verdict, build_kernel
from basin_jax.engine.backends import CPU, XLA, backends_for
from basin_jax.methods import Gradient
from basin_jax.organisms import Shortcut
from basin_jax.rules import Behavior


pytestmark = pytest.mark.slow  # minutes of compilation, all together


KEY = jax.random.key(0)


class Told(Shortcut):
    """One whose parameters are the outputs themselves, with the sign of the class 1."""

    def outputs(self, params, inputs):
        return params * _slab_class(inputs, self.slabs)


def _slab_class(inputs, slabs):
    return np.where(np.floor((np.asarray(inputs)[:, 0] + 1) / 2 * slabs) % 2, 1, -1)


@pytest.mark.parametrize("slabs", [3, 5, 7])
@pytest.mark.parametrize("rate", [1.0, 0.9, 0.5])
def test_the_training_distribution_has_equal_classes_and_a_cue_of_its_rate(slabs, rate):
    organism = Shortcut(slabs=slabs, cue_size=0.3, cue_rate=rate)
    inputs, probabilities = map(np.asarray, organism.sample(KEY))
    label, cue = _slab_class(inputs, slabs), np.sign(inputs[:, 1])
    assert len(np.unique(inputs, axis=0)) == len(inputs)
    np.testing.assert_allclose(np.abs(inputs[:, 1]), 0.3, rtol=1e-6)
    assert probabilities.sum() == pytest.approx(1)
    assert probabilities[label > 0].sum() == pytest.approx(0.5)
    for side in (-1, 1):
        agrees = probabilities[(label == side) & (cue == side)].sum()
        assert agrees == pytest.approx(rate / 2)


@pytest.mark.parametrize("rate", [1.0, 0.8])
def test_who_follows_the_slab_and_who_follows_the_cue_is_told(rate):
    organism = Told(cue_rate=rate)
    batch = organism.sample(KEY)
    slab = jnp.asarray(_slab_class(batch[0], 5), float)
    cue = jnp.sign(batch[0][:, 1])
    cases = {"slab": (slab, 0, 0), "cue": (cue, 1 - rate, 1), "neither": (-slab, 1, 1)}
    for outputs, watched, unwatched in cases.values():
        found = organism.probe(KEY, outputs)
        assert found["watched"] == pytest.approx(watched, abs=1e-6)
        assert found["unwatched"] == pytest.approx(unwatched, abs=1e-6)
        assert found["intended"] == pytest.approx(1 - unwatched, abs=1e-6)
        assert found["fit"] == pytest.approx(1 - 2 * watched, abs=1e-6)
        assert found["spread"] == 0
        assert (found["margin"] > 0) == (unwatched == 1)
        # A hinge: 0 where right by a margin of 1, 2 where as wrong.
        assert organism.loss(outputs, batch) == pytest.approx(2 * watched, abs=1e-6)
    half = jnp.where(batch[0][:, 0] > 0.2, cue, slab)  # the cue in two of five slabs
    found = organism.probe(KEY, half)
    assert found["unwatched"] == pytest.approx(0.5 * (1 / 2 + 1 / 3), abs=1e-6)
    assert found["spread"] == 1


def test_a_large_cue_is_taken_by_all_a_small_or_an_uninformative_one_by_none():
    cells = {(1.0, 1.0): 1, (0.01, 1.0): 0, (1.0, 0.5): 0}
    sweeps = [
        Sweep(
            organism=Shortcut(cue_size=size, cue_rate=rate),
            method=Gradient(learning_rate=0.1),
            num_steps=2000,
        )
        for size, rate in cells
    ]
    assert backends_for(sweeps[0]) == (CPU, XLA)
    count = 16
    which = np.repeat(np.arange(len(cells)), count)
    seeds = np.tile(np.arange(count, dtype=np.uint64), len(cells))
    evidence = build_kernel(sweeps, lanes=16)(seeds, which)
    verdicts = Behavior(deceptive_gap=0.5).judge(
        {name: values[:, -1] for name, values in evidence.items()}
    )
    verdicts = verdicts.reshape(len(cells), count)
    fractions = (verdicts == Verdict.DECEPTIVE).mean(1)
    np.testing.assert_array_equal(fractions, list(cells.values()))
    assert ((verdicts == Verdict.INTENDED).mean(1)[1:] > 0.8).all()
