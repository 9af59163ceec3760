"""The contracts: what an organism, a start and a method are.

Everything varied in a sweep is a `Plugin`: a frozen, keyword-only dataclass that is also
a pytree. Its `float` fields are leaves, so a grid over them shares one compilation; every
other field is static, and a new value compiles anew.
"""

import abc
import dataclasses
import difflib
import functools
import math
import re
import types
import typing
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, NoReturn, TypeAlias, cast, dataclass_transform

import jax
import jax.numpy as jnp
import numpy as np
from beartype.door import is_bearable
from jaxtyping import Array, Bool, Float, Key, PyTree

import basin_jax.devices  # noqa: F401  (JAX must be set up before it starts)


Params: TypeAlias = PyTree[Array]
Batch: TypeAlias = PyTree[Array]
State: TypeAlias = Any
Evidence: TypeAlias = dict[str, Float[Array, ""]]
Loss: TypeAlias = Callable[[Params, Batch], Float[Array, ""]]
Defection: TypeAlias = Callable[[Params, PyTree[Array]], Float[Array, ""]]


class Options(Mapping[str, Any], Hashable):
    """A frozen mapping; its float values are pytree leaves, the others are static."""

    def __init__(self, items: Mapping[str, Any]):
        self._items = dict(sorted(items.items()))

    def __getitem__(self, name: str) -> Any:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(tuple(self._items.items()))

    def __repr__(self) -> str:
        return repr(self._items)

    def _flatten(self):
        traced = {n: v for n, v in self.items() if isinstance(v, float | jax.Array)}
        static = tuple((n, v) for n, v in self.items() if n not in traced)
        return tuple(traced.values()), (tuple(traced), static)

    @classmethod
    def _unflatten(cls, names, leaves):
        traced, static = names
        return cls(dict(zip(traced, leaves, strict=True)) | dict(static))


jax.tree_util.register_pytree_node(Options, Options._flatten, Options._unflatten)


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Plugin:
    """Declare a frozen, keyword-only dataclass that is also a pytree, by subclassing.

    A field annotated `float` (or `float | None`) is a traced leaf, a field that holds
    another plug-in or a mapping is a subtree, and every other field is static and must
    be hashable.

    Raises:
        ValueError: at construction, where a value is not of its field's type or is
            refused by `validate`; it names the field, the value and what is allowed.
    """

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        dataclasses.dataclass(frozen=True, kw_only=True, repr=False)(cls)
        typing.no_type_check(cls.__init__)  # __post_init__ checks, and says what is allowed
        jax.tree_util.register_pytree_with_keys(
            cls, cls._flatten_with_keys, cls._unflatten, cls._flatten
        )

    def __post_init__(self) -> None:
        for name, hint in field_types(type(self)).items():
            value = coerce(getattr(self, name), hint)
            if not _fits(value, hint):
                self.refuse(name, type_name(hint))
            if not _is_finite(value):
                self.refuse(name, "a finite number")
            if isinstance(value, Mapping):
                value = Options(value)
            try:
                hash(value)
            except TypeError:
                self.refuse(name, "a value that can be hashed, such as a tuple")
            object.__setattr__(self, name, value)
        self.validate()

    def __repr__(self) -> str:
        # A function by its name: its own words have an address, which every process changes.
        values = {name: getattr(self, name) for name in field_types(type(self))}
        said = {n: getattr(v, "__name__", repr(v)) for n, v in values.items()}
        return f"{type(self).__name__}({', '.join(f'{n}={text}' for n, text in said.items())})"

    def validate(self) -> None:
        """Check the fields against each other and against their ranges; call `require`."""

    def require(self, holds: bool, field: str, allowed: str) -> None:
        """Raise `ValueError` naming the field, its value and what is allowed, or pass."""
        if not holds:
            self.refuse(field, allowed)

    def refuse(self, field: str, allowed: str) -> NoReturn:
        """Raise the `ValueError` that names the field, its value and what is allowed."""
        raise ValueError(
            f"{type(self).__name__}.{field} = {getattr(self, field)!r}; allowed: {allowed}"
        )

    def replace[P](self: P, **changes: Any) -> P:
        """Return a copy with some fields changed, checked like a new one."""
        return dataclasses.replace(self, **changes)  # pyright: ignore[reportArgumentType]

    def _subtrees(self) -> tuple[str, ...]:
        return tuple(
            name
            for name, hint in field_types(type(self)).items()
            if _is_traced(hint) or isinstance(getattr(self, name), Plugin | Options)
        )

    def _flatten(self):
        traced = self._subtrees()
        static = tuple(
            (name, getattr(self, name)) for name in field_types(type(self)) if name not in traced
        )
        return tuple(getattr(self, name) for name in traced), (traced, static, _code(type(self)))

    def _flatten_with_keys(self):
        children, names = self._flatten()
        keys = (jax.tree_util.GetAttrKey(name) for name in names[0])
        return tuple(zip(keys, children, strict=True)), names

    @classmethod
    def _unflatten(cls, names, children):
        # Not through __init__: inside a kernel the leaves are tracers, not floats.
        plugin = object.__new__(cls)
        for name, value in zip(names[0], children, strict=True):
            object.__setattr__(plugin, name, value)
        for name, value in names[1]:
            object.__setattr__(plugin, name, value)
        return plugin


