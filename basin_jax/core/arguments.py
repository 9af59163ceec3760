"""Check the arguments of public functions by their annotations, before anything is done."""

import functools
import inspect
import itertools
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from basin_jax.core.plugin import (
    Plugin,
    alternatives,
    closest,
    coerce,
    field_types,
    is_of_type,
    type_name,
)


# Items of a sequence that are looked at: the seeds of a run are many, and are checked as seeds.
LOOKED_AT = 1000
SHOWN = 100  # characters of a value
_GROUPS = (Sequence, Collection, Iterable)


def checked[F: Callable[..., Any]](target: F) -> F:
    """Make a function, or a dataclass, refuse arguments that do not fit its annotations.

    The function then raises a `ValueError` that names the argument, its value, what is allowed and
    what was probably meant; also for an argument that does not exist or is left out.

    Example:
        >>> @checked
        ... def train(sweep: str, *, seeds: int = 8) -> None: ...
        >>> train("audit", seds=9)
        Traceback (most recent call last):
        ValueError: train has no argument 'seds'; allowed: seeds, sweep (did you mean 'seeds'?)
    """
    if isinstance(target, type):
        target.__init__ = checked(target.__init__)
        return typing.cast(F, target)
    signature = inspect.signature(target)
    name = target.__qualname__.rpartition("<locals>.")[2].removesuffix(".__init__")
    # A field is named with its class, as plug-ins name theirs.
    prefix = f"{name}." if target.__name__ == "__init__" else ""
    is_method = not prefix and "self" in signature.parameters

    @functools.wraps(target)
    def called(*args: Any, **values: Any) -> Any:
        # By the class that users know, and not by the one that it inherits from.
        known_as = f"{type(args[0]).__name__}.{target.__name__}" if is_method else name
        _expect_arguments(known_as, signature, args, values)
        hints = _hints(target)
        for argument, value in signature.bind(*args, **values).arguments.items():
            if argument in hints:
                expect_argument(f"{prefix}{argument}", value, hints[argument])
        return target(*args, **values)

    return typing.cast(F, called)


@functools.cache
def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(function)
    hints.pop("return", None)
    return hints


def _expect_arguments(
    name: str, signature: inspect.Signature, args: Sequence[Any], values: Mapping[str, Any]
) -> None:
    """Raise `ValueError` unless all arguments exist, and all that are needed are given."""
    known = {n: p for n, p in signature.parameters.items() if n != "self"}
    if unknown := [n for n in values if n not in known]:
        raise ValueError(
            f"{name} has no argument {unknown[0]!r}; allowed: {closest(unknown[0], known)}"
        )
    try:
        signature.bind(*args, **values)
    except TypeError as error:
        raise ValueError(f"{name}: {error}; allowed: {_taken(known)}") from None


def _taken(known: Mapping[str, inspect.Parameter]) -> str:
    """List the arguments that are needed, or those that are taken by their places."""
    needed = [n for n, p in known.items() if p.default is p.empty]
    if needed:
        return ", ".join(needed) + " and options" * (len(needed) < len(known))
    placed = [n for n, p in known.items() if p.kind is not p.KEYWORD_ONLY]
    named = [n for n in known if n not in placed]
    return ", and by their names ".join(filter(None, (", ".join(placed), ", ".join(named))))


def expect_argument(name: str, value: Any, hint: Any) -> None:
    """Raise `ValueError` unless a value fits an argument's type."""
    if _is_of(value, hint):
        return
    if typing.get_origin(hint) is Mapping and isinstance(value, Mapping):
        for key, item in value.items():
            expect_argument(f"{name}[{key!r}]", item, typing.get_args(hint)[1])
    raise ValueError(f"{name} = {shown(value)}; allowed: {type_name(hint)}{_meant(value, hint)}")


def shown(value: Any) -> str:
    """Return a value as Python writes it, cut off where that is long."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def _is_of(value: Any, hint: Any) -> bool:
    value = coerce(value, hint)
    for choice in alternatives(hint):
        kind, parts = typing.get_origin(choice), typing.get_args(choice)
        if kind in _GROUPS:
            if _is_group(value, kind):
                some = itertools.islice(value, LOOKED_AT if hasattr(value, "__len__") else 0)
                if isinstance(parts[0], type):  # one of each type tells of all
                    some = {type(item): item for item in some}.values()
                if all(_is_of(item, parts[0]) for item in some):
                    return True
        elif kind is Mapping and isinstance(value, Mapping):
            if all(_is_of(n, parts[0]) and _is_of(v, parts[1]) for n, v in value.items()):
                return True
        elif kind is tuple and Ellipsis not in parts:
            same = isinstance(value, tuple) and len(value) == len(parts)
            if same and all(map(_is_of, value, parts)):
                return True
        elif is_of_type(value, choice):
            return True
    return False


def _is_group(value: Any, kind: Any) -> bool:
    """Return True for what is a sequence in all but its class, such as an array or a column."""
    # A text is a sequence of texts, and hardly ever meant as one.
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return False
    return kind is Iterable or hasattr(value, "__len__")


def _meant(value: Any, hint: Any) -> str:
    """Say what was probably meant: a group of one, an instance of a class, or what holds a part."""
    kinds: list[Any] = []
    for choice in alternatives(hint):
        parts = typing.get_args(choice)
        if typing.get_origin(choice) in _GROUPS and _is_of(value, parts[0]):
            return f" (did you mean ({shown(value)},)?)"
        kinds += [choice, *parts]
    plugins = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Plugin)]
    if isinstance(value, float) and value.is_integer() and _is_of(int(value), hint):
        return f" (did you mean {int(value)}?)"
    if isinstance(value, type) and any(issubclass(value, kind) for kind in plugins):
        return f" (did you mean {value.__name__}()?)"
    if isinstance(value, Plugin):
        for kind in plugins:
            for field, own in field_types(kind).items():
                if is_of_type(value, own):
                    inner = f"{field}={type(value).__name__}(...)"
                    return f" (did you mean {kind.__name__}({inner}, ...)?)"
    return ""
