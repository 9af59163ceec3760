"""One trial: initialize a seed, train it step by step, probe the network.

Pure functions of one seed, which define what every backend of the engine computes. They do not
depend on how many seeds are trained at once.
"""

import contextlib
import functools
import math
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int32, Key, UInt32

from basin_jax.core.arguments import checked
from basin_jax.core.contracts import (
    Evidence,
    Method,
    Organism,
    Params,
    Start,
    State,
    expect_same,
    expect_state,
)
from basin_jax.core.evidence import scalars
from basin_jax.core.exact import exact
from basin_jax.core.seeds import PRNG, SEEDS, fold_in_seed, restored, seed_bits, stored
from basin_jax.core.sweep import Child, Parent, Precision, Sweep
from basin_jax.core.trainable import expect_trainable
from basin_jax.devices import expect_devices


Plugins: TypeAlias = tuple[Organism, Start | Child, Method]
# What a program returns at each probe: the evidence, or the parameters themselves.
Output: TypeAlias = Literal["evidence", "params"]

# Kinds of parameters, and the type of which a sweep's precision says how wide it is.
_CAST = {jnp.floating: float, jnp.complexfloating: complex}
_MATMUL = {"float32": "float32", "tf32": "tensorfloat32", "bf16": "bfloat16", "float64": "float32"}


class Keys(NamedTuple):
    """Hold the bits of the random keys of a seed's steps and of its probe."""

    step: UInt32[Array, "*lane 2"]
    probe: UInt32[Array, "*lane 2"]


class TrialInputs(NamedTuple):
    """Hold the inputs of a trial, by which the seeds of all cells differ, in NumPy or JAX."""

    seed_bits: UInt32[Any, "*lane 2"]
    root_bits: UInt32[Any, "*lane 2"]
    hyperparameters: Float[Any, "*lane hyperparameter"]  # the float fields of the plug-ins
    parent_params: Float[Any, "*lane row param"]  # of parents, before and after their training


class Signature(NamedTuple):
    """Hold all of a sweep that a compiled program depends on: not its hyperparameters, nor root."""

    plugins: Any  # a PyTreeDef
    num_hyperparameters: int
    vary: str
    precision: Precision
    num_probes: int
    parent_shape: tuple[int, int]  # two rows for each parent, and its parameters
    output: Output


def signature_of(sweep: Sweep, output: Output = "evidence") -> Signature:
    """Find a sweep's signature; sweeps of one signature share a compiled program."""
    leaves, structure = jax.tree.flatten(_plugins(sweep))
    return Signature(
        plugins=structure,
        num_hyperparameters=len(leaves),
        vary=sweep.vary,
        precision=sweep.precision,
        num_probes=len(sweep.stops),
        parent_shape=_parent_shape(sweep.start, count_params),
        output=output,
    )


def _plugins(sweep: Sweep) -> Plugins:
    return sweep.organism, _without_schedule(sweep.start), sweep.method


def _without_schedule[S: Start | Child](start: S) -> S:
    """Strip a start of its parent's steps and root, on which its program does not depend."""
    if not isinstance(start, Child):
        return start
    bare = {"num_steps": 0, "save_at": (), "root": 0}
    return start.replace(of=start.of.replace(start=_without_schedule(start.of.start), **bare))


def plugins_of(signature: Signature, hyperparameters: Float[Array, " hyperparameter"]) -> Plugins:
    """Fill the hyperparameters into the plug-ins of a signature."""
    # Like the Python floats they were, hyperparameters take the type of what they meet.
    like = jnp.asarray(0.0)
    count = signature.num_hyperparameters
    leaves = [jax.lax.full_like(like, hyperparameters[i]) for i in range(count)]
    return jax.tree.unflatten(signature.plugins, leaves)


def count_params(sweep: Sweep) -> int:
    """Count the parameters of a sweep's network."""
    return _count_params(sweep, exact(sweep))


