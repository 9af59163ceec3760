"""Loops in C++ over the elements of an array, and products of matrices."""

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy import ndarray

from basin_jax.simd.arrays import (
    Constant,
    Elementwise,
    Index,
    Iota,
    Linear,
    Node,
    Product,
    Random,
    Reduce,
    Reshape,
    Rows,
    View,
    place,
)


REGISTERS = 24  # sums of a tile
SCALARS = {
    "f32": "float",
    "f64": "double",
    "i32": "int32_t",
    "i64": "int64_t",
    "u32": "uint32_t",
    "u64": "uint64_t",
    "b32": "bool",
}


class Text:
    """What the whole program shares: names, and tables of constants."""

    def __init__(self) -> None:
        self._count = itertools.count()
        self._tables: dict[tuple[str, str], str] = {}

    def name(self, kind: str = "v") -> str:
        """Return a name that is used nowhere else."""
        return f"{kind}{next(self._count)}"

    def table(self, value: ndarray, scalar: str) -> str:
        """Return the name of a table of constants, which is written down once."""
        numbers = f"[{value.size}] = {{{', '.join(map(literal, value.reshape(-1)))}}};"
        return self._tables.setdefault((scalar, numbers), f"table{len(self._tables)}")

    def tables(self) -> list[str]:
        """Return the tables' definitions."""
        return [f"static const {k} {name}{text}" for (k, text), name in self._tables.items()]


@runtime_checkable
class Memory(Protocol):
    """Tells what is stored, and where."""

    text: Text

    def holds(self, node: Node) -> bool:
        """Return whether an array is stored."""
        ...

    def array(self, node: Node) -> str:
        """Return the C++ of a pointer to a stored array."""
        ...


def element(memory: Memory, node: Node, flat: Linear | str) -> str:
    """Return the C++ of an element of a stored array or a constant."""
    if not isinstance(node, Constant):
        return f"{memory.array(node)}[{flat}]"
    if node.is_splat:
        return f"K_{node.type}({literal(node.scalar)})"
    return f"K_{node.type}({memory.text.table(node.value, SCALARS[node.type])}[{flat}])"


def literal(number: Any) -> str:
    """Return a number as C++ has it, with all its bits."""
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


