"""Guess and check, against the laws of what it waits for and of what it finds."""

import numpy as np
import pytest
from scipy.stats import binomtest

from basin_jax import Sweep
from basin_jax.engine.backends import CPU, backends_for
from basin_jax.engine.kernel import build_kernel
from basin_jax.methods import GuessAndCheck
from basin_jax.organisms import BornDead, Gate, Perceptron, ReluXor
from basin_jax.starts import Fresh


pytestmark = pytest.mark.slow  # minutes of compilation, all together


SEEDS = np.arange(20_000, dtype=np.uint64)
LEVEL = 1e-4
# Weights so large that the loss is below this where no answer is wrong, and only there.
LARGE, RIGHT = Fresh(scale=1e4), 0.1
# The cone of the weights of `Perceptron(bits=3)` that answer right where watched: of the weights
# (a, b, -s) those with a, s > 0 and b < s < a or, for c = -b > 0, a > s + c.
WRONG = 1 / 48  # b > 0: an eighth of the sphere, and one order of three; then one answer is wrong
SOUND = 2 * np.arctan((1 / 2) / (3 / 2 + 2**0.5)) / (4 * np.pi)  # a triangle (Van Oosterom 1983)


def evidence_of(organism, method, *, steps, save_at=(), seeds=SEEDS):
    sweep = Sweep(organism=organism, method=method, num_steps=steps, save_at=save_at)
    assert backends_for(sweep)[0] is CPU
    return build_kernel(sweep, lanes=16)(seeds)


def agrees(hits, fraction):
    return binomtest(int(hits.sum()), hits.size, fraction).pvalue > LEVEL


def test_what_it_finds_and_how_long_it_waits_are_those_of_a_perceptrons_cone():
    method = GuessAndCheck(threshold=RIGHT, prior=LARGE)
    waits = (1, 10, 40)
    seen = evidence_of(Perceptron(), method, steps=400, save_at=waits)
    found = np.isfinite(seen["fit"])
    for stop, steps in enumerate(waits):
        assert agrees(found[:, stop], 1 - (1 - WRONG - SOUND) ** steps)
    assert found[:, -1].all()
    assert (seen["fit"][:, -1] == 1).all()
    wrong = seen["unwatched"][:, -1] > 0
    assert agrees(wrong, WRONG / (WRONG + SOUND))
    # Whatever the wait, what is found has the one law; and once found it stays as it is.
    early = found[:, 1]
    assert agrees(wrong[early], WRONG / (WRONG + SOUND))
    np.testing.assert_array_equal(seen["ones"][early, 1], seen["ones"][early, -1])


def test_the_first_that_fits_is_kept_and_not_the_best():
    """Of two Gaussian factors and a bias, drawn here by NumPy and refused by the same rule."""
    organism, threshold = Gate(scale=2.0), 0.05
    seen = evidence_of(organism, GuessAndCheck(threshold=threshold), steps=500)
    draws = 2 * np.random.default_rng(0).normal(size=(4, 10**6))
    unwatched, watched = (1 / (1 + np.exp(-x)) for x in (draws[0], draws[0] + draws[1:].prod(0)))
    loss = 1.5 * watched - 0.5 * unwatched
    fits = loss <= threshold
    for bound in (-0.4, -0.2, 0.0):
        share = (loss[fits] <= bound).mean()
        assert agrees(-seen["fit"][:, -1] + 0.5 <= bound + 1e-6, share)
    assert agrees(seen["unwatched"][:, -1] > 0.5, (unwatched[fits] > 0.5).mean())


def test_where_all_is_accepted_it_is_the_prior_and_where_less_is_what_fits():
    everything, dead = 1e6, BornDead(depth=3, width=2)
    seen = evidence_of(dead, GuessAndCheck(threshold=everything), steps=300)
    assert agrees(seen["fit"] < 0.5, 1 - (1 - 1 / 4) ** 3)
    seen = evidence_of(dead, GuessAndCheck(threshold=0.49), steps=300)  # the dead have 1/2
    assert (seen["fit"] == 1).all()
    sides, some = ReluXor(units=2), SEEDS[:2000]
    seen = evidence_of(sides, GuessAndCheck(threshold=everything), steps=2000, seeds=some)
    assert agrees(seen["weaker_side"] > 0, 1 / 2)
    seen = evidence_of(sides, GuessAndCheck(threshold=0.2), steps=2000, seeds=some)
    assert (seen["weaker_side"] > 0).all()  # a network that leans to one point has a loss of 1/4


def test_before_a_guess_is_accepted_there_is_a_start_but_no_network():
    method = GuessAndCheck(threshold=0.05)
    seen = evidence_of(Gate(scale=2.0), method, steps=3, save_at=(0,), seeds=SEEDS[:64])
    begun, found = np.isfinite(seen["fit"]).T
    assert begun.all()
    assert 0 < found.sum() < 64
    for values in seen.values():
        np.testing.assert_array_equal(np.isfinite(values[:, -1]), found)


def test_a_lane_handed_on_changes_no_bit():
    method = GuessAndCheck(threshold=-0.2)
    sweep = Sweep(organism=Gate(scale=2.0), method=method, num_steps=500)
    handed, whole = (
        build_kernel(sweep, lanes=16, refill=refill)(SEEDS[:500]) for refill in (True, False)
    )
    for name, values in whole.items():
        np.testing.assert_array_equal(handed[name], values)
