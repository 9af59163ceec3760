"""Kernels by fragments: what stays in registers, barriers, memory, registers, and any organism."""

import functools
import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from basin_jax import Sweep, build_kernel
from basin_jax.bench.cases import CASES, Quadrant
from basin_jax.compiler import ir
from basin_jax.compiler.cuda import build, emitter, fragments
from basin_jax.compiler.cuda.fragments.homes import Classes
from basin_jax.compiler.cuda.fragments.rewrite import simplified
from basin_jax.compiler.cuda.program import Program, blocks_at_once, most_memory
from basin_jax.compiler.lowering import graph_of
from basin_jax.core.trial import numerics, signature_of
from basin_jax.engine.backends import CUDA, step_of
from basin_jax.methods import Gradient, Masked, SharpnessAware
from basin_jax.networks import MLP, Residual
from basin_jax.organisms import (
    AbsentSupervisor,
    Audit,
    Coin,
    Inspection,
    MetaLearner,
    Shortcut,
    Sleeper,
)


EACH = {case.name: case.sweep for cases in CASES.values() for case in cases}
MOST = most_memory("sm_90a")


def program_of(sweep: Sweep, emit=fragments.emit) -> Program:
    signature = signature_of(sweep)
    with numerics(signature.precision):
        return graph_of(*step_of(signature), functools.partial(emit, most=MOST))[-1]


def graph(sweep: Sweep) -> tuple[list[ir.Node], list[ir.Input], list[ir.Node]]:
    with numerics("float32"):
        _, states, results = graph_of(*step_of(signature_of(sweep)), lambda *parts: parts[2])
    results = simplified(results)
    return ir.below(results), states, results


def test_a_batch_is_what_gradients_sum_over():
    nodes, states, results = graph(EACH["audit"])
    classes = Classes(nodes, states, results)
    assert len(classes.batches) == 1
    products = [node for node in nodes if isinstance(node, ir.Product)]
    assert sum(classes.is_gradient(node) for node in products) == 3
    assert sum(classes.layer_side(node) is not None for node in products) == 5
    assert len(products) == 8
    # No weight has an axis of the batch.
    assert not any(classes.rows(state) for state in states)


def test_a_product_with_an_axis_of_one_is_none():
    def step(number, fixed, state):
        (weights,) = state
        inputs = fixed[0]
        slope = inputs.T @ (inputs @ weights - 1)
        return [weights - 0.1 * slope]

    shapes = [jax.ShapeDtypeStruct((16, 8), np.float32)], [jax.ShapeDtypeStruct((8, 1), np.float32)]
    results = graph_of(step, *shapes, lambda *parts: parts[2])[-1]
    assert any(isinstance(node, ir.Product) for node in ir.below(results))
    assert not any(isinstance(node, ir.Product) for node in ir.below(simplified(results)))


@pytest.mark.parametrize("name", EACH)
@pytest.mark.parametrize("precision", ["float32", "tf32", "bf16"])
def test_a_step_of_a_benchmark_has_two_barriers_and_takes_no_more_memory(name, precision):
    sweep = EACH[name].replace(precision=precision)
    ours, loops = program_of(sweep), program_of(sweep, emitter.emit)
    assert ours.barriers == 2
    assert loops.barriers > 20
    assert ours.memory <= loops.memory


def test_what_has_no_batch_or_a_loop_inside_is_refused():
    with pytest.raises(ir.Unsupported, match="no gradient that sums over a batch"):
        program_of(quadrant(MLP(widths=(1,)), 32, SLOPE))


# Registers and bytes spilled of a thread, by NVRTC 13.0, with room for another version's choices.
KNOWN = json.loads(Path(__file__).with_name("registers.json").read_text())
REGISTERS, SPILLED = 16, 96
OFTEN = {
    *(f"audit, tf32, {architecture}" for architecture in ("sm_80", "sm_90a", "sm_100")),
    *("audit, float32, sm_90a", "mlp-64 adam, tf32, sm_90a", "mlp-8 adam, tf32, sm_90a"),
}


@pytest.mark.ci
@pytest.mark.skipif(sys.platform != "linux", reason="NVRTC is installed on Linux only")
@pytest.mark.parametrize(
    "key", [pytest.param(key, marks=[pytest.mark.slow] * (key not in OFTEN)) for key in KNOWN]
)
def test_registers_and_spills_are_those_known(key):
    name, precision, architecture = key.split(", ")
    with numerics(precision):
        step = step_of(signature_of(EACH[name].replace(precision=precision)))
        inputs, states, program = build.emitted(*step, architecture)
        binary = build.compiled(program, inputs, states, architecture)
    known = KNOWN[key]
    assert binary.registers <= known["registers"] + REGISTERS
    assert binary.spilled <= known["spilled"] + SPILLED
    assert blocks_at_once(program, architecture, binary.registers) >= known["seeds"]


def quadrant(network, batch: int, method) -> Sweep:
    return Sweep(organism=Quadrant(batch=batch, network=network), method=method, num_steps=4)