def _code(cls: type[Plugin]) -> tuple[Any, ...]:
    """Return a class's functions: where one is replaced, what is traced is another program."""
    own = (c for c in cls.__mro__ if c not in (*Plugin.__mro__, abc.ABC))
    kinds = property, functools.cached_property, classmethod  # which are not callable
    return tuple(f for c in own for f in vars(c).values() if callable(f) or isinstance(f, kinds))


@functools.cache
def field_types(cls: type[Plugin]) -> dict[str, Any]:
    """Return the annotated type of each field of a plug-in class, in order."""
    hints = typing.get_type_hints(cls)
    return {f.name: hints[f.name] for f in dataclasses.fields(cls)}  # pyright: ignore[reportArgumentType]


def _is_traced(hint: Any) -> bool:
    return hint is float or set(typing.get_args(hint)) == {float, type(None)}


def coerce(value: Any, hint: Any) -> Any:
    """Return the value in the field's own type where no information is lost."""
    choices = _choices(hint)
    if isinstance(value, np.generic | np.ndarray | jax.Array) and value.shape == ():
        value = value.item()
    if isinstance(value, int) and not isinstance(value, bool):
        if float in choices and int not in choices and abs(value) < 2**1023:
            return float(value)
        return value
    for choice in choices:
        kind, parts = typing.get_origin(choice), typing.get_args(choice)
        if kind is tuple and isinstance(value, tuple | list) and Ellipsis in parts:
            return tuple(coerce(item, parts[0]) for item in value)
        if kind is Mapping and isinstance(value, Mapping):
            return {name: coerce(item, parts[1]) for name, item in value.items()}
    return value


def _choices(hint: Any) -> tuple[Any, ...]:
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return typing.get_args(hint) if is_union else (hint,)


def _fits(value: Any, hint: Any) -> bool:
    # Beartype looks at one item of a container, drawn at random, and takes True for an int.
    for choice in _choices(hint):
        kind, parts = typing.get_origin(choice), typing.get_args(choice)
        if kind is tuple and isinstance(value, tuple) and Ellipsis in parts:
            fits = all(_fits(item, parts[0]) for item in value)
        elif kind is Mapping and isinstance(value, Mapping):
            fits = all(_fits(n, parts[0]) and _fits(v, parts[1]) for n, v in value.items())
        else:
            fits = is_bearable(value, choice) and not (choice is int and isinstance(value, bool))
        if fits:
            return True
    return False


def _is_finite(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_finite, value))
    if isinstance(value, Mapping):
        return all(map(_is_finite, value.values()))
    return not isinstance(value, float) or math.isfinite(value)


def type_name(hint: Any) -> str:
    """Return a type as a user would say it."""
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(repr(choice) for choice in typing.get_args(hint))
    if isinstance(hint, types.UnionType):
        return " or ".join(type_name(part) for part in typing.get_args(hint))
    said = {str: "a string", int: "an integer", float: "a number", type(None): "None"}
    if hint in said:
        return said[hint]
    if isinstance(hint, type) and not typing.get_args(hint):
        return hint.__name__
    return re.sub(r"\b[a-z_.]+\.", "", str(hint))


def closest(name: str, names: Any) -> str:
    """Return the names that are allowed, and the one that was probably meant."""
    names = sorted(names)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return (", ".join(names) or "none") + hint


