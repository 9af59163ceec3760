"""Plug-ins: frozen dataclasses that are pytrees, with their hyperparameters as leaves.

Everything varied in a sweep is a `Plugin`: a frozen, keyword-only dataclass that is also
a pytree. Its `float` fields are leaves, so a grid over them shares one compilation; every
other field is static, and a new value compiles anew.
"""

import abc
import dataclasses
import difflib
import functools
import inspect
import math
import re
import types
import typing
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, dataclass_transform

import jax
import numpy as np
from beartype.door import is_bearable
from jax.core import Tracer
from numpy import ndarray

import basin_jax.devices  # noqa: F401  (JAX must be set up before it starts)
from basin_jax.core.cells import is_typed, referred
from basin_jax.core.exact import exact


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
        static = tuple((n, v, exact(v)) for n, v in self.items() if n not in traced)
        return tuple(traced.values()), (tuple(traced), static)

    @classmethod
    def _unflatten(cls, names, leaves):
        traced, static = names
        return cls(dict(zip(traced, leaves, strict=True)) | {n: v for n, v, _ in static})


jax.tree_util.register_pytree_node(Options, Options._flatten, Options._unflatten)


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Plugin:
    """Declare a frozen, keyword-only dataclass that is also a pytree, by subclassing.

    A field annotated `float` (or `float | None`) is a traced leaf, a field that holds
    another plug-in or a mapping is a subtree, and every other field is static and must
    be hashable.

    Raises:
        ValueError: at construction, where a field does not exist or is left out, or a value is
            not of its field's type or is refused by `validate`; it names the field, the value and
            what is allowed.
    """

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        dataclasses.dataclass(frozen=True, kw_only=True, repr=False)(cls)
        # __post_init__ checks, and names the allowed values.
        cls.__init__ = typing.no_type_check(_naming_fields(cls.__init__))
        jax.tree_util.register_pytree_with_keys(
            cls, cls._flatten_with_keys, cls._unflatten, cls._flatten
        )

    def __post_init__(self) -> None:
        if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(self)):
            return  # made inside a step, of what was checked where it was given
        for name, hint in field_types(type(self)).items():
            value = coerce(getattr(self, name), hint)
            if not is_of_type(value, hint):
                self.refuse(name, type_name(hint))
            if not _is_finite(value):
                self.refuse(name, "a finite number")
            if isinstance(value, Mapping):
                value = Options(value)
            if not isinstance(value, Plugin):  # one that a step has made holds arrays
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
        """Raise `ValueError` unless the condition `holds`."""
        if not holds:
            self.refuse(field, allowed)

    def refuse(self, field: str, allowed: str) -> NoReturn:
        """Raise the `ValueError` that names the field, its value and the allowed values."""
        raise ValueError(
            f"{type(self).__name__}.{field} = {getattr(self, field)!r}; allowed: {allowed}"
        )

    def replace[P](self: P, **changes: Any) -> P:
        """Copy the plug-in with some fields changed, and check them."""
        return dataclasses.replace(self, **changes)  # pyright: ignore[reportArgumentType]

    # Without types here and below: a check of containers draws random numbers (in beartype).
    def _subtrees(self):
        return tuple(
            name
            for name, hint in field_types(type(self)).items()
            if _is_traced(hint) or isinstance(getattr(self, name), Plugin | Options)
        )

    def _flatten(self):
        traced = self._subtrees()
        values = {n: getattr(self, n) for n in field_types(type(self)) if n not in traced}
        static = tuple((name, value, exact(value)) for name, value in values.items())
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
        for name, value, _ in names[1]:
            object.__setattr__(plugin, name, value)
        return plugin


def _naming_fields(init: Callable[..., None]) -> Callable[..., None]:
    """Make the `__init__` of a plug-in name the fields that do not exist or are left out."""

    kinds = [each.kind for each in inspect.signature(init).parameters.values()][1:]
    takes_names_only = all(kind is inspect.Parameter.KEYWORD_ONLY for kind in kinds)

    @functools.wraps(init)
    def named(self: Plugin, *args: Any, **values: Any) -> None:
        try:
            return init(self, *args, **values)
        except TypeError as error:
            failed = error
        if not args:
            _expect_fields(type(self), values)
        elif takes_names_only:
            known = ", ".join(field_types(type(self)))
            raise ValueError(
                f"{type(self).__name__} takes its fields by name, and was given {args[0]!r} "
                f"without one; allowed: {known}"
            )
        raise failed

    return named


