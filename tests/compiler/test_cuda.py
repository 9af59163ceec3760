"""Steps in a GPU's thread blocks: emulated against XLA, compiled for a GPU, and refused."""

import re
import sys
from dataclasses import replace

import folders
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from operations import (
    ARRAYS,
    BINARY,
    MATRICES,
    NUMBERS,
    POINTWISE,
    PROGRAMS,
    TOGETHER,
    WORDS,
    all_at_once,
)

from basin_jax import Sweep, build_kernel, run
from basin_jax.bench.cases import Quadrant
from basin_jax.compiler.cuda import build
from basin_jax.compiler.cuda.build import compile_steps
from basin_jax.compiler.cuda.nvrtc import Binary
from basin_jax.compiler.cuda.program import most_memory
from basin_jax.compiler.xla_ffi import operation, steps_of
from basin_jax.core.sweep import Precision
from basin_jax.core.trial import numerics, signature_of
from basin_jax.engine.backends import BACKENDS, CUDA, step_of
from basin_jax.methods import EarlyStopping, Gradient
from basin_jax.networks import MLP
from basin_jax.organisms import Audit, Gate
from basin_jax.results.store import StoreError


SEEDS = 3


def all_in_threads(functions, *arrays):
    """Yield functions, what a step in threads that computes all gives of each, and vmap."""
    return all_at_once(compile_steps, functions, *(array[:SEEDS] for array in arrays))


def test_functions_of_numbers():
    for function, found, expected in all_in_threads(POINTWISE, NUMBERS):
        name = function.__name__
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7, err_msg=name)


def test_functions_of_two_numbers():
    for function, found, expected in all_in_threads(BINARY, NUMBERS, NUMBERS[::-1]):
        np.testing.assert_allclose(found, expected, rtol=1e-6, err_msg=function.__name__)


@pytest.mark.ci
def test_functions_of_arrays():
    each = all_in_threads(list(ARRAYS.values()), MATRICES)
    for name, (_, found, expected) in zip(ARRAYS, each, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5, err_msg=name)


# Programs of loops; what else they emit the CPU's tests have compiled.
@pytest.mark.parametrize(
    "first",
    [
        pytest.param(first, marks=pytest.mark.slow if first else pytest.mark.ci)
        for first in range(0, len(PROGRAMS), TOGETHER)
    ],
)
def test_programs(first):
    some = dict(list(PROGRAMS.items())[first : first + TOGETHER])
    each = all_in_threads(list(some.values()), MATRICES)
    for name, (_, found, expected) in zip(some, each, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5, err_msg=name)


def test_random_numbers_have_the_same_bits():
    def draws(words):
        key = jax.random.wrap_key_data(words, impl="threefry2x32")
        chosen = jnp.where(words[0] > words[1], jax.random.fold_in(key, 7), key)
        bits = jax.random.bits(chosen, (33,))
        bits = jnp.concatenate([bits, jax.random.key_data(chosen)])
        return jnp.concatenate([bits >> 16, bits & 0xFFFF])

    with jax.threefry_partitionable(True):
        ((_, found, expected),) = all_in_threads([draws], WORDS)
    assert np.array_equal(found, expected)


SHAPES = [
    (64, 64, 64),
    (128, 7, 32),
    (16, 24, 48),
    (1, 40, 3),
    (33, 17, 5),
    (64, 1, 64),
    (3, 4, 90),
]
TURNED = [
    lambda a, b: a @ b,
    lambda a, b: jnp.einsum("km,kn->mn", a.T, b),
    lambda a, b: jnp.einsum("mk,nk->nm", a, b.T),
    lambda a, b: (a * 2)[:, ::-1] @ b,
]


@pytest.mark.ci
@pytest.mark.parametrize(
    ("precision", "error"),
    [("float32", 1e-6), ("tensorfloat32", 5e-4), ("bfloat16", 5e-3)],
)
def test_products(precision, error):
    random = np.random.default_rng(0)
    factors = [
        random.normal(size=(SEEDS, *size)).astype(np.float32)
        for m, k, n in SHAPES
        for size in ((m, k), (k, n))
    ]
    worst = []
    for product in TURNED:
        functions = [
            lambda *all, i=i, product=product: product(all[2 * i], all[2 * i + 1])
            for i in range(len(SHAPES))
        ]
        with jax.default_matmul_precision(precision):
            found = [ours for _, ours, _ in all_in_threads(functions, *factors)]
        exact = jax.vmap(lambda *given: [f(*given) for f in functions])(*factors)  # noqa: B023
        worst += [
            np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)
            for ours, theirs in zip(found, exact, strict=True)
        ]
    assert max(worst) < error
    # Rounded factors show: tensor cores were in use.
    assert (max(worst) > 1e-5) == (precision != "float32")