@functools.cache
def _count_params(sweep: Sweep, key: Hashable) -> int:
    with numerics(sweep.precision):
        return _size(_params(sweep))


def _parent_shape(start: Start | Child, count: Callable[[Sweep], int]) -> tuple[int, int]:
    return (2 + 2 * start.paired, count(start.of)) if isinstance(start, Child) else (2, 0)


def _params(sweep: Sweep) -> Any:
    """Find the shapes of a sweep's parameters, by tracing; hyperparameters may be traced."""
    inputs = _abstract_inputs(0, _parent_shape(sweep.start, lambda of: _size(_params(of))))
    plugins = _plugins(sweep)
    return jax.eval_shape(lambda inputs: init(plugins, inputs, sweep.vary)[0].params, inputs)


def _size(params: Any) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def inputs_of(sweep: Sweep, seeds: Any) -> TrialInputs:
    """Make the inputs of seeds of a sweep, with zeros for their parents' parameters."""
    kind = np.float64 if sweep.precision == "float64" else np.float32
    hyperparameters = np.array(jax.tree.leaves(_plugins(sweep)), kind)
    shape, parents = np.shape(seeds), _parent_shape(sweep.start, count_params)
    return TrialInputs(
        seed_bits=seed_bits(seeds),
        root_bits=np.broadcast_to(seed_bits(sweep.root), (*shape, 2)),
        hyperparameters=np.broadcast_to(hyperparameters, (*shape, len(hyperparameters))),
        parent_params=np.broadcast_to(np.zeros((), kind), (*shape, *parents)),
    )


def abstract_inputs(signature: Signature, *lanes: int) -> tuple[Any, TrialInputs]:
    """Describe the stops and the inputs of lanes by their shapes, for tracing."""
    stops = jax.ShapeDtypeStruct((signature.num_probes,), np.int32)
    count, parents = signature.num_hyperparameters, signature.parent_shape
    return stops, _abstract_inputs(count, parents, *lanes)


def _abstract_inputs(hyperparameters: int, parents: tuple[int, int], *lanes: int) -> TrialInputs:
    bits = jax.ShapeDtypeStruct((*lanes, 2), np.uint32)
    kind = jnp.result_type(float)
    return TrialInputs(
        bits,
        bits,
        jax.ShapeDtypeStruct((*lanes, hyperparameters), kind),
        jax.ShapeDtypeStruct((*lanes, *parents), kind),
    )


class Streams(NamedTuple):
    """Hold the random keys of a seed, one for each of its uses."""

    init: Key[Array, ""]
    method: Key[Array, ""]
    step: Key[Array, ""]
    probe: Key[Array, ""]


def streams(start: Start | Child, inputs: TrialInputs, vary: str) -> Streams:
    """Make the random keys of a seed."""
    # Streams are split before seeds are folded in, so that no seed's key is a stream's.
    root_key = fold_in_seed(jax.random.key(0, impl=PRNG), inputs.root_bits)
    # A child has streams of its own, since its root and its seed are often its parent's, too.
    first = 3 * _generation(start)
    init_key, data_key, probe_key = jax.random.split(root_key, first + 3)[first:]
    init_key = init_key if vary == "data" else fold_in_seed(init_key, inputs.seed_bits)
    data_key = data_key if vary == "init" else fold_in_seed(data_key, inputs.seed_bits)
    probe_key = fold_in_seed(probe_key, inputs.seed_bits)
    method_key, step_key = jax.random.split(data_key)
    return Streams(init_key, method_key, step_key, probe_key)


