"""The program of each device: what crosses its border, and networks with nothing to carry."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from basin_jax import Organism, Sweep, build_kernel, trial
from basin_jax.core.trial import abstract_inputs, numerics, signature_of
from basin_jax.engine.backends import XLA
from basin_jax.engine.lanes import shapes_of_lanes
from basin_jax.engine.sharded import Program
from basin_jax.methods import Gradient
from basin_jax.starts import Trained


SEEDS = np.arange(20, dtype=np.uint64)
EMPTY = np.zeros((0, 3), np.float32)


class Narrow(Organism):
    """A network with a layer of no width, which looks at a table without rows."""

    def init(self, key):
        return {"none": jnp.zeros((2, 0)), "x": jax.random.normal(key, (2,), jnp.float32)}

    def sample(self, key):
        return None

    def loss(self, params, batch):
        return (params["x"] ** 2).sum() + (params["none"] ** 2).sum() + jnp.asarray(EMPTY).sum()

    def probe(self, key, params):
        return {"x": params["x"].sum()}


class Nothing(Organism):
    """A network without any parameters."""

    def init(self, key):
        return {}

    def sample(self, key):
        return None

    def loss(self, params, batch):
        return jnp.zeros(())

    def probe(self, key, params):
        return {"x": jax.random.uniform(key, (), jnp.float32)}


def sweep_of(organism: Organism) -> Sweep:
    return Sweep(organism=organism, method=Gradient(learning_rate=0.1), num_steps=5, save_at=(0,))


@pytest.mark.parametrize("organism", [Narrow(), Nothing()], ids=lambda o: type(o).__name__)
def test_no_array_without_elements_enters_or_leaves_a_device(organism, monkeypatch):
    # XLA of JAX 0.11.2 crashes on one, among arguments, results and constants alike.
    monkeypatch.setattr(
        "basin_jax.engine.sharded.OPTIONS", {}
    )  # which JAX takes only outside a trace
    signature, devices = signature_of(sweep_of(organism)), tuple(jax.local_devices())
    with numerics(signature.precision):
        run = Program(signature, XLA, devices)
        stops, queue = abstract_inputs(signature, 16)
        whole = (
            jax.ShapeDtypeStruct((), np.int32),
            queue,
            shapes_of_lanes(signature, 8, 16, signature.num_probes),
        )
        given = jax.tree.map(lambda x: jnp.zeros((len(devices), *x.shape), x.dtype), whole)
        limits = np.int32(1), np.int32(1), np.bool_(True)
        traced = jax.make_jaxpr(run)(jnp.zeros(stops.shape, stops.dtype), limits, *given)
    (call,) = traced.jaxpr.eqns
    (sharded,) = call.params["jaxpr"].jaxpr.eqns
    assert sharded.primitive.name == "shard_map"
    assert all(atom.aval.size for atom in [*sharded.invars, *sharded.outvars])
    assert not all(leaf.size for leaf in jax.tree.leaves(given))


@pytest.mark.ci
@pytest.mark.lowest
@pytest.mark.parametrize("organism", [Narrow(), Nothing()], ids=lambda o: type(o).__name__)
def test_networks_with_nothing_to_carry_are_trained_and_have_children(organism):
    sweep = sweep_of(organism)
    child = sweep.replace(start=Trained(of=sweep), save_at=())
    for one in (sweep, child):
        found = build_kernel(one, lanes=8)(SEEDS)["x"]
        assert found.shape == (len(SEEDS), len(one.stops))
        np.testing.assert_allclose(found[7], trial(one, 7)["x"], rtol=1e-6)
