"""What is said of a user's own plug-ins that break their contract, before anything is trained."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from basin_jax import Method, Sweep, run
from basin_jax.cli.template import SignDescent, State, Tilted
from basin_jax.engine.preflight import examine
from basin_jax.methods import Gradient
from basin_jax.organisms import Audit


COUNTER = itertools.count()
DESCENT = Gradient(learning_rate=0.1)


class Sound(Tilted):
    """The template's, as a user's own."""


class Vector(Tilted):
    def loss(self, params, batch):
        return (params["w"] * batch - batch) ** 2


class Steep(Tilted):
    def loss(self, params, batch):
        return jnp.sqrt(params["w"] ** 2) + jnp.mean(batch)


class Counting(Tilted):
    def probe(self, key, params):
        return super().probe(key, params) | {"count": jnp.float32(next(COUNTER))}


class Drawing(Tilted):
    def loss(self, params, batch):
        return super().loss(params, batch) + np.random.default_rng().normal()


class Undefined(Tilted):
    def probe(self, key, params):
        return super().probe(key, params) | {"ratio": params["w"] / params["w"]}


class Lost(Tilted):
    def init(self, key):
        return super().init(key) | {"w": jnp.log(-jnp.ones(()))}


class Wide(Tilted):
    def probe(self, key, params):
        return super().probe(key, params) | {"x": jnp.zeros(3)}


class Throwing(Method):
    def init(self, key, params, organism):
        return State(params)

    def step(self, key, step, state, organism):
        return State({name: value / 0.0 * 0.0 for name, value in state.params.items()})


BROKEN = [
    (Vector(), DESCENT, r"Vector\.loss gives an array of shape \(32,\); allowed: a scalar"),
    (Steep(), DESCENT, r"seeds 0 to 3: Steep\.loss has a gradient that is not finite at the start"),
    (Counting(), DESCENT, r"Counting\.probe .* hangs on something global"),
    (Drawing(), DESCENT, r"Drawing\.loss .* hangs on something global"),
    (Undefined(), DESCENT, r"Undefined\.probe gives ratio that is not finite at the start"),
    (Lost(), DESCENT, r"Fresh gives Lost parameters that are not finite"),
    (Wide(), DESCENT, r"Wide\.probe gives 'x' of shape \(3,\); allowed: scalars"),
    (Sound(), Throwing(), r"Sound\.loss has a finite gradient, so Throwing fails"),
]


@pytest.mark.ci
@pytest.mark.parametrize(("organism", "method", "said"), BROKEN, ids=lambda x: type(x).__name__)
def test_a_broken_contract_is_named_and_nothing_is_written(organism, method, said, tmp_path):
    sweep = Sweep(organism=organism, method=method, num_steps=5)
    with pytest.raises(ValueError, match=said):
        run(sweep, 8, tmp_path / "broken")
    assert not (tmp_path / "broken").exists()


def test_what_is_sound_passes():
    examine(Sweep(organism=Sound(), method=SignDescent(), num_steps=5))


def test_the_packages_own_plugins_are_not_tried(monkeypatch):
    monkeypatch.setattr(
        "basin_jax.engine.preflight.expect_pure", lambda organism: pytest.fail("tried")
    )
    examine(Sweep(organism=Audit(), method=DESCENT, num_steps=5))
