"""Optax's transformations: by name, and what they ask for beyond the gradient."""

import functools
import inspect
import logging
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Key, UInt32

from basin_jax.core.contracts import Params, State
from basin_jax.core.seeds import fold_in_seed, may_be_key


# An `optax.GradientTransformation`, or what has the same functions, such as `optax.MultiSteps`.
Transformation: TypeAlias = Any

# Parameters that hold another transformation, whose learning rate is the whole's.
INNER = {"base_optimizer", "fast_optimizer", "inner", "opt", "optimizer", "tx"}
_MADE_OF_OTHERS = "it is made of others: give it as a transformation"
_SEARCH = (
    "a line search scales the updates of an optimizer before it: give both as a transformation, "
    "optax.chain(optax.sgd(1.0), {})"
)
# Optimizers that go down without a learning rate.
RATELESS = {"adafactor", "lbfgs", "polyak_sgd"}
# What has no name here, and why; all else does that returns a transformation.
UNNAMED = {
    "chain": _MADE_OF_OTHERS,
    "named_chain": _MADE_OF_OTHERS,
    "multi_transform": _MADE_OF_OTHERS,
    "partition": _MADE_OF_OTHERS,
    "hutchinson_estimator_diag_hessian": "it estimates a Hessian for sophia, which is an optimizer",
    "scale_by_backtracking_linesearch": _SEARCH.format("optax.scale_by_backtracking_linesearch(9)"),
    "scale_by_cocob": "it is a whole optimizer: cocob",
    "scale_by_learning_rate": "it is a whole optimizer: sgd",
    "scale_by_madgrad": "it is a whole optimizer: madgrad",
    "scale_by_muon": "it takes matrices alone; muon leaves the other parameters to Adam",
    "scale_by_rprop": "it is a whole optimizer: rprop",
    "scale_by_zoom_linesearch": _SEARCH.format("optax.scale_by_zoom_linesearch(9)"),
}


# What is known of transformations that may fail, by the type of their state.
HINTS = {
    "MuonState": "scale_by_muon takes matrices alone, and muon leaves others to Adam",
    "MonitorState": "the first measurements of monitor add to it, and nothing reads them",
}
# States of Optax that hold a random key, which some versions and options make of the old kind.
KEYED = ("AddNoiseState", "DifferentiallyPrivateAggregateState", "HutchinsonState")


@functools.cache
def factories() -> dict[str, Callable[..., Transformation]]:
    """Collect by name what makes a transformation, in Optax and in its contrib."""
    return {
        name: function
        for module in (optax.contrib, optax)
        for name, function in vars(module).items()
        if not name.startswith("_") and name not in UNNAMED and _makes(name, function)
    }


def _makes(name: str, function: Any) -> bool:
    if function is optax.MultiSteps:
        return True
    if not inspect.isfunction(function):
        return False
    signature = inspect.signature(function)
    made = signature.return_annotation
    return (
        (isinstance(made, type) and issubclass(made, optax.GradientTransformation))
        or "learning_rate" in signature.parameters
        or name.startswith("scale_by_")  # not all of which are annotated
    )


