"""What one lane does: begin a seed, take a step, look at the network.

Pure functions of a seed, of one lane each; `kernel` has `trial`, and runs many side by side.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32, Key, UInt32
from numpy import ndarray

from basin_jax.base import Evidence, Method, Organism, Params, Start, State
from basin_jax.spec import Precision, Sweep


# Whatever the user's environment says: a seed's draws are part of what a version promises.
PRNG = "threefry2x32"

Plugins: TypeAlias = tuple[Organism, Start, Method]

_MATMUL = {"float32": "float32", "tf32": "tensorfloat32", "bf16": "bfloat16", "float64": "float32"}


class Keys(NamedTuple):
    """The words of the keys of a seed's steps and of its probe."""

    step: UInt32[Array, "*lane 2"]
    probe: UInt32[Array, "*lane 2"]


class Row(NamedTuple):
    """What tells a seed of one cell from all others: numbers of NumPy's or JAX's."""

    seed: UInt32[Any, "*lane 2"]
    root: UInt32[Any, "*lane 2"]
    numbers: Float[Any, "*lane number"]  # the leaves of the plug-ins


class Shape(NamedTuple):
    """What sweeps have in common that one program can train: all but their numbers."""

    plugins: Any  # a PyTreeDef
    numbers: int
    vary: str
    precision: Precision
    stops: int


def shape_of(sweep: Sweep) -> Shape:
    """Return what a program has to be compiled for."""
    leaves, structure = jax.tree.flatten(plugins_of(sweep))
    return Shape(structure, len(leaves), sweep.vary, sweep.precision, len(sweep.stops))


def plugins_of(sweep: Sweep) -> Plugins:
    """Return the plug-ins that train a seed."""
    return sweep.organism, sweep.start, sweep.method


def seed_words(seeds: Any) -> UInt32[ndarray, "*seeds 2"]:
    """Return the high and the low 32 bits of 64-bit seeds."""
    seeds = np.asarray(seeds, dtype=np.uint64)
    return np.stack([seeds >> np.uint64(32), seeds & np.uint64(2**32 - 1)], -1).astype(np.uint32)


def rows_of(sweep: Sweep, seeds: Any) -> Row:
    """Return the rows of some seeds of a sweep."""
    kind = np.float64 if sweep.precision == "float64" else np.float32
    numbers = np.array(jax.tree.leaves(plugins_of(sweep)), kind)
    shape = np.shape(seeds)
    return Row(
        seed_words(seeds),
        np.broadcast_to(seed_words(sweep.root), (*shape, 2)),
        np.broadcast_to(numbers, (*shape, len(numbers))),
    )


def abstract(shape: Shape, *lanes: int) -> tuple[Any, Row]:
    """Return what stops and rows look like, for tracing."""
    words = jax.ShapeDtypeStruct((*lanes, 2), np.uint32)
    numbers = jax.ShapeDtypeStruct((*lanes, shape.numbers), jnp.result_type(float))
    return jax.ShapeDtypeStruct((shape.stops,), np.int32), Row(words, words, numbers)


def fold_in_seed(key: Key[Array, ""], words: UInt32[Array, "2"]) -> Key[Array, ""]:
    """Fold a 64-bit identity into a key. (`jax.random.key(2**32)` equals `key(0)`.)"""
    return jax.random.fold_in(jax.random.fold_in(key, words[0]), words[1])


def begin(plugins: Plugins, row: Row, vary: str) -> tuple[State, Keys]:
    """Return the state before the first step, and the keys of the steps and of the probe."""
    organism, start, method = plugins
    # Streams are split before seeds are folded in, so that no seed's key is a stream's.
    root_key = fold_in_seed(jax.random.key(0, impl=PRNG), row.root)
    init_key, data_key, probe_key = jax.random.split(root_key, 3)
    init_key = init_key if vary == "data" else fold_in_seed(init_key, row.seed)
    data_key = data_key if vary == "init" else fold_in_seed(data_key, row.seed)
    probe_key = fold_in_seed(probe_key, row.seed)
    method_key, step_key = jax.random.split(data_key)
    params = jax.tree.map(_cast, start.params(init_key, organism))
    state = method.init(method_key, params, organism)
    return state, Keys(*map(jax.random.key_data, (step_key, probe_key)))


def step(plugins: Plugins, keys: Keys, number: Int32[Array, ""], state: State) -> State:
    """Return the state after the step of that number."""
    organism, _, method = plugins
    key = jax.random.wrap_key_data(keys.step, impl=PRNG)
    return method.step(jax.random.fold_in(key, number), state, organism)


def look(plugins: Plugins, keys: Keys, state: State) -> Evidence:
    """Return the evidence; it is not a number where some parameter is none."""
    organism = plugins[0]
    probe_key = jax.random.wrap_key_data(keys.probe, impl=PRNG)
    evidence = _scalars(organism, organism.probe(probe_key, state.params))
    # A rate may look sound where parameters are not: the argmax of NaN is an answer.
    sound = jnp.array([jnp.isfinite(leaf).all() for leaf in _floats(state.params)]).all()
    return {name: jnp.where(sound, e, jnp.nan) for name, e in evidence.items()}


def spans(stops: Int32[Array, " stop"]) -> tuple[Array, Array]:
    """Return the first step from each stop to the next, and the one behind the last."""
    return jnp.concatenate([jnp.zeros(1, jnp.int32), stops[:-1]]), stops


def _scalars(organism: Organism, evidence: Mapping[str, Any]) -> Evidence:
    for name, value in evidence.items():
        if jnp.shape(value) != ():
            raise ValueError(
                f"{type(organism).__name__}.probe gives {name!r} of shape "
                f"{jnp.shape(value)}; allowed: scalars"
            )
    return {name: jnp.asarray(value, float) for name, value in evidence.items()}


def _floats(params: Params) -> list[Array]:
    return [leaf for leaf in jax.tree.leaves(params) if jnp.issubdtype(leaf.dtype, jnp.floating)]


def _cast(leaf: Array) -> Array:
    return leaf.astype(float) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf


@contextlib.contextmanager
def numerics(precision: Precision) -> Iterator[None]:
    """Compute as a sweep's precision says, whatever the user's environment."""
    with (
        jax.enable_x64(precision == "float64"),
        jax.default_matmul_precision(_MATMUL[precision]),
        jax.threefry_partitionable(True),
    ):
        yield
