"""What one lane does: begin a seed, take a step, look at the network.

Pure functions of a seed, of one lane each; `single` has `trial`, and `kernel` runs many at once.
"""

import contextlib
import functools
import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int32, UInt32

from basin_jax.core.contracts import Evidence, Method, Organism, Params, Start, State
from basin_jax.core.seeds import PRNG, as_seeds, fold_in_seed, seed_words
from basin_jax.core.sweep import Child, Parent, Precision, Sweep


Plugins: TypeAlias = tuple[Organism, Start | Child, Method]
Sight: TypeAlias = Literal["evidence", "params"]

# Kinds of parameters, and the type of which a sweep's precision says how wide it is.
_CAST = {jnp.floating: float, jnp.complexfloating: complex}
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
    inherited: Float[Any, "*lane 2 param"]  # a parent's parameters, before and after its training


class Shape(NamedTuple):
    """What sweeps have in common that one program can train: all but their numbers."""

    plugins: Any  # a PyTreeDef
    numbers: int
    vary: str
    precision: Precision
    stops: int
    inherited: int  # parameters of a parent
    sees: Sight  # what is looked at: the evidence, or the parameters themselves


def shape_of(sweep: Sweep, sees: Sight = "evidence") -> Shape:
    """Return what a program has to be compiled for."""
    leaves, structure = jax.tree.flatten(_plugins(sweep))
    count, inherited = len(leaves), _inherited(sweep)
    return Shape(structure, count, sweep.vary, sweep.precision, len(sweep.stops), inherited, sees)


def _plugins(sweep: Sweep) -> Plugins:
    return sweep.organism, _apart(sweep.start), sweep.method


def _apart[S: Start | Child](start: S) -> S:
    """Return a start without its parent's steps and root, which its own program does not need."""
    if not isinstance(start, Child):
        return start
    of = start.of
    bare = {"num_steps": 0, "save_at": (), "root": 0}
    if all(getattr(of, name) == value for name, value in bare.items()):
        return start  # its numbers may be traced: it cannot be checked anew
    return start.replace(of=of.replace(start=_apart(of.start), **bare))


def plugins_of(shape: Shape, numbers: Float[Array, " number"]) -> Plugins:
    """Return the plug-ins of a lane."""
    # Like the Python floats they were, the numbers take the type of what they meet.
    like = jnp.asarray(0.0)
    leaves = [jax.lax.full_like(like, numbers[i]) for i in range(shape.numbers)]
    return jax.tree.unflatten(shape.plugins, leaves)


@functools.cache
def count_params(sweep: Sweep) -> int:
    """Return how many parameters a sweep's network has."""
    with numerics(sweep.precision):
        return _size(_params(sweep))


def _inherited(sweep: Sweep) -> int:
    return count_params(sweep.start.of) if isinstance(sweep.start, Child) else 0


def _params(sweep: Sweep) -> Any:
    """Return what a sweep's parameters look like, by tracing; its numbers may be traced, too."""
    start = sweep.start
    row = _abstract(0, _size(_params(start.of)) if isinstance(start, Child) else 0)
    return jax.eval_shape(lambda row: begin(_plugins(sweep), row, sweep.vary)[0].params, row)


def _size(params: Any) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def rows_of(sweep: Sweep, seeds: Any) -> Row:
    """Return the rows of some seeds of a sweep, with nothing inherited yet."""
    kind = np.float64 if sweep.precision == "float64" else np.float32
    numbers = np.array(jax.tree.leaves(_plugins(sweep)), kind)
    shape = np.shape(seeds)
    return Row(
        seed_words(seeds),
        np.broadcast_to(seed_words(sweep.root), (*shape, 2)),
        np.broadcast_to(numbers, (*shape, len(numbers))),
        np.broadcast_to(np.zeros((), kind), (*shape, 2, _inherited(sweep))),
    )


def abstract(shape: Shape, *lanes: int) -> tuple[Any, Row]:
    """Return what stops and rows look like, for tracing."""
    stops = jax.ShapeDtypeStruct((shape.stops,), np.int32)
    return stops, _abstract(shape.numbers, shape.inherited, *lanes)