@functools.cache
def takes(factory: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Return a factory's parameters by name."""
    return inspect.signature(factory).parameters


@functools.cache
def required(factory: Callable[..., Any]) -> tuple[str, ...]:
    """List the parameters of a factory that have to be in the options."""
    optional = ("learning_rate", "key", "seed")
    return tuple(
        name
        for name, parameter in takes(factory).items()
        if parameter.default is parameter.empty and name not in optional
    )


def has_rate(name: str) -> bool:
    """Return True if the optimizer of a name, or what is put behind it, has a learning rate."""
    held = takes(factories()[name])
    inside = INNER & {*required(factories()[name])}
    return "learning_rate" in held or not (inside or name in RATELESS)


def needs_rate(name: str) -> bool:
    """Return True if the optimizer of a name has a learning rate, and none by default."""
    rate = takes(factories()[name]).get("learning_rate")
    default = rate is not None and isinstance(rate.default, int | float)
    return has_rate(name) and not default and name not in RATELESS


def make(name: str, rate: Any, options: Mapping[str, Any]) -> Transformation:
    """Make the optimizer of a name.

    One without a learning rate, which only transforms the gradient, is followed by one. A random
    key, which each seed replaces, is that of 0.
    """
    factory = factories()[name]
    held = takes(factory)
    given = {name: 0 for name in ("key", "seed") if name in held} | dict(options)
    if "key" in given:
        given.pop("seed", None)  # another name of it, of old
    if rate is not None and "learning_rate" in held:
        given["learning_rate"] = rate
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Optax about itself
        made = factory(**given)
    if rate is None or "learning_rate" in held:
        return made
    return optax.chain(made, optax.scale_by_learning_rate(rate))


def named(transformation: Transformation) -> str:
    """Name a transformation by the function that made it."""
    if isinstance(transformation, optax.MultiSteps):
        return type(transformation).__name__
    return getattr(transformation.init, "__qualname__", repr(transformation)).split(".")[0]


def begin(transformation: Transformation, params: Params) -> State:
    """Make a transformation's first state; Optax's `lookahead` warns of what is meant here."""
    logger = logging.getLogger("absl")
    before = logger.disabled
    logger.disabled = True
    try:
        return transformation.init(params)
    finally:
        logger.disabled = before


def parts(state: State, kind: type) -> list[Any]:
    """Find the parts of a state that are of a kind."""
    found = jax.tree.leaves(state, is_leaf=lambda part: isinstance(part, kind))
    return [part for part in found if isinstance(part, kind)]


def unclear(state: State) -> str | None:
    """Say what of a state may be a random key or not, or None where that is known."""
    kinds = tuple(_known(KEYED).values())

    def is_keyed(part: Any) -> bool:
        return isinstance(part, kinds)

    rest = jax.tree.map(lambda part: None if is_keyed(part) else part, state, is_leaf=is_keyed)
    for path, leaf in jax.tree_util.tree_leaves_with_path(rest):
        if may_be_key(leaf):
            return (
                f"holds {_type(leaf)} at {jax.tree_util.keystr(path)}, which may be a random key "
                "of the old kind; make it a key of jax.random.key(...), which becomes each "
                "seed's own, or of another type, such as int32"
            )
    return None


def rekeyed(key: Key[Array, ""], state: State) -> State:
    """Replace the random keys in a state, which are the same for all seeds, by a seed's own.

    A pair of words without a type is taken for a key of the old kind: see `unclear`.
    """
    leaves, structure = jax.tree.flatten(state)
    for i, leaf in enumerate(leaves):
        if jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.prng_key):
            leaves[i] = _own(jax.random.fold_in(key, i), jax.random.key_data(leaf))
        elif may_be_key(leaf):
            leaves[i] = jax.random.key_data(_own(jax.random.fold_in(key, i), leaf))
    return jax.tree.unflatten(structure, leaves)


def _own(key: Key[Array, ""], words: UInt32[Array, "*keys word"]) -> Key[Array, "*keys"]:
    """Make a seed's own keys of its key and the words of some that are the same for all."""
    flat = words[..., -2:].reshape(-1, 2)
    return jax.vmap(fold_in_seed, (None, 0))(key, flat).reshape(words.shape[:-1])


def extra(
    transformation: Transformation, state: State, offered: Mapping[str, Any]
) -> dict[str, Any]:
    """Choose the extra arguments for a transformation's update.

    One that hands on any argument is given those for which its parts ask, which their states tell:
    a line search refuses others.
    """
    held = inspect.signature(transformation.update).parameters.values()
    names = {parameter.name for parameter in held}
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in held):
        names |= {"value", "grad", "value_fn"}
        names |= {"obj_fn"} if parts(state, optax.contrib.HutchinsonState) else set()
        names |= {"grad_fn"} if parts(state, optax.contrib.SAMState) else set()
    return {name: value for name, value in offered.items() if name in names}