def start_params(
    plugins: Plugins, init_key: Key[Array, ""], parent_params: Float[Array, "row param"]
) -> Params:
    """Make the parameters from which training starts."""
    organism, start, _ = plugins
    expected = jax.eval_shape(organism.init, init_key)
    expect_trainable(type(organism).__name__, expected)
    if isinstance(start, Child):
        parent = _parent(start.of, parent_params)
        _expect_alike("start.of", parent.ended, expected)
        params = start.params(init_key, organism, parent)
        # Whatever a start makes of it, a parent that has diverged has no sound child.
        sound = jnp.isfinite(parent_params).all()
        params = jax.tree.map(lambda leaf: jnp.where(sound, leaf, jnp.nan), params)
    else:
        params = start.params(init_key, organism)
    _expect_alike("start", params, expected)
    return jax.tree.map(_cast, params)


def begin(plugins: Plugins, keys: Streams, params: Params) -> tuple[State, Keys]:
    """Make the state before the first step, and the keys of the steps and of the probe."""
    organism, _, method = plugins
    state = stored(method.init(keys.method, params, organism))
    expect_state(method, state)
    return state, Keys(*map(jax.random.key_data, (keys.step, keys.probe)))


def init(plugins: Plugins, inputs: TrialInputs, vary: str) -> tuple[State, Keys]:
    """Make the state of a seed before its first step, and the keys of its steps and probe."""
    keys = streams(plugins[1], inputs, vary)
    return begin(plugins, keys, start_params(plugins, keys.init, inputs.parent_params))


def _generation(start: Start | Child) -> int:
    return 1 + _generation(start.of.start) if isinstance(start, Child) else 0


def _parent(sweep: Sweep, parent_params: Float[Array, "row param"]) -> Parent:
    leaves, structure = jax.tree.flatten(_params(sweep))
    if not all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves):
        raise ValueError("start.of has parameters that are no floats; allowed: floats alone")
    ends = np.cumsum([math.prod(leaf.shape) for leaf in leaves])[:-1]

    def unravel(flat: Array) -> Params:
        parts = jnp.split(flat, ends) if leaves else []
        shaped = [p.reshape(x.shape).astype(x.dtype) for p, x in zip(parts, leaves, strict=True)]
        return jax.tree.unflatten(structure, shaped)

    rows = (0, 1) if len(parent_params) == 2 else (0, 1, 3)
    return Parent(*(unravel(parent_params[row]) for row in rows))


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
    """Take one step, given its number."""
    organism, _, method = plugins
    key = jax.random.fold_in(jax.random.wrap_key_data(keys.step, impl=PRNG), number)
    after = stored(method.step(key, number, restored(state), organism))
    expect_same(method, state, after)
    return after


def probe(plugins: Plugins, keys: Keys, state: State) -> Evidence:
    """Measure the evidence, which is NaN if any parameter is not finite."""
    organism = plugins[0]
    probe_key = jax.random.wrap_key_data(keys.probe, impl=PRNG)
    evidence = scalars(organism, organism.probe(probe_key, state.params))
    # A rate may look sound where parameters are not: the argmax of NaN is an answer.
    sound = all_finite(state.params)
    return {name: jnp.where(sound, e, jnp.nan) for name, e in evidence.items()}


def params_of(state: State) -> dict[str, Float[Array, " param"]]:
    """Flatten the parameters into one array."""
    leaves = [jnp.ravel(leaf).astype(float) for leaf in jax.tree.leaves(state.params)]
    return {"params": jnp.concatenate(leaves) if leaves else jnp.zeros(0)}


def spans(stops: Int32[Array, " stop"]) -> tuple[Array, Array]:
    """Find the range of steps that leads to each stop: from, and up to but not including."""
    return jnp.concatenate([jnp.zeros(1, jnp.int32), stops[:-1]]), stops


def all_finite(params: Params) -> Bool[Array, ""]:
    """Return True if all parameters are finite; whole numbers are."""
    leaves = [x for x in jax.tree.leaves(params) if jnp.issubdtype(x.dtype, jnp.inexact)]
    return jnp.array([jnp.isfinite(leaf).all() for leaf in leaves]).all()


def _cast(leaf: Array) -> Array:
    for kind, own in _CAST.items():
        if jnp.issubdtype(leaf.dtype, kind):
            return leaf.astype(own)
    return leaf