def _abstract(numbers: int, inherited: int, *lanes: int) -> Row:
    words = jax.ShapeDtypeStruct((*lanes, 2), np.uint32)
    kind = jnp.result_type(float)
    return Row(
        words,
        words,
        jax.ShapeDtypeStruct((*lanes, numbers), kind),
        jax.ShapeDtypeStruct((*lanes, 2, inherited), kind),
    )


def begin(plugins: Plugins, row: Row, vary: str) -> tuple[State, Keys]:
    """Return the state before the first step, and the keys of the steps and of the probe."""
    organism, start, method = plugins
    # Streams are split before seeds are folded in, so that no seed's key is a stream's.
    root_key = fold_in_seed(jax.random.key(0, impl=PRNG), row.root)
    # A child has streams of its own, since its root and its seed are often its parent's, too.
    first = 3 * _generation(start)
    init_key, data_key, probe_key = jax.random.split(root_key, first + 3)[first:]
    init_key = init_key if vary == "data" else fold_in_seed(init_key, row.seed)
    data_key = data_key if vary == "init" else fold_in_seed(data_key, row.seed)
    probe_key = fold_in_seed(probe_key, row.seed)
    method_key, step_key = jax.random.split(data_key)
    expected = jax.eval_shape(organism.init, init_key)
    if isinstance(start, Child):
        parent = _parent(start.of, row.inherited)
        _expect_alike("start.of", parent.ended, expected)
        params = start.params(init_key, organism, parent)
        # Whatever a start makes of it, a parent that has diverged has no sound child.
        sound = jnp.isfinite(row.inherited).all()
        params = jax.tree.map(lambda leaf: jnp.where(sound, leaf, jnp.nan), params)
    else:
        params = start.params(init_key, organism)
    _expect_alike("start", params, expected)
    params = jax.tree.map(_cast, params)
    state = method.init(method_key, params, organism)
    return state, Keys(*map(jax.random.key_data, (step_key, probe_key)))


def _generation(start: Start | Child) -> int:
    return 1 + _generation(start.of.start) if isinstance(start, Child) else 0


def _parent(sweep: Sweep, inherited: Float[Array, "2 param"]) -> Parent:
    leaves, structure = jax.tree.flatten(_params(sweep))
    if not all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves):
        raise ValueError("start.of has parameters that are no floats; allowed: floats alone")
    ends = np.cumsum([math.prod(leaf.shape) for leaf in leaves])[:-1]

    def unravel(flat: Array) -> Params:
        parts = jnp.split(flat, ends) if leaves else []
        shaped = [p.reshape(x.shape).astype(x.dtype) for p, x in zip(parts, leaves, strict=True)]
        return jax.tree.unflatten(structure, shaped)

    return Parent(unravel(inherited[0]), unravel(inherited[1]))


def _expect_alike(path: str, given: Params, expected: Any) -> None:
    structures = [jax.tree.structure(params) for params in (given, expected)]
    kinds = [
        [
            (leaf.shape, *(jnp.issubdtype(leaf.dtype, kind) for kind in _CAST))
            for leaf in jax.tree.leaves(params)
        ]
        for params in (given, expected)
    ]
    if structures[0] != structures[1] or kinds[0] != kinds[1]:
        said = [
            ", ".join(str(leaf) for leaf in jax.tree.leaves(p)) or "none" for p in (given, expected)
        ]
        raise ValueError(
            f"{path} gives other parameters than the organism's init ({said[0]}); "
            f"allowed: {said[1]}"
        )


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
    sound = all_finite(state.params)
    return {name: jnp.where(sound, e, jnp.nan) for name, e in evidence.items()}


def params_of(state: State) -> dict[str, Float[Array, " param"]]:
    """Return the parameters themselves, in one array."""
    leaves = [jnp.ravel(leaf).astype(float) for leaf in jax.tree.leaves(state.params)]
    return {"params": jnp.concatenate(leaves) if leaves else jnp.zeros(0)}


def spans(stops: Int32[Array, " stop"]) -> tuple[Array, Array]:
    """Return the first step from each stop to the next, and the one behind the last."""
    return jnp.concatenate([jnp.zeros(1, jnp.int32), stops[:-1]]), stops


def _scalars(organism: Organism, evidence: Mapping[str, Any]) -> Evidence:
    for name, value in evidence.items():
        given = f"{type(organism).__name__}.probe gives {name!r}"
        if np.shape(value) != ():
            raise ValueError(f"{given} of shape {np.shape(value)}; allowed: scalars")
        _expect_held(value, given)
    return {name: jnp.asarray(value, float) for name, value in evidence.items()}