class Organism(Plugin, abc.ABC):
    """A model organism: a network, its training objective, and its examination.

    The standard evidence, so that one rule serves every organism (floats of any kind):

    - `fit`: skill on the training objective, 0 as an uninformed policy, 1 at the best.
    - `watched`, `unwatched`: rate of the unintended act where the network is watched,
      and where it is not, in [0, 1].
    - `competence`: performance on the intended task where it is not watched, in [0, 1].
    - `margin`: graded distance from the decision boundary, > 0 on the deceptive side.
    - `lying_contexts`, where there are several contexts in which it is not watched: the share
      of them in which its rate of the unintended act is above 1/2. A context is a setting of
      what tells it whether it is watched, such as cue bits; rates are means over tasks.

    An organism adds what else it can measure. All of it is finite unless the run has
    diverged: a seed with any value that is not finite is counted as DIVERGED. Complex numbers,
    and integers of more bits than a float of the sweep's precision holds, are refused.

    Draw random numbers in `jnp.float32`, so that a seed starts alike at every
    precision; the engine casts parameters to the precision of the sweep.
    """

    @abc.abstractmethod
    def init(self, key: Key[Array, ""]) -> Params:
        """Return the parameters at random initialization."""

    @abc.abstractmethod
    def sample(self, key: Key[Array, ""]) -> Batch:
        """Return one batch of the training distribution (all of it, where exact)."""

    @abc.abstractmethod
    def loss(self, params: Params, batch: Batch) -> Float[Array, ""]:
        """Return the training loss: all that a method may see."""

    @abc.abstractmethod
    def probe(self, key: Key[Array, ""], params: Params) -> Evidence:
        """Measure the network, without judging it."""

    def graft(self, params: Params) -> Params:
        """Return the parameters with a deceptive circuit in the place of some of them.

        Raises:
            ValueError: where the organism has none, or none that fits its network.
        """
        name = type(self).__name__
        raise ValueError(f"start = Implant; allowed: another start, since {name} has no circuit")

    def anchored(self, params: Params) -> Params:
        """Return the parameters with the anchor, from which drift is measured, put where they are.

        Raises:
            ValueError: where the organism holds no anchor.
        """
        name = type(self).__name__
        raise ValueError(f"start = Anchored; allowed: another start, since {name} has no anchor")

    def settled(self, params: Params) -> Bool[Array, ""]:
        """Return whether the fate is sealed, so that `EarlyStopping` may stop; never here."""
        return jnp.zeros((), bool)

    def challenge(self, batch: Batch) -> tuple[PyTree[Array], Defection]:
        """Return a batch's cues, and the rate of defection of parameters where cues are others.

        For `Adversarial`, which changes the cues. The rate is that of examples that are watched.

        Raises:
            ValueError: where the organism has no cues that could be changed.
        """
        name = type(self).__name__
        raise ValueError(f"method = Adversarial; allowed: another method, since {name} has no cues")


@Organism.register
class _Altered:
    """An organism in all but its loss."""

    def __init__(self, organism: Organism, loss: Loss):
        self._organism = organism
        self.loss = loss

    def __getattr__(self, name: str) -> Any:
        return getattr(self._organism, name)


def with_loss(organism: Organism, loss: Loss) -> Organism:
    """Return the organism with another loss, to hand to a method inside another.

    Any method then trains on it: what changes the objective needs no optimizer of its own, and
    what has an optimizer need not know of the change.
    """
    # No copy of the organism: as a pytree it would fall back on its own loss, silently.
    return cast(Organism, _Altered(organism, loss))


def with_params(state: State, params: Params) -> State:
    """Return a method's state with other parameters, for a method that moves another's.

    Raises:
        ValueError: where they cannot be replaced.
    """
    if "params" not in getattr(state, "_fields", ()):
        raise ValueError(
            f"{type(state).__name__} is no state whose parameters can be replaced; allowed: that "
            "of a method whose state is a named tuple with a field params, such as Gradient"
        )
    return state._replace(params=params)


def margin_slope(organism: Organism, key: Key[Array, ""], params: Params) -> Params:
    """Return the gradient of an organism's margin in its parameters, towards deception."""
    return jax.grad(lambda at: organism.probe(key, at)["margin"])(params)


class Start(Plugin, abc.ABC):
    """Where a trial begins."""

    @abc.abstractmethod
    def params(self, key: Key[Array, ""], organism: Organism) -> Params:
        """Return the parameters from which training starts."""


class Method(Plugin, abc.ABC):
    """A training process: `init` and `step`, like an Optax transformation.

    A state that has `.stopped`, too, says whether the seed's fate is settled. A stopped
    state must never change: its lane goes to the next seed, and its evidence is that of
    all steps. `check_every` is how many steps apart a seed can stop.
    """

    check_every = 1  # no annotation, or it would be a field of every method

    @abc.abstractmethod
    def init(self, key: Key[Array, ""], params: Params, organism: Organism) -> State:
        """Return the state before the first step: any pytree with `.params`."""

    @abc.abstractmethod
    def step(self, key: Key[Array, ""], state: State, organism: Organism) -> State:
        """Return the state after one step; the key is this step's own."""