def mlp(width: int, batch: int, method: Gradient) -> Sweep:
    organism = Quadrant(batch=batch, network=MLP(widths=(width, width)))
    return Sweep(organism=organism, method=method, num_steps=6)


# By fragments; the last two, which have no batch or a loop inside a step, by loops.
TRIALS = {
    "sgd": mlp(8, 31, Gradient(learning_rate=0.1)),
    "momentum": mlp(
        20, 17, Gradient(optimizer="sgd", learning_rate=0.1, options={"momentum": 0.9})
    ),
    "adam": mlp(32, 33, Gradient(optimizer="adam", learning_rate=1e-2)),
    "audit": Sweep(organism=Audit(difficulty=2), method=Gradient(learning_rate=0.1), num_steps=6),
    "noise": Sweep(
        organism=Gate(), method=Gradient(learning_rate=0.05, noise=0.1, l2=0.1), num_steps=20
    ),
    "stopping": Sweep(
        organism=Gate(),
        method=EarlyStopping(method=Gradient(learning_rate=0.3), check_every=5, still=1e-2),
        num_steps=40,
    ),
}
LOOPS = {
    "noise": "loops, since no gradient that sums over a batch",
    "stopping": "loops, since a loop inside a step",
}
ERRORS: dict[Precision, float] = {"float32": 1e-5, "tf32": 2e-2, "bf16": 1e-1}


def evidence(sweep: Sweep, backend) -> dict[str, np.ndarray]:
    return build_kernel(sweep, lanes=4, backend=backend)(np.arange(6, dtype=np.uint64))


# What `sgd` does `adam` does, too.
@pytest.mark.ci
@pytest.mark.parametrize(
    ("name", "precision"),
    [
        pytest.param("sgd", "float32", marks=pytest.mark.slow),
        pytest.param("momentum", "bf16", marks=pytest.mark.slow),
        pytest.param("adam", "tf32", marks=pytest.mark.slow),
        ("audit", "float32"),
        *[(name, "float32") for name in LOOPS],
    ],
)
def test_trials_are_those_of_xla_and_no_barrier_is_missing(name, precision, monkeypatch):
    sweep = TRIALS[name].replace(precision=precision)
    assert CUDA.steps(signature_of(sweep)).kernel == LOOPS.get(name, "fragments")
    found, expected = evidence(sweep, "cuda"), evidence(TRIALS[name], "xla")
    for key, values in expected.items():
        error = ERRORS[precision]
        np.testing.assert_allclose(found[key], values, rtol=error, atol=error / 10, err_msg=key)
    # Threads that run in the reverse order between barriers change nothing.
    monkeypatch.setenv("BASIN_JAX_BACKWARDS", "1")
    turned = evidence(sweep, "cuda")
    assert all(np.array_equal(turned[key], values) for key, values in found.items())


def test_a_seed_alone_has_the_same_bits():
    kernel = build_kernel(TRIALS["noise"], lanes=4, backend="cuda")
    together = kernel(np.arange(6, dtype=np.uint64))
    alone = kernel(np.array([4], np.uint64))
    assert all(np.array_equal(alone[key][0], values[4]) for key, values in together.items())


@pytest.mark.ci
@pytest.mark.skipif(sys.platform != "linux", reason="NVRTC is installed on Linux only")
@pytest.mark.parametrize("name", LOOPS)
def test_loops_compile_for_a_gpu_that_is_not_here(name):
    with numerics("float32"):
        inputs, states, program = build.emitted(*step_of(signature_of(TRIALS[name])), "sm_90a")
        binary = build.compiled(program, inputs, states, "sm_90a")
    assert binary.image.startswith(b"\x7fELF")
    # What does not fit into a thread's registers goes to memory and back: here up to 76 bytes.
    assert binary.spilled <= 128