SLOPE = Gradient(learning_rate=0.05)
CLIPPED = optax.chain(optax.clip_by_global_norm(0.1), optax.adam(1e-2))
NESTEROV = {"momentum": 0.9, "nesterov": True}
# Widths and batches that are no multiple of a tile, depths, residual connections, further
# optimizers and noise; sums and products that no tile holds; recurrence.
BATTERY = {
    "one layer": quadrant(MLP(widths=()), 20, SLOPE),
    "width 8, batch 31": quadrant(MLP(widths=(8,)), 31, SLOPE),
    "width 128": quadrant(MLP(widths=(128,)), 16, SLOPE),
    "batch 130": quadrant(MLP(widths=(24, 24)), 130, SLOPE),
    "odd widths": quadrant(MLP(widths=(33, 17)), 7, SLOPE.replace(optimizer="lion")),
    "depth 4": quadrant(
        MLP(widths=(8,) * 4, activation=jax.nn.tanh), 40, SLOPE.replace(optimizer="rmsprop")
    ),
    "residual": quadrant(Residual(width=16, blocks=2), 48, SLOPE.replace(optimizer="adamw")),
    "gelu": quadrant(MLP(widths=(16, 16), activation=jax.nn.gelu), 20, SLOPE),
    "nesterov": quadrant(MLP(widths=(16,)), 20, SLOPE.replace(optimizer="sgd", options=NESTEROV)),
    "noise": quadrant(MLP(widths=(16,)), 33, SLOPE.replace(optimizer="adam", noise=0.1, l2=0.1)),
    "clipped": quadrant(MLP(widths=(16, 16)), 33, Gradient(optimizer=CLIPPED)),
    "sharpness-aware": quadrant(MLP(widths=(16,)), 20, SharpnessAware(radius=0.1, method=SLOPE)),
    "masked": Sweep(organism=Audit(difficulty=2), method=Masked(method=SLOPE), num_steps=4),
    **{
        type(organism).__name__: Sweep(organism=organism, method=SLOPE, num_steps=4)
        for organism in (
            *(AbsentSupervisor(), Coin(), Inspection(), MetaLearner(), Shortcut()),
            Sleeper(),
        )
    },
}
# In CI the one with sums over a batch that are read as arrays, and weights computed in a step.
QUICK = ("sharpness-aware",)


@pytest.mark.ci
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK)) for name in BATTERY],
)
def test_any_step_by_fragments_is_that_of_xla(name, monkeypatch):
    sweep = BATTERY[name]
    assert CUDA.steps(signature_of(sweep)).kernel == "fragments"
    seeds = np.arange(3, dtype=np.uint64)
    found = build_kernel(sweep, lanes=3, backend="cuda")(seeds)
    expected = build_kernel(sweep, lanes=3, backend="xla")(seeds)
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, rtol=1e-4, atol=1e-5, err_msg=key)
    monkeypatch.setenv("BASIN_JAX_BACKWARDS", "1")
    turned = build_kernel(sweep, lanes=3, backend="cuda")(seeds)
    assert all(np.array_equal(turned[key], values) for key, values in found.items())


def turns(number, fixed, state):
    """Train a layer; also change a kernel that is reshaped, and a bias that is read in reverse."""
    weights, kernel, bias = state
    (inputs,) = fixed

    def loss(weights, kernel):
        scale = (kernel.reshape(8, 8) ** 2).sum()
        return ((inputs @ weights + bias[None]) ** 2).mean() + 0.1 * (scale - 1) ** 2

    slopes = jax.grad(loss, (0, 1))(weights, kernel)
    weights, kernel = (w - 0.1 * slope for w, slope in zip((weights, kernel), slopes, strict=True))
    return [weights, kernel, bias - 0.1 * (bias + 2 * bias[::-1])]


@pytest.mark.parametrize("backwards", [False, True])
def test_a_state_that_is_read_elsewhere_is_not_overwritten(backwards, monkeypatch):
    if backwards:
        monkeypatch.setenv("BASIN_JAX_BACKWARDS", "1")
    random, shapes = np.random.default_rng(0), ((8, 64), (2, 4, 8), (64,))
    state = [random.normal(size=(2, *shape)).astype(np.float32) for shape in shapes]
    fixed = [random.normal(size=(2, 32, 8)).astype(np.float32)]
    of_one = [
        [jax.ShapeDtypeStruct(a.shape[1:], a.dtype) for a in arrays] for arrays in (fixed, state)
    ]
    assert (
        graph_of(turns, of_one[0], of_one[1], functools.partial(fragments.emit, most=MOST))[
            -1
        ].barriers
        < 6
    )
    found = build.compile_steps(turns, of_one[0], of_one[1])(
        np.zeros(2, np.int32), jnp.int32(5), fixed, state
    )
    expected = state
    for number in range(5):
        expected = jax.vmap(functools.partial(turns, number))(fixed, expected)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-6)


@pytest.mark.skipif(sys.platform != "linux", reason="NVRTC is installed on Linux only")
def test_sums_of_truth_values_over_lanes_compile_for_a_gpu():
    def step(number, fixed, state):
        (weights,) = state
        inputs = fixed[0]
        outputs = inputs @ weights
        some = (outputs > 0).any(1)
        slope = inputs.T @ jnp.where(some[:, None], outputs, 0)
        return [weights - 0.1 * slope * (outputs > 9).any()]

    shapes = (
        [jax.ShapeDtypeStruct((32, 8), np.float32)],
        [jax.ShapeDtypeStruct((8, 16), np.float32)],
    )
    inputs, states, program = build.emitted(step, *shapes, "sm_90a")
    assert program.barriers < 6
    assert build.compiled(program, inputs, states, "sm_90a").image