@dataclass
class Loop:
    """Loops, one inside the other, and the statements inside the innermost."""

    memory: Memory
    # What no turn changes comes first: a compiler cannot tell that no store changes it.
    head: list[str] = field(default_factory=list)
    fixed: set[str] = field(default_factory=set)  # the names in there
    lines: list[str] = field(default_factory=list)
    depth: int = 0
    known: dict[Any, str] = field(default_factory=dict)

    def nested(self) -> "Loop":
        """Return a loop to be written inside this one."""
        return Loop(self.memory, head=self.head, fixed=self.fixed, known=dict(self.known))

    def over(self, shape: Sequence[int], stride: int = 1) -> Index:
        """Open a loop over each axis longer than one, and return the index.

        The last axis is gone through in strides.
        """
        index = []
        for axis, n in enumerate(shape):
            if n == 1:
                index.append(Linear())
                continue
            name, step = self.memory.text.name("n"), stride if axis == len(shape) - 1 else 1
            self.lines.append(f"for (long {name} = 0; {name} < {n}; {name} += {step}) {{")
            self.depth += 1
            index.append(Linear(0, ((name, 1),)))
        return tuple(index)

    def store(self, node: Node, index: Index, value: str) -> None:
        """Write an element of an array."""
        self.lines.append(f"{self.memory.array(node)}[{place(index, node.strides)}] = {value};")

    def close(self) -> list[str]:
        """Return all lines."""
        return ["{", *self.head, *self.body()]

    def body(self) -> list[str]:
        """Return the loops and what they end with, without what comes first."""
        return [*self.lines, "}" * (self.depth + 1)]

    def at(self, node: Node, index: Index) -> str:
        """Return the C++ of an element, and write down what it takes to compute it."""
        if isinstance(node, View):
            return self.at(node.args[0], node.at(index))
        if isinstance(node, Iota):
            return f"K_{node.type}({SCALARS[node.type]}({place(index, node.steps)}))"
        if isinstance(node, Constant) and node.is_splat:
            return element(self.memory, node, "")
        if isinstance(node, Reshape | Constant) or self.memory.holds(node):
            lies = node.args[0] if isinstance(node, Reshape) else node
            return self._keep(node, index, element(self.memory, lies, place(index, node.strides)))
        return self.compute(node, index)

    def compute(self, node: Node, index: Index) -> str:
        """Write down what computes an element, and return its name."""
        if (node.number, index) in self.known:
            return self.known[node.number, index]
        if isinstance(node, Reduce):
            return self._reduce(node, index)
        if isinstance(node, Rows):
            return self._row(node, index)
        if isinstance(node, Random):
            return self._random(node, index)
        assert isinstance(node, Elementwise), node
        args = [self.at(arg, index) for arg in node.args]
        return self._keep(node, index, node.template.format(*args), args)

    def _keep(self, node: Node, index: Index, text: str, args: Sequence[str] = ()) -> str:
        key = node.number, index
        if key not in self.known:
            name = self.known[key] = self.memory.text.name()
            same = not any(axis.terms for axis in index)
            if same and all(arg in self.fixed or arg.startswith("K_") for arg in args):
                self.fixed.add(name)
            lines = self.head if name in self.fixed else self.lines
            lines.append(f"const {node.type} {name} = {text};")
        return self.known[key]

    def _reduce(self, node: Reduce, index: Index) -> str:
        (arg,) = node.args
        total = self.memory.text.name()
        self.lines.append(f"{node.type} {total} = {_start(node)};")
        inner = self.nested()
        turns = iter(inner.over([arg.shape[d] for d in node.axes]))
        place_of = {d: next(turns) for d in node.axes}
        kept = iter(index)
        where = tuple(place_of[d] if d in place_of else next(kept) for d in range(len(arg.shape)))
        value = node.template.format(total, inner.at(arg, where))
        inner.lines.append(f"{total} = {value};")
        self.lines += ["{", *inner.body()]
        return total

    def draw(self, node: Random, places: Sequence[Index]) -> None:
        """Write down what computes elements of random words at once, if they share a key."""
        if (self._drawn(node), places[0]) in self.known:
            return
        args = [[self.at(arg, index) for arg in node.args] for index in places]
        keys = {(high, low) for high, low, *_ in args}
        if len(keys) > 1:
            return
        (key,), name, size = keys, self.memory.text.name(), len(places)
        words = [[one[i] for one in args] for i in (2, 3)]
        for i in (0, 1):
            self.lines.append(f"u32 {name}_{i}[{size}] = {{{', '.join(words[i])}}};")
        self.lines.append(f"threefry({', '.join(key)}, {name}_0, {name}_1);")
        for n, index in enumerate(places):
            self.known[self._drawn(node), index] = f"{name}_{{}}[{n}]"

    def _drawn(self, node: Random) -> tuple[int, ...]:
        return tuple(arg.number for arg in node.args)  # the two words are one computation

    def _random(self, node: Random, index: Index) -> str:
        self.draw(node, [index])
        return self.known[self._drawn(node), index].format(node.word)

    def _row(self, node: Rows, index: Index) -> str:
        rows, which = node.args
        beside = len(which.shape)
        # No further than the rows go: lanes without a seed of their own may ask for anything.
        kind, last = which.type, rows.shape[0] - 1
        asked = f"maximum({self.at(which, index[:beside])}, K_{kind}(0))"
        chosen = self.memory.text.name()
        self.lines.append(f"const {kind} {chosen} = minimum({asked}, K_{kind}({last}));")
        flat = f"{chosen}[s] * {rows.strides[0]} + {place(index[beside:], rows.strides[1:])}"
        if isinstance(rows, Constant):
            text = f"{self.memory.text.table(rows.value, SCALARS[rows.type])}[{flat}]"
            text = f"-int({text})" if rows.type == "b32" else text
        else:
            text = f"{self.memory.array(rows)}[{flat}][s]"
        name = self.known[node.number, index] = self.memory.text.name()
        self.lines.append(f"{node.type} {name};")
        self.lines.append(f"for (int s = 0; s < LANES; s++) {name}[s] = {text};")
        return name


