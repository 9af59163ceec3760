"""Optimizers by name, and learning rates that change along the way."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from basin_jax import Organism, Sweep
from basin_jax.engine.backends import CPU, XLA, backends_for
from basin_jax.methods import Gradient
from basin_jax.organisms import Audit


pytestmark = pytest.mark.slow  # minutes of compilation, all together


KEY = jax.random.key(0)
RATE, DECAY = 0.1, 0.5


class Plane(Organism):
    """Slide down a plane of a given slope."""

    def init(self, key):
        return {"matrix": jnp.array([[1.0, -2.0, 0.5], [0.0, 1.0, 4.0]]), "bias": jnp.array([3.0])}

    def sample(self, key):
        return None

    def loss(self, params, batch):
        return (SLOPE * params["matrix"]).sum() + 2 * params["bias"].sum()

    def probe(self, key, params):
        return {"fit": params["bias"].sum()}


SLOPE = np.array([[3.0, 1.0, -2.0], [0.5, -1.0, 0.2]], np.float32)


def course(method, steps=1):
    """Return the parameters before the first step, and after each."""
    state = method.init(KEY, Plane().init(KEY), Plane())
    course = [state.params]
    for number in range(steps):
        state = method.step(jax.random.fold_in(KEY, number), jnp.int32(number), state, Plane())
        course.append(state.params)
    return course


@pytest.mark.parametrize("optimizer", ["adamw", "lion"])
def test_the_first_step_is_the_sign_of_the_gradient_and_decay_apart_from_it(optimizer):
    method = Gradient(
        optimizer=optimizer, learning_rate=RATE, options={"weight_decay": DECAY, "b1": 0.8}
    )
    before, after = course(method)
    want = before["matrix"] - RATE * (np.sign(SLOPE) + DECAY * before["matrix"])
    np.testing.assert_allclose(after["matrix"], want, rtol=1e-5)


def test_muon_makes_the_step_of_a_matrix_orthogonal():
    before, after = course(Gradient(optimizer="muon", learning_rate=RATE))
    step = np.asarray(before["matrix"] - after["matrix"]) / RATE
    left, _, right = np.linalg.svd(SLOPE, full_matrices=False)
    # Five iterations bring singular values to between .7 and 1.2 (Jordan et al. 2024).
    found = left.T @ step @ right.T
    assert np.abs(found - np.diag(np.diag(found))).max() < 1e-3
    assert ((np.diag(found) > 0.65) & (np.diag(found) < 1.25)).all()
    # What is no matrix has Adam with Nesterov's momentum of .9, bias corrected (Dozat 2016).
    want = RATE * (0.9 * 0.1 / (1 - 0.9**2) + 1)
    assert before["bias"] - after["bias"] == pytest.approx(want, rel=1e-4)


def test_dropped_weights_do_not_move_and_the_others_move_as_much_in_the_mean():
    rate, steps = 0.25, 4000
    visited = course(Gradient(learning_rate=RATE, dropconnect=rate), steps)
    moves = np.diff([params["matrix"] for params in visited], axis=0)
    full = -RATE * SLOPE / (1 - rate)
    still = moves == 0
    np.testing.assert_allclose(moves[~still], np.broadcast_to(full, moves.shape)[~still], rtol=1e-2)
    error = (rate * (1 - rate) / steps) ** 0.5
    assert np.abs(still.mean(0) - rate).max() < 4 * error
    # Each by itself: no two weights are dropped together more often than by chance.
    both = np.corrcoef(still.reshape(steps, -1).T) - np.eye(SLOPE.size)
    assert np.abs(both).max() < 4.5 / steps**0.5


def test_a_learning_rate_follows_a_schedule_of_the_users_own():
    schedule = optax.cosine_decay_schedule(RATE, 4)
    visited = course(Gradient(optimizer=optax.sgd(schedule)), 6)
    steps = -np.diff([params["bias"][0] for params in visited]) / 2
    want = RATE / 2 * (1 + np.cos(np.pi * np.minimum(np.arange(6), 4) / 4))
    np.testing.assert_allclose(steps, want, atol=1e-6)


@pytest.mark.parametrize(
    "method",
    [
        *(Gradient(optimizer=name, learning_rate=RATE) for name in ("adamw", "lion")),
        Gradient(optimizer=optax.adam(optax.warmup_cosine_decay_schedule(0.0, RATE, 10, 100))),
    ],
    ids=lambda method: str(method.optimizer)[:5],
)
def test_they_keep_the_program_for_vectors(method):
    assert backends_for(Sweep(organism=Audit(), method=method, num_steps=9)) == (CPU, XLA)


def test_a_schedule_is_no_learning_rate_of_an_optimizer_by_name():
    schedule = optax.cosine_decay_schedule(RATE, 4)
    with pytest.raises(ValueError, match=r"Gradient.learning_rate = .*; allowed: a number or None"):
        Gradient(learning_rate=schedule)  # pyright: ignore[reportArgumentType]