def kept(before: State, after: State) -> State:
    """Give the floats of a state the types that they had: narrower ones, where that was asked."""
    if jax.tree.structure(before) != jax.tree.structure(after):
        return after

    def keep(was: Any, now: Any) -> Any:
        kind, other = jnp.result_type(was), jnp.result_type(now)
        floats = all(jnp.issubdtype(one, jnp.floating) for one in (kind, other))
        return jnp.asarray(now, kind) if floats and kind != other else now

    return jax.tree.map(keep, before, after)


def differs(before: State, after: State) -> str | None:
    """Say how a state after an update is another type than before, or None where it is not."""
    if jax.tree.structure(before) != jax.tree.structure(after):
        return "gives a state of another structure than its init"
    old, new = (jax.tree_util.tree_leaves_with_path(state) for state in (before, after))
    for (path, was), (_, now) in zip(old, new, strict=True):
        if _type(was) != _type(now):
            return f"makes {_type(now)} of {_type(was)} at {jax.tree_util.keystr(path)}"
    return None


def misfits(updates: Any, point: Params) -> str | None:
    """Say how updates do not fit the parameters, or None where they do."""
    if jax.tree.structure(updates) != jax.tree.structure(point):
        return "gives updates of another structure than the parameters"
    for update, leaf in zip(jax.tree.leaves(updates), jax.tree.leaves(point), strict=True):
        if jnp.shape(update) != jnp.shape(leaf):
            return f"gives an update of shape {jnp.shape(update)} for {jnp.shape(leaf)}"
    return None


def _type(leaf: Any) -> str:
    return f"{jnp.result_type(leaf)}{[*jnp.shape(leaf)]}"


def hint(state: State) -> str:
    """Say what a transformation with some state is known to fail at, in parentheses; or nothing."""
    kinds = _known(HINTS).items()
    return "".join(f" ({HINTS[name]})" for name, kind in kinds if parts(state, kind))


def _known(names: Iterable[str]) -> dict[str, type]:
    """Find types of Optax by their names; an old version has not all."""
    known = vars(optax.contrib) | vars(optax)
    return {name: known[name] for name in names if name in known}


def uses_value(update: Callable[..., Any], extra: Mapping[str, Any]) -> bool:
    """Return True if an update depends on the extra argument `value`, the loss."""
    if "value" not in extra:
        return False

    def ask(value: Array) -> Any:
        return update(**{**extra, "value": value})

    program = jax.make_jaxpr(ask)(extra["value"]).jaxpr
    (value,) = program.invars
    read = [atom for equation in program.eqns for atom in equation.invars]
    return any(atom is value for atom in [*read, *program.outvars])


def descended(point: Params) -> Params:
    """Find the parameters at which gradients are taken."""
    return point.fast if isinstance(point, optax.LookaheadParams) else point


def is_aside(state: State) -> bool:
    """Return True if what is to be examined is not always where gradients are taken."""
    kinds = optax.LookaheadState, optax.contrib.ScheduleFreeState
    climbs = any(part.cache is not None for part in parts(state, optax.contrib.SAMState))
    return climbs or any(parts(state, kind) for kind in kinds)


def examined(state: State, point: Params) -> Params:
    """Find the parameters to examine, where they are not those at which gradients are taken."""
    if isinstance(point, optax.LookaheadParams):
        point = point.slow
    for part in parts(state, optax.contrib.SAMState):
        if part.cache is not None:  # else it climbs inside one step
            home = part.steps_since_sync == 0
            point = jax.tree.map(functools.partial(jnp.where, home), point, part.cache)
    for part in parts(state, optax.contrib.ScheduleFreeState):
        point = jax.tree.map(
            # Of what the optimizer is masked from, it has nothing.
            lambda z, y, b1=part.b1: (
                y if isinstance(z, optax.MaskedNode) else (y - (1 - b1) * z) / b1
            ),
            part.z,
            point,
            is_leaf=lambda leaf: isinstance(leaf, optax.MaskedNode),
        )
    return point