def _expect_fields(cls: type[Plugin], values: Mapping[str, Any]) -> None:
    """Raise `ValueError` unless the values are of a class's fields, and none is missing."""
    for name in values:
        expect_field(cls, name)
    missing = [
        f"{field.name} ({type_name(field_types(cls)[field.name])})"
        for field in dataclasses.fields(cls)  # pyright: ignore[reportArgumentType]
        if field.default is field.default_factory is dataclasses.MISSING
        and field.name not in values
    ]
    if missing:
        raise ValueError(f"{cls.__name__} lacks a value of {', '.join(missing)}")


def expect_field(cls: type[Plugin], name: str, *, paths: Iterable[str] = ()) -> None:
    """Raise `ValueError` unless a class of plug-ins has a field; one of `paths` may be meant."""
    known = field_types(cls)
    if name not in known:
        deeper = [path for path in paths if path.endswith(f".{name}")]
        hint = f" (did you mean {deeper[0]!r}?)" if deeper else meant(name, known)
        allowed = ", ".join(sorted(known)) or "none"
        raise ValueError(f"{cls.__name__} has no field {name!r}; allowed: {allowed}{hint}")


def _code(cls: type[Plugin]):
    """Return a class's functions: a program traced from others is another program."""
    own = (c for c in cls.__mro__ if c not in (*Plugin.__mro__, abc.ABC))
    kinds = property, functools.cached_property, classmethod  # which are not callable
    code = (f for c in own for f in vars(c).values() if callable(f) or isinstance(f, kinds))
    # Cells are run again, and what they define replaces what was there.
    return (*code, *referred(cls)) if is_typed(cls) else tuple(code)


@functools.cache
def field_types(cls: type[Plugin]) -> dict[str, Any]:
    """Return the annotated type of each field of a plug-in class, in order."""
    hints = typing.get_type_hints(cls)
    return {f.name: hints[f.name] for f in dataclasses.fields(cls)}  # pyright: ignore[reportArgumentType]


def _is_traced(hint: Any) -> bool:
    return hint is float or set(typing.get_args(hint)) == {float, type(None)}


def coerce(value: Any, hint: Any) -> Any:
    """Convert a value to the field's own type where no information is lost."""
    choices = alternatives(hint)
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


def alternatives(hint: Any) -> tuple[Any, ...]:
    """Return the types of a union, or the one type."""
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return typing.get_args(hint) if is_union else (hint,)


def is_of_type(value: Any, hint: Any) -> bool:
    """Return True if a value is of a type, with all that it contains."""
    # Beartype looks at one item of a container, drawn at random, and takes True for an int.
    for choice in alternatives(hint):
        kind, parts = typing.get_origin(choice), typing.get_args(choice)
        if kind is tuple and isinstance(value, tuple) and Ellipsis in parts:
            fits = all(is_of_type(item, parts[0]) for item in value)
        elif kind is Mapping and isinstance(value, Mapping):
            fits = all(
                is_of_type(n, parts[0]) and is_of_type(v, parts[1]) for n, v in value.items()
            )
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
    """Name a type in the user's words."""
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(repr(choice) for choice in typing.get_args(hint))
    if len(parts := alternatives(hint)) > 1:
        return " or ".join(dict.fromkeys(map(type_name, parts)))
    said = {str: "a string", int: "an integer", float: "a number", type(None): "None"}
    said |= {np.integer: "an integer", ndarray: "an array"}
    if typing.get_origin(hint) in (Sequence, Collection, Iterable):
        (part,) = typing.get_args(hint)
        several = {int: " of integers", float: " of numbers", str: " of strings", Any: ""}
        return f"a sequence{several.get(part, f' of {type_name(part)}')}"
    if hint in said:
        return said[hint]
    if isinstance(hint, type) and not typing.get_args(hint):
        return hint.__name__
    return re.sub(r"\b[a-z_.]+\.", "", str(hint))


def closest(name: str, names: Any) -> str:
    """List the names that are allowed, and the one that was probably meant."""
    names = sorted(names)
    return (", ".join(names) or "none") + meant(name, names)


def meant(name: str, names: Collection[str]) -> str:
    """Ask whether the nearest of some names was meant, in parentheses; say nothing if none is."""
    near = difflib.get_close_matches(name, names, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
