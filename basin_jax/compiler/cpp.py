"""C++ for numbers, and the symbols of a program."""

import itertools
from typing import Any

import numpy as np
from numpy import ndarray


SCALARS = {
    "f32": "float",
    "f64": "double",
    "i32": "int32_t",
    "i64": "int64_t",
    "u32": "uint32_t",
    "u64": "uint64_t",
    "b32": "bool",
}


class Symbols:
    """The symbols of a program: names that are used once, and tables of constants."""

    def __init__(self) -> None:
        self._count = itertools.count()
        self._tables: dict[tuple[str, str], str] = {}

    def name(self, kind: str = "v") -> str:
        """Return a name that is used nowhere else."""
        return f"{kind}{next(self._count)}"

    def table(self, value: ndarray, scalar: str) -> str:
        """Return the name of a table of constants, which is defined once."""
        numbers = f"[{value.size}] = {{{', '.join(map(literal, value.reshape(-1)))}}};"
        return self._tables.setdefault((scalar, numbers), f"table{len(self._tables)}")

    def tables(self) -> list[str]:
        """Return the tables' definitions."""
        return [
            f"alignas(16) static const {k} {name}{text}" for (k, text), name in self._tables.items()
        ]


def literal(number: Any) -> str:
    """Format a number in C++, with all its bits."""
    kind = np.asarray(number).dtype
    if kind == np.dtype(bool):
        return "true" if number else "false"
    if kind.kind in "iu":
        return f"{number}{'u' * (kind.kind == 'u')}{'ll' * (kind.itemsize == 8)}"
    short = "f" * (kind.itemsize == 4)
    if np.isnan(number):
        return f'__builtin_nan{short}("")'
    if np.isinf(number):
        return f"{'-' * bool(number < 0)}__builtin_inf{short}()"
    return f"{float(number).hex()}{short}"
