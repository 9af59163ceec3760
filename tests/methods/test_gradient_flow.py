"""Flows whose solutions are known."""

import jax.numpy as jnp
import numpy as np
import pytest

from basin_jax import Organism, Sweep, build_kernel
from basin_jax.engine.backends import CPU, XLA, backends_for
from basin_jax.methods import Gradient, GradientFlow
from basin_jax.organisms import DoubleWell, TicketRace


pytestmark = pytest.mark.slow  # minutes of compilation, all together


SEEDS = np.arange(2000, dtype=np.uint64)
RATES = np.array([0.5, 1.0, 400.0], np.float32)  # stiff: a step of descent has to be below 1/200


class Decay(Organism):
    """Decay at several rates, or grow, from 1: dx/dt = ∓ rate · x^(power - 1)."""

    power: float = 2.0
    sign: float = 1.0

    def init(self, key):
        return jnp.ones(3)

    def sample(self, key):
        return None

    def loss(self, params, batch):
        return self.sign * (RATES * params**self.power / self.power).sum()

    def probe(self, key, params):
        return {f"x{i}": params[i] for i in range(3)}


def ends(organism, method, steps, seeds=SEEDS[:1], lanes=1):
    sweep = Sweep(organism=organism, method=method, num_steps=steps, save_at=(0,))
    return build_kernel(sweep, lanes=lanes)(seeds)


@pytest.mark.parametrize("tolerance", [1e-3, 1e-5])
@pytest.mark.parametrize(("duration", "steps"), [(2.0, 1), (0.5, 4)])
@pytest.mark.parametrize("power", [2.0, 4.0])
def test_a_decay_is_as_exact_as_was_asked_for_whatever_the_steps(power, duration, steps, tolerance):
    method = GradientFlow(duration=duration, tolerance=tolerance)
    found, time = ends(Decay(power=power), method, steps), 2.0
    exact = np.exp(-RATES * time) if power == 2 else (1 + 2 * RATES * time) ** -0.5
    for i, want in enumerate(exact):
        assert found[f"x{i}"][0, -1] == pytest.approx(want, abs=2 * tolerance)


def test_what_goes_off_to_infinity_diverges_and_ends():
    # dx/dt = rate · x³ is infinite at the time 1 / (2 rate).
    found = ends(Decay(power=4.0, sign=-1.0), GradientFlow(duration=2.0), 2)
    assert np.isnan(found["x0"][0, -1])


def test_paths_of_two_factors_keep_their_shares():
    race = TicketRace(depth=2, deceptive=2, honest=3, scale=0.3)
    share = ends(race, GradientFlow(duration=5.0), 4, SEEDS[:200], lanes=8)["share"]
    np.testing.assert_allclose(share[:, 1], share[:, 0], atol=2e-3)


@pytest.mark.parametrize("tilt", [0.0, 0.2])
def test_a_particle_ends_on_the_side_of_the_separatrix_on_which_it_began(tilt):
    found = ends(DoubleWell(tilt=tilt), GradientFlow(duration=10.0), 2, SEEDS, lanes=8)
    begun, ended = (found["margin"] > 0).T
    np.testing.assert_array_equal(begun, ended)
    # Far from it, the flow has arrived: short steps are no standstill.
    away = np.abs(found["margin"][:, 0]) > 0.01
    slope = found["x"][:, 1] ** 3 - found["x"][:, 1] - tilt
    assert np.abs(slope[away]).max() < 1e-3


def test_short_steps_of_descent_tend_to_it():
    organism = TicketRace(depth=3, scale=0.5)
    want = ends(organism, GradientFlow(duration=10.0, tolerance=1e-6), 1, SEEDS[:50], lanes=8)
    errors = [
        np.abs(ends(organism, descent, steps, SEEDS[:50], lanes=8)["fit"] - want["fit"])[:, -1]
        for descent, steps in (
            (Gradient(learning_rate=0.02), 500),
            (Gradient(learning_rate=0.005), 2000),
        )
    ]
    assert errors[1].mean() == pytest.approx(errors[0].mean() / 4, rel=0.2)
    assert errors[1].max() < 0.01


def test_it_keeps_the_program_for_vectors():
    sweep = Sweep(organism=TicketRace(), method=GradientFlow(duration=1.0), num_steps=2)
    assert backends_for(sweep) == (CPU, XLA)