def _start(node: Reduce) -> str:
    if node.start not in ("low", "high"):
        return f"K_{node.type}({node.start})"
    kind = np.dtype(node.dtype)
    if kind.kind == "f":
        ends = {"low": -np.inf, "high": np.inf}
    else:
        ends = {"low": np.iinfo(kind).min, "high": np.iinfo(kind).max}
    return f"K_{node.type}({literal(kind.type(ends[node.start]))})"


@dataclass(frozen=True)
class _Factor:
    """Where a factor of a product lies, and how far apart its elements are along each axis."""

    text: str
    strides: tuple[int, ...]


def _factor(memory: Memory, node: Node) -> _Factor:
    index = tuple(Linear(0, ((str(d), 1),)) for d in range(len(node.shape)))
    axes = range(len(node.shape))
    while isinstance(node, View):
        index, node = node.at(index), node.args[0]
    where = place(index, node.strides)
    steps = dict(where.terms)
    if isinstance(node, Constant):
        text = memory.text.table(node.value, SCALARS[node.type])
    else:
        text = memory.array(node)
    return _Factor(f"{text} + {where.constant}", tuple(steps.get(str(d), 0) for d in axes))


def product(memory: Memory, node: Product) -> list[str]:
    """Return the C++ of a product: loops over all axes but the last free one of each factor."""
    left, right = (_factor(memory, arg) for arg in node.args)
    rows, columns = node.free(0), node.free(1)
    batch, base = len(node.batch[0]), len(node.batch[0]) + len(rows)
    # Of each axis of a loop: its length, and its steps in the left factor, the right, and out.
    axes = [
        (node.shape[i], left.strides[a], right.strides[b], node.strides[i])
        for i, (a, b) in enumerate(zip(*node.batch, strict=True))
    ]
    axes += [
        (node.shape[batch + i], left.strides[a], 0, node.strides[batch + i])
        for i, a in enumerate(rows[:-1])
    ]
    axes += [
        (node.shape[base + i], 0, right.strides[b], node.strides[base + i])
        for i, b in enumerate(columns[:-1])
    ]
    loop = Loop(memory)
    index = loop.over([n for n, *_ in axes])
    start = [place(index, [axis[k] for axis in axes]) for k in (1, 2, 3)]
    m, am, om = (1, 0, 0) if not rows else _axis(node, 0, rows[-1], left, base - 1)
    n, bn, on = (1, 0, 0) if not columns else _axis(node, 1, columns[-1], right, -1)
    (summed,), (across,) = node.contract
    k, ak, bk = node.args[0].shape[summed], left.strides[summed], right.strides[across]
    tm, tn = _tile(m, n)
    loop.lines.append(
        f"product<{m}, {n}, {k}, {tm}, {tn}>({memory.array(node)} + {start[2]}, {om}, {on}, "
        f"{left.text} + {start[0]}, {am}, {ak}, {right.text} + {start[1]}, {bn}, {bk});"
    )
    return loop.close()


def _axis(node: Product, side: int, axis: int, factor: _Factor, out: int) -> tuple[int, int, int]:
    """Return an axis's length, and its steps in a factor and in the product."""
    return node.args[side].shape[axis], factor.strides[axis], node.strides[out]


@functools.cache
def _tile(m: int, n: int) -> tuple[int, int]:
    """Choose a tile by the cycles of one step along the contracted axis, over all tiles."""

    def cycles(rows: int, columns: int) -> float:
        # A product or a load a cycle, and sums that wait four cycles for themselves.
        return max(rows * columns, rows + columns, 4) + (rows + columns) / 100

    def total(tile: tuple[int, int]) -> float:
        rows = [tile[0]] * (m // tile[0]) + [m % tile[0]] * (m % tile[0] > 0)
        columns = [tile[1]] * (n // tile[1]) + [n % tile[1]] * (n % tile[1] > 0)
        return sum(cycles(a, b) for a in rows for b in columns)

    sizes = range(1, REGISTERS + 1)
    tiles = [(a, b) for a in sizes for b in sizes if a <= m and b <= n and a * b <= REGISTERS]
    return min(tiles, key=total)
