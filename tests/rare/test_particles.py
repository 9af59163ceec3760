"""Particles train as seeds do, and go on from a state as if they had never stopped."""

import numpy as np
import pytest

from basin_jax import Sweep, methods, organisms, starts
from basin_jax.engine.kernel import build_kernel
from basin_jax.rare.particles import Particles


SEEDS = np.arange(37, dtype=np.uint64) * 2**40
NOISY = Sweep(
    organism=organisms.DoubleWell(),
    method=methods.Gradient(learning_rate=0.1, noise=0.3),
    num_steps=60,
    save_at=(0, 20),
)
PUSHED = starts.Perturbed(of=NOISY.replace(save_at=()), radius=1.0)


# The start is the root's, and each parent's the parent's own.
FORKED = NOISY.replace(start=starts.Fork(of=PUSHED.of, children=3), vary="data")
PAIRED = NOISY.replace(start=starts.Between(of=PUSHED.of, weight=0.3))
SWEEPS = {"fresh": NOISY, "child": NOISY.replace(start=PUSHED), "fork": FORKED, "pair": PAIRED}
WORDS = {"fresh": 1, "child": 2, "fork": 1, "pair": 2}


@pytest.fixture(scope="module", params=SWEEPS)
def particles(request):
    return Particles(SWEEPS[request.param], lanes=8)


@pytest.mark.ci
def test_particles_with_the_words_of_seeds_are_those_seeds(particles):
    kernel = build_kernel(particles.sweep, lanes=8)
    expected = kernel(SEEDS)
    found = particles.evidence(particles.words_of(SEEDS), SEEDS)
    assert found.keys() == expected.keys()
    # Up to rounding: with its words given, a start is another program.
    assert all(np.allclose(found[n], expected[n], rtol=1e-4, atol=1e-6) for n in expected)


def test_training_in_stretches_gives_the_same_bits(particles):
    words = particles.words_of(SEEDS)
    state = particles.begin(words, SEEDS)
    for first, last in ((0, 20), (20, 60)):
        state, evidence = particles.advance(state, SEEDS, first=first, last=last)
    whole = particles.evidence(words, SEEDS)
    assert all((evidence[name] == whole[name][:, -1]).all() for name in whole)


def test_words_are_what_seeds_draw_at_their_start_and_their_parents(particles):
    (kind,) = (kind for kind, sweep in SWEEPS.items() if sweep == particles.sweep)
    assert particles.num_words == WORDS[kind]


def test_a_start_that_is_the_same_for_all_seeds_has_no_words():
    sweep = NOISY.replace(vary="data")
    assert Particles(sweep, lanes=8).num_words == 0


def test_other_seeds_draw_other_data():
    particles = Particles(NOISY, lanes=8)
    words = particles.words_of(SEEDS)
    one, other = (particles.evidence(words, SEEDS + np.uint64(n)) for n in (0, 1))
    assert (one["x"][:, 0] == other["x"][:, 0]).all()
    assert (one["x"][:, -1] != other["x"][:, -1]).all()
