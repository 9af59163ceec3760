"""Backends: which there are, which train a sweep here, and what is said where one cannot."""

import jax
import numpy as np
import pytest

from basin_jax import Sweep, build_kernel
from basin_jax.core.trial import inputs_of, signature_of
from basin_jax.engine.backends import (
    BACKENDS,
    CPU,
    CUDA,
    TURN,
    XLA,
    backends_for,
    native_backend,
    step_of,
)
from basin_jax.methods import Gradient
from basin_jax.organisms import DoubleWell


SWEEP = Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.1), num_steps=3)


class Device:
    platform = "tpu"


class Card:
    platform = "gpu"


def test_a_backend_is_known_by_its_name():
    assert list(BACKENDS) == ["cpu", "cuda", "xla"]
    assert native_backend() is CPU
    assert backends_for(SWEEP) == (CPU, XLA)
    assert build_kernel(SWEEP, lanes=4).backend is CPU
    with pytest.raises(ValueError, match="backend = 'simd'; allowed: cpu, cuda, xla"):
        build_kernel(SWEEP, lanes=4, backend="simd")


@pytest.mark.parametrize("backend", [CPU, XLA], ids=lambda backend: backend.name)
def test_every_backend_compiles_one_seeds_step_to_one_of_blocks(backend):
    sweep = SWEEP.replace(organism=DoubleWell(tilt=0.0))
    advance = jax.jit(backend.compile(*step_of(signature_of(sweep))))
    x = np.linspace(-1.5, 1.5, 5, dtype=np.float32)
    fixed = [inputs_of(sweep, np.arange(5)).hyperparameters, np.zeros((5, 2), np.uint32)]
    (after,) = advance(np.zeros(5, np.int32), 2, fixed, [x])
    for _ in range(2):
        x -= np.float32(0.1) * (x**3 - x)
    assert np.allclose(after, x, atol=1e-6)


def counting(number, fixed, state):
    """Sum the numbers of the steps, in an order that shows."""
    return [state[0] * 3 + number]


@pytest.mark.parametrize("count", [0, 5, TURN, 2 * TURN + 3])
def test_on_a_gpu_xla_takes_steps_in_turns_whose_end_no_host_decides(count, monkeypatch):
    shapes = [], [jax.ShapeDtypeStruct((), np.int32)]
    plain = XLA.compile(counting, *shapes)
    monkeypatch.setattr(jax, "local_devices", lambda: [Card()])
    turns = XLA.compile(counting, *shapes)
    given = np.array([0, 7], np.int32), np.int32(count), [], [np.array([1, 2], np.int32)]
    (found,), (expected,) = (steps(*given) for steps in (turns, plain))
    assert np.array_equal(found, expected)
    # A loop of unknown length is a `while`; each turn of it waits for the host.
    loops = [eqn for eqn in jax.make_jaxpr(turns)(*given).eqns if eqn.primitive.name == "while"]
    inside = [{e.primitive.name for e in loop.params["body_jaxpr"].eqns} for loop in loops]
    assert ["scan" in names for names in inside] == [True, False]


def test_where_no_backend_is_made_for_the_devices_xla_trains(monkeypatch):
    monkeypatch.setattr(jax, "local_devices", lambda: [Device()])
    assert native_backend() is XLA
    assert backends_for(SWEEP) == (XLA,)
    signature = signature_of(SWEEP)
    assert [b.why_not(signature) for b in (CPU, CUDA, XLA)] == [*["these devices"] * 2, None]
