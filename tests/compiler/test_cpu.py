"""Steps compiled for the CPU's vectors: each operation against XLA, and what is refused."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from operations import (
    ARRAYS,
    BINARY,
    MATRICES,
    NUMBERS,
    OTHERS,
    POINTWISE,
    PROGRAMS,
    RANDOM,
    SEEDS,
    TOGETHER,
    WORDS,
    all_at_once,
)
from scipy.special import erfinv

from basin_jax import Organism, Sweep, build_kernel
from basin_jax.compiler.cpu.build import compile_steps
from basin_jax.compiler.ir import Unsupported
from basin_jax.compiler.xla_ffi import compiler, programs_folder
from basin_jax.engine.backends import XLA, refusal
from basin_jax.methods import EarlyStopping, Gradient
from basin_jax.organisms import Gate, ReluXor


@pytest.fixture(scope="module", autouse=True)
def _programs_as_users_have_them(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXX", "")
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        compiler.cache_clear()
        programs_folder.cache_clear()
        yield
    compiler.cache_clear()
    programs_folder.cache_clear()


def once(function, *arrays):
    """Return what one step gives that computes a function of some arrays, and what vmap does."""
    arrays = [jnp.asarray(array) for array in arrays]
    shapes = [jax.ShapeDtypeStruct(array.shape[1:], array.dtype) for array in arrays]
    out = jax.eval_shape(function, *shapes)
    steps = compile_steps(lambda number, fixed, state: [function(*fixed)], shapes, [out])
    expected = jax.vmap(function)(*arrays)
    number = jnp.zeros(SEEDS, jnp.int32)
    (found,) = steps(number, jnp.ones((), jnp.int32), arrays, [jnp.zeros_like(expected)])
    return np.asarray(found), np.asarray(expected)


def agree(function, *arrays, rtol=3e-7, atol=0.0):
    found, expected = once(function, *arrays)
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)


@pytest.mark.ci
@pytest.mark.lowest
def test_functions_of_numbers():
    for function, found, expected in all_at_once(compile_steps, POINTWISE, NUMBERS):
        name = function.__name__
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7, err_msg=name)


def test_the_inverse_error_function_in_the_tails():
    middle = np.linspace(-0.9999999, 0.9999999, SEEDS * 40, dtype=np.float32)
    ends = np.float32(1) - np.geomspace(6e-8, 0.1, SEEDS * 40, dtype=np.float32)
    numbers = np.concatenate([middle, ends, -ends]).reshape(SEEDS, -1)
    found, _ = once(jax.lax.erf_inv, numbers)
    np.testing.assert_allclose(found, erfinv(numbers.astype(np.float64)), rtol=1e-6)
    agree(jax.lax.erf_inv, np.array([[1, -1, 0, np.nan]] * SEEDS, np.float32))


@pytest.mark.ci
@pytest.mark.lowest
def test_functions_of_two_numbers():
    for function, found, expected in all_at_once(compile_steps, BINARY, NUMBERS, NUMBERS[::-1]):
        np.testing.assert_allclose(found, expected, rtol=1e-6, err_msg=function.__name__)


@pytest.mark.ci
@pytest.mark.lowest
def test_functions_of_arrays():
    each = all_at_once(compile_steps, list(ARRAYS.values()), MATRICES)
    for name, (_, found, expected) in zip(ARRAYS, each, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.ci
@pytest.mark.parametrize("first", range(0, len(PROGRAMS), TOGETHER))
def test_programs(first):
    some = dict(list(PROGRAMS.items())[first : first + TOGETHER])
    each = all_at_once(compile_steps, list(some.values()), MATRICES)
    for name, (_, found, expected) in zip(some, each, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.slow
@settings(max_examples=12)
@given(
    sizes=st.tuples(*[st.integers(1, 40)] * 3),
    turned=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    shared=st.sampled_from([None, 0, 1]),
)
def test_products_of_any_size(sizes, turned, shared):
    m, n, k = sizes
    shapes = [(k, m) if turned[0] else (m, k), (n, k) if turned[1] else (k, n)]
    pair = [RANDOM.normal(size=(SEEDS, *shape)).astype(np.float32) for shape in shapes]

    def product(a, b):
        a, b = (x[0] if shared == i else x for i, x in enumerate((a, b)))
        out = (a.T if turned[0] else a) @ (b.T if turned[1] else b)
        return out.T if turned[2] else out

    if shared is None:
        agree(product, *pair, rtol=1e-4, atol=1e-4)
    else:
        whole = pair[shared]
        own = pair[1 - shared]
        agree(
            lambda x: product(whole, x) if shared == 0 else product(x, whole),
            own,
            rtol=1e-4,
            atol=1e-4,
        )


CONTRACTIONS = ["ij,jk->ki", "ij,jk->ikj", "ij,ij->", "ij,ij->i", "ij,jk->k"]


@pytest.mark.parametrize("subscripts", CONTRACTIONS)
def test_contractions(subscripts):
    second = OTHERS if "jk" in subscripts else MATRICES[::-1]
    agree(lambda a, b: jnp.einsum(subscripts, a, b), MATRICES, second, rtol=1e-5, atol=1e-5)


def key_of(words):
    return jax.random.wrap_key_data(words)


DRAWS = {
    "normal": lambda w: jax.random.normal(key_of(w), (6, 3)),
    "in eights": lambda w: jax.random.normal(key_of(w), (3, 16)),
    "uniform": lambda w: jax.random.uniform(key_of(w), (6, 3)),
    "split": lambda w: jax.random.uniform(jax.random.split(key_of(w), 3)[1], (4,)),
    "fold": lambda w: jax.random.uniform(jax.random.fold_in(key_of(w), 7)),
    "integers": lambda w: jax.random.randint(key_of(w), (6,), 0, 10).astype(jnp.float32),
    "rows": lambda w: jnp.asarray(OTHERS[0])[jax.random.randint(key_of(w), (6,), 0, 7)],
    "a fixed key": lambda w: jax.random.uniform(jax.random.key(5), (3,)) + w[0],
    "words": lambda w: jax.random.key_data(jax.random.split(key_of(w), 3)) / 2.0**32,
    "a choice": lambda w: jax.random.uniform(
        jnp.where(w[0] > w[1], *jax.random.split(key_of(w))), (3,)
    ),
    "coins": lambda w: jax.random.bernoulli(key_of(w), 0.3, (9,)).astype(jnp.float32),
}


@pytest.mark.ci
@pytest.mark.lowest
def test_draws():
    each = all_at_once(compile_steps, list(DRAWS.values()), WORDS)
    for name, (_, found, expected) in zip(DRAWS, each, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, err_msg=name)


def test_rows_of_a_seeds_own():
    agree(lambda w, b: b[jax.random.randint(key_of(w), (6,), 0, 7)], WORDS, OTHERS)


def printed(a):
    """Prints where no result needs it: in a function that JAX compiles, inside a loop."""

    def turn(i, c):
        jax.jit(lambda c: jax.debug.print("{}", c))(c)
        return c + 1

    return jax.lax.fori_loop(0, 3, turn, a)


REFUSED = {
    "the primitive eigh": lambda a: jnp.linalg.eigh(a @ a.T)[0],
    "numbers of type complex64": lambda a: jnp.abs(jnp.fft.fft(a)),
    "among 1,000,000 elements": lambda a: jnp.sort(jnp.repeat(a[0, :4], 250)),
    "a system of 33 equations; at most 32": lambda a: jnp.linalg.inv(jnp.outer(a, a)[:33, :33]),
    "windows of 20,010,000 elements": lambda a: jax.lax.reduce_window(
        jnp.zeros(12_000).at[0].add(a[0, 0]), 0.0, jax.lax.add, (2_001,), (1,), "VALID"
    ),
    r"a callback to Python \(test_cpu\.py:\d+": printed,
    "a function applied at places": lambda a: a.at[0].apply(jnp.sin),
    "numbers of type float16": lambda a: a.astype(jnp.float16).sum(),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_has_no_program_is_refused_with_the_reason(why):
    with pytest.raises(Unsupported, match=why):
        once(REFUSED[why], MATRICES)


class Decomposed(Organism):
    """Has an operation that only XLA knows."""

    def init(self, key):
        return jax.random.normal(key, (3,), jnp.float32)

    def sample(self, key):
        return None

    def loss(self, params, batch):
        return jnp.linalg.eigh(jnp.outer(params, params))[0].sum()

    def probe(self, key, params):
        return {"x": params.sum()}


def test_xla_trains_what_the_cpu_backend_refuses_and_the_reason_is_told():
    sweep = Sweep(organism=Decomposed(), method=Gradient(learning_rate=0.1), num_steps=3)
    # The line of the user's own loss, not of JAX's own.
    said = r"cpu has no program for the primitive eigh \(test_cpu\.py:\d+:\d+ \(.*loss\)\)"
    assert re.fullmatch(said, refusal(sweep) or "")
    assert build_kernel(sweep, lanes=4).backend is XLA
    with pytest.raises(
        ValueError, match='allowed: "xla", since cpu has no program for the primitive'
    ):
        build_kernel(sweep, lanes=4, backend="cpu")


def test_without_a_compiler_xla_trains(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    compiler.cache_clear()
    # Of no other test: what is compiled already needs no compiler.
    method = Gradient(learning_rate=0.1, options={"momentum": 0.123})
    sweep = Sweep(organism=Gate(), method=method, num_steps=1)
    assert "no C++ compiler" in (refusal(sweep) or "")
    compiler.cache_clear()


METHODS = {
    "adam": Gradient(optimizer="adam", learning_rate=0.01),
    "noise": Gradient(learning_rate=0.01, noise=0.1, l2=0.01),
    "dropconnect": Gradient(learning_rate=0.01, dropconnect=0.2),
    "patience": EarlyStopping(method=Gradient(learning_rate=0.3), patience=5, threshold=0.05),
}


@pytest.mark.ci
@pytest.mark.parametrize(
    ("method", "precision"),
    [
        pytest.param("adam", "float32", marks=pytest.mark.lowest),
        # Noise is drawn in float32 whatever the precision.
        *((name, "float32") for name in ("noise", "dropconnect", "patience")),
        ("adam", "float64"),
        ("patience", "float64"),
    ],
)
def test_a_seed_is_trained_as_xla_trains_it(method, precision):
    sweep = Sweep(
        organism=ReluXor(),
        method=METHODS[method],
        num_steps=40,
        save_at=(0, 7),
        precision=precision,
    )
    seeds = np.arange(50, dtype=np.uint64)
    found, expected = (
        build_kernel(sweep, lanes=20, backend=backend)(seeds) for backend in ("cpu", "xla")
    )
    rtol = 1e-10 if precision == "float64" else 1e-4
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=rtol, atol=rtol / 10)


WHOLE = {
    "to whole": lambda a: (1e12 * a[:2]).astype(jnp.int32).astype(jnp.float32),
    "none to whole": lambda a: (0 * a / 0).astype(jnp.int32) + a,
    "to unsigned": lambda a: (9 * a).astype(jnp.uint32).astype(jnp.float32),
    "divided by nothing": lambda a: jnp.asarray(
        jax.lax.div((9 * a).astype(jnp.int32), a.astype(jnp.int32)), jnp.float32
    ),
    "rest": lambda a: jnp.asarray(
        jax.lax.rem((9 * a).astype(jnp.int32), a.astype(jnp.int32)), jnp.float32
    ),
    "rows beyond the last": lambda a: a.at[(9 * a[0]).astype(int)].get(mode="clip"),
    "order of truths": lambda a: jnp.asarray((a > 0) < (a.sum() > 0), jnp.float32),
    "larger truth": lambda a: jnp.asarray(jnp.maximum(a > 0, a > 1).max(0), jnp.float32),
    "a table of truths": lambda a: jnp.asarray(
        jnp.array([True, False, True])[jnp.clip(a[0].astype(int), 0, 2)], jnp.float32
    ),
    "truths in a product": lambda a: (a > 0) @ jnp.asarray(OTHERS[0]),
    "sign of nothing": lambda a: 1 / jnp.abs(-0.0 * jnp.abs(a)),
}


@pytest.mark.ci
@pytest.mark.lowest
def test_whole_numbers_and_truths():
    each = all_at_once(compile_steps, list(WHOLE.values()), MATRICES)
    for name, (_, found, expected) in zip(WHOLE, each, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6, err_msg=name)


REPLACED = {
    "swapped": lambda a, b: [b, a],
    "what was before": lambda a, b: [1.1 * a + 1, a],
    "what was before, first": lambda a, b: [b, 1.1 * b + 1],
    "turned": lambda a, b: [a.T, b[::-1]],
    "another, turned": lambda a, b: [a + 1, (2 * a).T],
    "one for both": lambda a, b: [2 * a + b] * 2,
    "a loop's, swapped": lambda a, b: jax.lax.fori_loop(
        0, 3, lambda i, c: (c[1], c[0] + i), (a, b)
    ),
    "a loop's, and the state before it": lambda a, b: [
        jax.lax.fori_loop(0, 3, lambda i, c: 2 * c, a),
        a,
    ],
    "nothing": lambda a, b: [a, b],
    "a constant": lambda a, b: [jnp.full((5, 5), 2.0), a],
}


@pytest.mark.ci
@pytest.mark.parametrize("name", REPLACED)
def test_no_state_is_overwritten_before_it_is_read(name):
    function = REPLACED[name]
    state = [jnp.asarray(RANDOM.normal(size=(SEEDS, 5, 5)), jnp.float32) for _ in range(2)]
    expected = state
    for _ in range(3):
        expected = jax.vmap(lambda a, b: tuple(function(a, b)))(*expected)
    shapes = [jax.ShapeDtypeStruct((5, 5), jnp.float32)] * 2
    steps = compile_steps(lambda number, fixed, state: list(function(*state)), [], shapes)
    found = steps(jnp.zeros(SEEDS, jnp.int32), jnp.asarray(3, jnp.int32), [], state)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def test_bits_depend_on_no_other_seed_and_on_no_lane():
    def step(number, fixed, state):
        (words,) = fixed
        (weights,) = state
        inputs = jax.random.normal(jax.random.fold_in(key_of(words), number), (6, 5))
        return [jnp.tanh(weights - 0.1 * inputs.T @ (inputs @ weights))]

    shapes = [jax.ShapeDtypeStruct((2,), jnp.uint32)], [jax.ShapeDtypeStruct((5, 6), jnp.float32)]
    steps = compile_steps(step, *shapes)
    weights = RANDOM.normal(size=(SEEDS, 5, 6)).astype(np.float32)

    def train(order):
        numbers = jnp.asarray(order, jnp.int32)  # each seed may be at a step of its own
        (out,) = steps(numbers, jnp.asarray(30, jnp.int32), [WORDS[order]], [weights[order]])
        return np.asarray(out)

    together = train(np.arange(SEEDS))
    shuffled = RANDOM.permutation(SEEDS)
    assert np.array_equal(train(shuffled), together[shuffled])
    for seed in (0, 7, SEEDS - 1):
        assert np.array_equal(train(np.array([seed]))[0], together[seed])


def test_a_loop_keeps_its_state_in_place(monkeypatch):
    sources = []
    monkeypatch.setattr(
        "basin_jax.compiler.cpu.build.operation",
        lambda source, headers: sources.append(source) or "none",
    )

    def step(number, fixed, state):
        return [jax.lax.fori_loop(0, 5, lambda i, x: jnp.sin(x) + i, state[0])]

    compile_steps(step, [], [jax.ShapeDtypeStruct((64,), jnp.float32)])
    (source,) = sources
    # What turns is the one loop that computes the state: none copies it, before or after.
    assert source.count("< 64; ") == 1