@pytest.mark.skipif(sys.platform != "linux", reason="NVRTC is installed on Linux only")
def test_the_launcher_compiles_and_fails_with_the_reason_where_there_is_no_gpu():
    def step(number, fixed, state):
        return [state[0] + 1]

    shapes = [jax.ShapeDtypeStruct((4,), jnp.float32)]
    inputs, states, program = build.emitted(step, [], shapes, "sm_90")
    binary = build.compiled(program, inputs, states, "sm_90")
    name = operation(build.launcher(program, inputs, states, binary), (build.LAUNCH,))
    numbers, zeros = jnp.zeros(2, jnp.int32), [jnp.zeros((2, 4), jnp.float32)]
    with pytest.raises(
        jax.errors.JaxRuntimeError, match=r"GPU context is not available|driver of CUDA"
    ):
        jax.block_until_ready(steps_of(name)(numbers, jnp.int32(1), [], zeros))


class Card:
    """A GPU that is not here."""

    platform, compute_capability = "gpu", "9.0"


def of_noise():
    return step_of(signature_of(TRIALS["noise"]))


def test_a_fault_of_fragments_leaves_loops_and_is_told(monkeypatch):
    def emit(*graph, most):
        raise KeyError(object())  # whose text is another in each process

    monkeypatch.setattr(build.fragments, "emit", emit)
    with numerics("float32"):
        program = build.emitted(*of_noise(), "sm_90")[-1]
    told = r"loops, since fragments have a fault: KeyError at test_cuda.py:\d+"
    assert re.fullmatch(told, program.kernel)


def test_what_nvrtc_refuses_by_fragments_is_compiled_by_loops(monkeypatch):
    compiled, named = [], []

    def refusing(program, *rest):
        compiled.append(program.kernel)
        if program.kernel == "fragments":
            raise build.ir.Unsupported("NVRTC refuses the program: too many registers")
        return Binary(image=b"", ptx="", log="Used 128 registers, 0 bytes spill stores")

    monkeypatch.setattr(build.jax, "local_devices", lambda: [Card()])
    monkeypatch.setattr(build, "compiled", refusing)
    monkeypatch.setattr(build, "launcher", lambda *parts: "")
    monkeypatch.setattr(build, "operation", lambda *parts: named.append(parts) or "steps")
    with numerics("float32"):
        steps = compile_steps(*step_of(signature_of(TRIALS["sgd"])))
    assert compiled == ["fragments", steps.kernel]
    assert steps.kernel == "loops, since NVRTC refuses the program: too many registers"
    # 65,536 registers of a multiprocessor, for blocks of 128 threads with 128 each.
    assert steps.at_once == 4
    assert [parts[-1] for parts in named] == ["CUDA"]


@pytest.mark.ci
def test_a_folder_says_why_a_kernel_is_of_loops(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("basin_jax.engine.backends.native_backend", lambda: CUDA)  # as on a GPU
    records = run(TRIALS["noise"], 8, tmp_path / "noise", lanes=4)
    (plan,) = folders.plans_of(records.manifest)
    assert plan["backend"]["kernel"] == LOOPS["noise"]
    assert f"kernel: {LOOPS['noise']}" in capsys.readouterr().err
    steps = replace(CUDA.steps(signature_of(TRIALS["noise"])), kernel="fragments")
    monkeypatch.setitem(BACKENDS, "cuda", replace(CUDA, compile=lambda *step: steps))
    with pytest.raises(StoreError, match=r"made with the backend cuda.*fragments"):
        run(TRIALS["noise"], 16, tmp_path / "noise", lanes=4)


WIDE = Sweep(
    organism=Audit(network=MLP(widths=(300, 300))),
    method=Gradient(learning_rate=0.1),
    num_steps=2,
)


@pytest.mark.ci
def test_what_does_not_fit_is_refused_and_xla_trains_it(tmp_path, monkeypatch):
    with pytest.raises(
        ValueError, match=r"cuda has no program for a seed that needs \d+ KiB at once"
    ):
        build_kernel(WIDE, lanes=4, backend="cuda")
    monkeypatch.setattr("basin_jax.engine.backends.native_backend", lambda: CUDA)  # as on a GPU
    records = run(WIDE, 8, tmp_path / "wide", lanes=4)
    (plan,) = folders.plans_of(records.manifest)
    assert plan["backend"]["name"] == "xla"
    most = most_memory(build.EMULATED_AS) // 1024
    assert f"a thread block has at most {most}" in plan["backend"]["why"]
