"""Linearized networks, against linear regression in closed form and against their originals."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from basin_jax import Organism, Sweep
from basin_jax.core.identity import evidence_names
from basin_jax.engine.backends import CPU, XLA, backends_for
from basin_jax.methods import Gradient
from basin_jax.networks import MLP, Linearized, Residual
from basin_jax.organisms import Audit


pytestmark = pytest.mark.slow  # minutes of compilation, all together


KEY = jax.random.key(0)
SMALL = MLP(widths=(5,), activation=jnp.tanh)
INPUTS = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
TARGETS = np.linspace(-1, 1, 6, dtype=np.float32)


class Regression(Organism):
    """Fit six numbers by least squares."""

    network: Any = SMALL

    def init(self, key):
        return nnx.state(self.network(3, 1, rngs=nnx.Rngs(key)))

    def sample(self, key):
        return None

    def loss(self, params, batch):
        return ((self.outputs(params) - TARGETS) ** 2).sum() / 2

    def probe(self, key, params):
        return {"loss": self.loss(params, None)}

    def outputs(self, params):
        graph = nnx.graphdef(nnx.eval_shape(lambda: self.network(3, 1, rngs=nnx.Rngs(KEY))))
        return nnx.merge(graph, params)(jnp.asarray(INPUTS))[:, 0]


PLAIN, LINEAR = Regression(), Regression(network=Linearized(network=SMALL))


def trained(organism, *, rate, steps):
    """Return the outputs before, and after each step."""
    method = Gradient(learning_rate=rate)
    state = method.init(KEY, organism.init(KEY), organism)
    step = jax.jit(lambda state: method.step(KEY, jnp.int32(0), state, organism))
    outputs = [organism.outputs(state.params)]
    for _ in range(steps):
        state = step(state)
        outputs.append(organism.outputs(state.params))
    return np.array(outputs)


def test_training_is_linear_regression_on_the_gradients_at_the_start():
    start, structure = jax.tree.flatten(PLAIN.init(KEY))
    columns = jax.jacobian(lambda leaves: PLAIN.outputs(jax.tree.unflatten(structure, leaves)))
    features = np.concatenate([np.reshape(c, (6, -1)) for c in columns(start)], 1, dtype=float)
    kernel, rate, steps = features @ features.T, 0.02, 40
    begun = np.asarray(PLAIN.outputs(PLAIN.init(KEY)), float)
    shrink = np.eye(6) - rate * kernel
    powers = [np.linalg.matrix_power(shrink, n) @ (begun - TARGETS) for n in range(steps + 1)]
    found = trained(LINEAR, rate=rate, steps=steps)
    np.testing.assert_allclose(found, TARGETS + np.array(powers), atol=2e-5)
    # The network itself leaves that line, or nothing would be tested here.
    assert np.abs(trained(PLAIN, rate=rate, steps=steps) - found).max() > 0.05


def test_it_departs_from_the_network_by_the_square_of_a_step():
    def apart(rate):
        with jax.enable_x64(True):
            full, linear = (trained(o, rate=rate, steps=1)[1] for o in (PLAIN, LINEAR))
        return np.abs(full - linear).max()

    assert apart(1e-3) / apart(5e-4) == pytest.approx(4, rel=0.02)


@pytest.mark.parametrize(
    ("network", "is_linear"), [(MLP(widths=()), True), (MLP(widths=(4,)), False)]
)
def test_it_starts_as_its_network_and_stays_so_where_that_is_linear(network, is_linear):
    plain, linear = Regression(network=network), Regression(network=Linearized(network=network))
    full, held = (trained(organism, rate=0.05, steps=5) for organism in (plain, linear))
    np.testing.assert_allclose(full[0], held[0], rtol=1e-6)
    assert np.allclose(full, held, atol=1e-5) == is_linear


def test_what_its_last_layer_reads_gives_its_outputs():
    module: Any = Linearized(network=MLP(widths=(4, 4)))(3, 2, rngs=nnx.Rngs(KEY))
    moved = jax.tree.map(lambda leaf: leaf + 0.1, nnx.state(module.displacement))
    x = jnp.asarray(INPUTS)
    before = module(x)
    nnx.update(module.displacement, moved)
    assert np.abs(module(x) - before).max() > 0.1
    np.testing.assert_allclose(module.output(module.hidden(x)), module(x), rtol=1e-5)
    bare = Linearized(network=lambda *sizes, rngs: nnx.Linear(*sizes, rngs=rngs))
    assert not hasattr(bare(3, 2, rngs=nnx.Rngs(KEY)), "hidden")


@pytest.mark.parametrize("network", [MLP(widths=(4,)), Residual(width=4, blocks=1)])
def test_it_plays_a_game_with_the_same_evidence_by_the_program_for_vectors(network):
    plain, linear = (
        Sweep(organism=Audit(network=n), method=Gradient(learning_rate=0.1), num_steps=9)
        for n in (network, Linearized(network=network))
    )
    assert backends_for(linear) == (CPU, XLA)
    assert evidence_names(linear) == evidence_names(plain)
