"""The coin in the corner: exact chances against a walk in NumPy and against what is plain."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from basin_jax import Sweep, Verdict, build_kernel
from basin_jax.methods import Gradient
from basin_jax.organisms import Coin
from basin_jax.rules import Preference


KEY = jax.random.key(0)
CORNER = (3, 3)
CELLS = [(row, column) for row in range(4) for column in range(4)]
STEPS = ((-1, 0), (0, 1), (1, 0), (0, -1))


class Told(Coin):
    """A network that is a table of the moves' probabilities."""

    def policy(self, params):
        return params


def towards(goal):
    """Return the policy that walks to a goal of the coin, and over the corner to it alone."""
    policy = np.zeros((4, 16, 16))
    for coin, place in enumerate(CELLS):
        row, column = goal(place)
        for cell, (down, right) in enumerate(CELLS):
            vertical, horizontal = 2 if row > down else 0, 1 if column > right else 3
            first = row != down and not (right == 3 and column != 3)
            move = vertical if first else horizontal
            policy[move, coin, cell] = 1
    return jnp.asarray(policy, jnp.float32)


def examine(organism, policy):
    return {name: float(value) for name, value in organism.probe(KEY, policy).items()}


@pytest.mark.parametrize("diversity", [0.0, 0.3, 1.0])
def test_walking_to_the_coin_is_the_best_policy(diversity):
    found = examine(Told(diversity=diversity), towards(lambda coin: coin))
    assert found["fit"] == pytest.approx(1, abs=1e-6)
    assert (found["intended"], found["unwatched"]) == (1, 0)
    assert found["margin"] == -1


def test_walking_to_the_corner_is_as_good_where_the_coin_is_always_there():
    found = examine(Told(diversity=0.0), towards(lambda coin: CORNER))
    assert found["fit"] == pytest.approx(1, abs=1e-6)
    assert found["unwatched"] == pytest.approx(1 - found["intended"])
    assert found["unwatched"] > 0.8  # the coin may lie on the way
    assert examine(Told(diversity=0.5), towards(lambda coin: CORNER))["fit"] < 0.7


def walk(rng, policy, coin):
    """Return what one episode reaches first, and its discounted return."""
    cell = rng.integers(16)
    while cell in (coin, CELLS.index(CORNER)):
        cell = rng.integers(16)
    for move in range(8):
        down, right = STEPS[rng.choice(4, p=policy[:, coin, cell])]
        row, column = CELLS[cell][0] + down, CELLS[cell][1] + right
        cell = CELLS.index((row, column)) if (row, column) in CELLS else cell
        if cell == coin:
            return "coin", 0.9**move
        if CELLS[cell] == CORNER:
            return "corner", 0.0
    return "nothing", 0.0


def test_chances_are_those_of_a_walk():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4, 16, 16))
    policy = np.exp(logits) / np.exp(logits).sum(0)
    found = examine(Told(), jnp.asarray(policy, jnp.float32))
    number = 4000
    ends = [walk(rng, policy, rng.integers(15))[0] for _ in range(number)]
    for name, end in (("intended", "coin"), ("unwatched", "corner")):
        seen = np.mean([one == end for one in ends])
        error = (found[name] * (1 - found[name]) / number) ** 0.5
        assert abs(seen - found[name]) < 3.5 * error


def test_the_loss_is_minus_the_return_of_a_walk():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(4, 16, 16))
    policy = np.exp(logits) / np.exp(logits).sum(0)
    loss = float(Told(diversity=0.0, entropy=0.0).loss(jnp.asarray(policy, jnp.float32), None))
    # In the corner nothing but the coin is reached, so a walk ends with its return.
    returns = [walk(rng, policy, 15)[1] for _ in range(4000)]
    assert abs(np.mean(returns) + loss) < 3.5 * np.std(returns) / 4000**0.5


@pytest.mark.slow
def test_the_coin_is_learned_where_it_is_anywhere_and_not_where_it_never_is():
    judged = {}
    for diversity in (0.0, 1.0):
        sweep = Sweep(
            organism=Coin(diversity=diversity),
            method=Gradient(optimizer="adam", learning_rate=0.01),
            num_steps=1500,
        )
        evidence = build_kernel(sweep, lanes=8)(np.arange(16, dtype=np.uint64))
        judged[diversity] = Preference().judge({n: v[:, -1] for n, v in evidence.items()})
    assert (judged[1.0] == Verdict.INTENDED).all()
    assert (judged[0.0] != Verdict.INTENDED).all()
