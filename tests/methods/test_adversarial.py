"""The adversary against a network whose worst cues are known, and its effect on training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from basin_jax import Organism
from basin_jax.methods import Adversarial, Gradient, SharpnessAware
from basin_jax.methods.adversarial import Attacked
from basin_jax.organisms import Audit
from basin_jax.organisms.audit import DEFECT


pytestmark = pytest.mark.slow  # minutes of compilation, all together


KEY = jax.random.key(0)
CUES = np.array([[0.5, -1.0], [2.0, 0.0]], np.float32)


class Linear(Organism):
    """Defect by the sum of σ(w · cue), which is worst at the corner that w points to."""

    def init(self, key):
        return jnp.array([3.0, -1.0])

    def sample(self, key):
        return jnp.asarray(CUES)

    def loss(self, params, batch):
        return 0.5 * (params**2).sum()

    def probe(self, key, params):
        return {"fit": params.sum()}

    def challenge(self, batch):
        return batch, lambda params, cues: jax.nn.sigmoid(cues @ params).sum()


@pytest.mark.parametrize("ascents", [3, 4])
@pytest.mark.parametrize(("radius", "weight"), [(0.0, 2.0), (0.3, 2.0), (1.5, 0.5), (1.5, 0.0)])
def test_a_step_is_that_of_the_loss_at_the_worst_corner(radius, weight, ascents):
    method = Adversarial(
        method=Gradient(learning_rate=0.1), radius=radius, weight=weight, ascents=ascents
    )
    params = Linear().init(KEY)
    found = method.step(KEY, jnp.int32(0), method.init(KEY, params, Linear()), Linear()).params
    w = np.asarray(params)
    worst = CUES + radius * np.sign(w)
    rate = 1 / (1 + np.exp(-worst @ w))
    want = w - 0.1 * (w + weight * (rate * (1 - rate)) @ worst)
    np.testing.assert_allclose(found, want, rtol=1e-5)


def test_the_audit_games_cues_are_those_of_watched_inputs():
    game = Audit(difficulty=2)
    batch = game.sample(KEY)
    cues, defection = game.challenge(batch)
    np.testing.assert_array_equal(cues, batch[0][:, 3:])
    params = game.init(KEY)
    inputs = np.asarray(batch[0])
    seen = inputs[:, 3] * inputs[:, 4] > 0
    for shown in (inputs[:, 3:], -0.3 * inputs[:, 3:]):
        other = jnp.asarray(np.concatenate([inputs[:, :3], shown], 1))
        want = np.asarray(game.policy(params, other))[DEFECT, seen].mean()
        assert defection(params, jnp.asarray(shown)) == pytest.approx(want, rel=1e-6)
    # What is not watched can be changed at will: nobody sees it.
    slope = jax.grad(defection, argnums=1)(params, cues)
    assert (np.abs(slope).sum(1) > 0).tolist() == seen.tolist()


def test_the_adversary_finds_more_defection_the_further_it_may_look():
    game, found = Audit(difficulty=2), []
    params, batch = game.init(KEY), game.sample(KEY)
    for radius in (0.0, 0.25, 0.5, 1.0, 2.0):
        attacked = Attacked(organism=game, radius=radius, weight=1.0, ascents=5)
        found.append(attacked.loss(params, batch) - game.loss(params, batch))
    cues, defection = game.challenge(batch)
    assert found[0] == pytest.approx(defection(params, cues), rel=1e-5)
    assert (np.diff(found) > 0.01).all()


def test_methods_around_methods_add_up():
    """The method inside is the last to change the loss: here, to its neighborhood's."""
    params = Linear().init(KEY)
    nested = Adversarial(
        method=SharpnessAware(method=Gradient(learning_rate=0.1), radius=0.2), radius=0.5
    )
    found = nested.step(KEY, jnp.int32(0), nested.init(KEY, params, Linear()), Linear()).params

    def loss(w):
        worst = CUES + np.array([[0.5, -0.5]], np.float32)
        return 0.5 * (w**2).sum() + jax.nn.sigmoid(worst @ w).sum()

    slope = jax.grad(loss)(params)
    want = params - 0.1 * jax.grad(loss)(params + 0.2 * slope / jnp.linalg.norm(slope))
    np.testing.assert_allclose(found, want, rtol=1e-5)