@contextlib.contextmanager
def numerics(precision: Precision) -> Iterator[None]:
    """Compute in a sweep's precision, whatever the user's settings of JAX.

    Raises:
        ValueError: if JAX finds no device.
    """
    expect_devices()
    with (
        jax.enable_x64(precision == "float64"),
        jax.default_matmul_precision(_MATMUL[precision]),
        jax.threefry_partitionable(True),
        jax.numpy_dtype_promotion("standard"),
        jax.disable_jit(False),
        jax.transfer_guard("allow"),
        # What is not finite is evidence, and stops no neighbor.
        jax.debug_nans(False),
        jax.debug_infs(False),
    ):
        yield


def init_trial(signature: Signature, inputs: TrialInputs) -> tuple[State, Keys]:
    """Make the state of a trial before the first step, and its keys."""
    return init(plugins_of(signature, inputs.hyperparameters), inputs, signature.vary)


def probe_trial(
    signature: Signature, inputs: TrialInputs, keys: Keys, state: State
) -> dict[str, Array]:
    """Measure the output of a trial: the evidence, or the parameters themselves."""
    if signature.output == "params":
        return params_of(state)
    return probe(plugins_of(signature, inputs.hyperparameters), keys, state)


@checked
def trial(sweep: Sweep, seed: int) -> dict[str, Float[Array, " stop"]]:
    """Train one seed, and measure its evidence at each of the sweep's stops.

    A pure function of a seed: the unit of meaning of the package. `run` computes it for
    many seeds at once, up to rounding, which depends on the backend and on the lanes.

    Args:
        sweep: the sweep of the seed.
        seed: a 64-bit identity.

    Returns:
        The evidence by its name, one value for each stop.

    Raises:
        ValueError: if the seed is not a 64-bit identity, or the plug-ins do not fit together.

    Example:
        >>> from basin_jax.methods import Gradient
        >>> from basin_jax.organisms import Gate
        >>> sweep = Sweep(organism=Gate(), method=Gradient(learning_rate=1), num_steps=500)
        >>> evidence = trial(sweep, seed=0)
        >>> bool(evidence["fit"][-1] > 0.9), sorted(evidence)
        (True, ['competence', 'fit', 'margin', 'unwatched', 'watched'])
    """
    if not 0 <= seed < SEEDS:
        raise ValueError(f"seed = {seed}; allowed: 0 to 2**64 - 1")
    return _probed(sweep, int(seed), "evidence")


def _probed(sweep: Sweep, seed: int, output: Output) -> dict[str, Array]:
    inputs, start = inputs_of(sweep, seed), sweep.start
    if isinstance(start, Child):
        of, parents = with_beginning(start.of), start.parents(seed).tolist()
        ends = [np.asarray(_probed(of, own, "params")["params"])[[0, -1]] for own in parents]
        parent_params = np.concatenate(ends).astype(inputs.parent_params.dtype)
        inputs = inputs._replace(parent_params=parent_params)
    with numerics(sweep.precision):
        return _jitted_trial(signature_of(sweep, output), jnp.asarray(sweep.stops), inputs)


def with_beginning(sweep: Sweep) -> Sweep:
    """Set a sweep's stops to its first and last step."""
    return sweep.replace(save_at=(0,) if sweep.num_steps else ())


def trial_of_signature(signature: Signature, stops, inputs: TrialInputs) -> dict[str, Array]:
    """Train one seed, and return its output at each stop, as every backend does."""
    state, keys = init_trial(signature, inputs)

    def until(state, span):
        turn = functools.partial(step, plugins_of(signature, inputs.hyperparameters), keys)
        state = jax.lax.fori_loop(span[0], span[1], turn, state)
        return state, probe_trial(signature, inputs, keys, state)

    return jax.lax.scan(until, state, spans(stops))[1]


_jitted_trial = jax.jit(trial_of_signature, static_argnums=0)