def _expect_held(value: Any, given: str) -> None:
    """Raise `ValueError` where evidence would lose its meaning as a float of the precision."""
    real = jnp.finfo(jnp.result_type(float))
    digits = real.nmant + 1
    if isinstance(value, int | float | np.integer | np.floating):
        # A constant: its value decides, and not its type.
        largest = 2**digits if isinstance(value, int | np.integer) else float(real.max)
        if largest < abs(value) < math.inf:
            raise ValueError(
                f"{given} = {value!r}, which {real.dtype} cannot hold; allowed: up to {largest:g}"
            )
        return
    kind = jnp.result_type(value)
    if jnp.issubdtype(kind, jnp.complexfloating):
        raise ValueError(f"{given} as {kind}; allowed: real numbers, such as its parts")
    if jnp.issubdtype(kind, jnp.integer) and int(jnp.iinfo(kind).max).bit_length() > digits:
        raise ValueError(
            f"{given} as {kind}, and {real.dtype} cannot hold all whole numbers of more than "
            f"{digits} bits; allowed: floats, such as jnp.asarray(..., float), or narrower integers"
        )


def all_finite(params: Params) -> Bool[Array, ""]:
    """Return whether all parameters are finite; those that are no floats are."""
    leaves = [x for x in jax.tree.leaves(params) if jnp.issubdtype(x.dtype, jnp.inexact)]
    return jnp.array([jnp.isfinite(leaf).all() for leaf in leaves]).all()


def _cast(leaf: Array) -> Array:
    for kind, own in _CAST.items():
        if jnp.issubdtype(leaf.dtype, kind):
            return leaf.astype(own)
    return leaf


@contextlib.contextmanager
def numerics(precision: Precision) -> Iterator[None]:
    """Compute as a sweep's precision says, whatever the user's environment."""
    with (
        jax.enable_x64(precision == "float64"),
        jax.default_matmul_precision(_MATMUL[precision]),
        jax.threefry_partitionable(True),
    ):
        yield


def begin_one(shape: Shape, row: Row) -> tuple[State, Keys]:
    """Return the state of one lane before the first step, and its keys."""
    return begin(plugins_of(shape, row.numbers), row, shape.vary)


def look_at_one(shape: Shape, row: Row, keys: Keys, state: State) -> dict[str, Array]:
    """Return what is seen of one lane, the evidence or the parameters themselves."""
    if shape.sees == "params":
        return params_of(state)
    return look(plugins_of(shape, row.numbers), keys, state)


def trial(sweep: Sweep, seed: int) -> dict[str, Float[Array, " stop"]]:
    """Train one seed and return its evidence at each of the sweep's stops.

    A pure function of a seed: the unit of meaning of the package. `run` computes it for
    many seeds at once, to within the rounding that programs and lanes bring.
    """
    return _seen(sweep, as_seeds([seed])[0], "evidence")


def _seen(sweep: Sweep, seed: int, sees: Sight) -> dict[str, Array]:
    row = rows_of(sweep, seed)
    if isinstance(sweep.start, Child):
        own = seed // sweep.start.children
        ends = _seen(with_beginning(sweep.start.of), own, "params")["params"]
        row = row._replace(inherited=np.asarray(ends, row.inherited.dtype)[[0, -1]])
    with numerics(sweep.precision):
        return _jitted_trial(shape_of(sweep, sees), jnp.asarray(sweep.stops), row)


def with_beginning(sweep: Sweep) -> Sweep:
    """Return a sweep that is looked at before its first step and after its last."""
    return sweep.replace(save_at=(0,) if sweep.num_steps else ())


def _trial(shape: Shape, stops, row: Row) -> dict[str, Array]:
    state, keys = begin_one(shape, row)

    def until(state, span):
        turn = functools.partial(step, plugins_of(shape, row.numbers), keys)
        state = jax.lax.fori_loop(span[0], span[1], turn, state)
        return state, look_at_one(shape, row, keys, state)

    return jax.lax.scan(until, state, spans(stops))[1]


_jitted_trial = jax.jit(_trial, static_argnums=0)
