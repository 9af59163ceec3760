"""Keys of static values, which differ wherever a program made of the values may differ.

`1 == True == 1.0`, `0.0 == -0.0` and `range(0, 3, 2) == range(0, 4, 2)`, but a program that is
traced from one of them is not that of another. And an object may have changed since it was traced.
"""

import dataclasses
import enum
import functools
from collections.abc import Hashable, Mapping
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np


# Objects within objects that are looked into; those further inside are told apart by identity.
DEPTH = 4


@dataclasses.dataclass(frozen=True, eq=False)
class _Same:
    """Equal to itself alone, and keeps the value, so that its address is not used again."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


def exact(value: Any, depth: int = DEPTH) -> Hashable:
    """Make a key of a value: equal keys are of values of which the same program is made."""
    kind, within = type(value), functools.partial(exact, depth=depth - 1)
    if value is None or isinstance(value, str | bytes | np.dtype | BuiltinFunctionType):
        return kind, value
    if isinstance(value, bool | int | float | complex | np.generic):
        return kind, repr(value)
    if depth == 0 or isinstance(value, type | FunctionType | ModuleType | enum.Enum):
        return _Same(value)
    if isinstance(value, tuple | list):
        return kind, tuple(map(within, value))
    if isinstance(value, set | frozenset):
        return kind, frozenset(map(within, value))
    if isinstance(value, Mapping):
        return kind, frozenset((within(name), within(item)) for name, item in value.items())
    if isinstance(value, range | slice):
        return kind, within((value.start, value.stop, value.step))
    if isinstance(value, functools.partial):
        return kind, within((value.func, value.args, value.keywords))
    if isinstance(value, MethodType):
        return kind, within((value.__func__, value.__self__))
    held = getattr(value, "__dict__", None)
    if held is None or hasattr(value, "__wrapped__"):
        return _Same(value)
    # Objects that cannot be compared are equal to themselves alone.
    own = value if kind.__eq__ is object.__eq__ else kind
    return _Same(own), within(held)
