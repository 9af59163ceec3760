"""The intermediate representation: a graph of the arrays that a step computes for one seed.

An element of an array becomes a vector with a seed in each lane, or a number where all seeds
share it. Nodes do not say where arrays are stored: `memory` plans that.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy import ndarray

from basin_jax.compiler.cpp import SCALARS


class Unsupported(Exception):
    """A step that a target cannot compile.

    Attributes:
        where: the file, line and function, once an equation is known that it comes from.
    """

    where = ""

    def __str__(self) -> str:
        return f"{super().__str__()}{self.where and f' ({self.where})'}"


_identity = itertools.count()


def next_number() -> int:
    """Return a number that is larger than that of any node so far."""
    return next(_identity)


@dataclass(frozen=True)
class Linear:
    """A whole number that is linear in loop variables: an index, or a place in memory."""

    constant: int = 0
    terms: tuple[tuple[str, int], ...] = ()

    def __add__(self, other: "Linear") -> "Linear":
        sums = dict(self.terms)
        for name, factor in other.terms:
            sums[name] = sums.get(name, 0) + factor
        return Linear(self.constant + other.constant, tuple((n, f) for n, f in sums.items() if f))

    def __mul__(self, factor: int) -> "Linear":
        terms = tuple((n, f * factor) for n, f in self.terms) if factor else ()
        return Linear(self.constant * factor, terms)

    def __str__(self) -> str:
        parts = [name if factor == 1 else f"{factor} * {name}" for name, factor in self.terms]
        return " + ".join(parts + [str(self.constant)] * (self.constant != 0 or not parts))


Index = tuple[Linear, ...]


@dataclass(eq=False, repr=False)
class Node:
    """An array, with the arrays that it is computed from, its shape and its type."""

    args: tuple["Node", ...]
    shape: tuple[int, ...]
    dtype: Any
    number: int = field(default_factory=next_number)
    varies: bool = False  # with the step or the state; else it is computed once
    cost: int = 0  # operations of one element, up to stored arrays
    ties: tuple["Node", ...] = ()  # other nodes that it waits for

    def __post_init__(self) -> None:
        self.varies |= any(arg.varies for arg in self.args)

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.number}: {self.type}{list(self.shape)}"

    @property
    def type(self) -> str:
        """The C++ name of the vectors of its elements."""
        return type_of(self.dtype)

    @property
    def size(self) -> int:
        """The number of its elements."""
        return math.prod(self.shape)

    @property
    def strides(self) -> tuple[int, ...]:
        """The strides of its elements where it is stored: the last axis is contiguous."""
        return row_major(self.shape)


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the strides of an array along each axis, in C's order."""
    return tuple(math.prod(shape[d + 1 :]) for d in range(len(shape)))


def type_of(dtype: Any) -> str:
    """Return the C++ name of vectors of a type.

    Raises:
        Unsupported: where there is none.
    """
    dtype = np.dtype(dtype)
    name = "b32" if dtype.kind == "b" else f"{dtype.kind}{8 * dtype.itemsize}"
    if name not in SCALARS:
        raise Unsupported(f"numbers of type {dtype.name}")
    return name


def place(index: Sequence[Linear], strides: Sequence[int]) -> Linear:
    """Return the place of an element, given its index and the strides."""
    return sum((i * stride for i, stride in zip(index, strides, strict=True)), Linear())


@dataclass(eq=False, repr=False)
class Input(Node):
    """An input: hyperparameters, the key, the step, the state."""


@dataclass(eq=False, repr=False, kw_only=True)
class Constant(Node):
    """Constants, the same for all seeds."""

    value: ndarray

    @property
    def is_splat(self) -> bool:
        """Whether all elements share one value."""
        return self.value.size == 1 or not any(self.value.strides)

    @property
    def scalar(self) -> Any:
        """The value that all elements share."""
        return self.value.flat[0]


@dataclass(eq=False, repr=False, kw_only=True)
class Elementwise(Node):
    """One operation on elements at the same place: a C++ expression of its arguments."""

    template: str


@dataclass(eq=False, repr=False, kw_only=True)
class Random(Node):
    """One of the two words that Threefry makes of two words of a key and two of a counter."""

    word: int


@dataclass(eq=False, repr=False, kw_only=True)
class Moved(Node):
    """The same elements at other places, which are linear in an element's index."""

    @property
    def begins_at(self) -> Index:
        """The argument's index of the first element, which may depend on the turn of a loop."""
        return self.at([Linear()] * len(self.shape))

    def at(self, index: Sequence[Linear]) -> Index:
        """Return the argument's index of an element."""
        raise NotImplementedError

    @property
    def repeats(self) -> bool:
        """Whether several elements read the same element of the argument."""
        raise NotImplementedError


@dataclass(eq=False, repr=False, kw_only=True)
class View(Moved):
    """The same elements at other places: axis d of the argument is read at
    `start + step * index[axis]`, where `axes[d]` is (axis or None, start, step)."""

    axes: tuple[tuple[int | None, int, int], ...]

    def at(self, index: Sequence[Linear]) -> Index:
        """Return the argument's index of an element."""
        return tuple(
            Linear(start) if axis is None else index[axis] * step + Linear(start)
            for axis, start, step in self.axes
        )

    @property
    def repeats(self) -> bool:
        """Whether several elements read the same element of the argument."""
        used = {axis for axis, _, _ in self.axes}
        return any(n > 1 and d not in used for d, n in enumerate(self.shape))


@dataclass(eq=False, repr=False, kw_only=True)
class Windows(Moved):
    """Windows of an array: axis d of the argument is read at the sum of `step * index[axis]` over
    the pairs (axis, step) of `axes[d]`."""

    axes: tuple[tuple[tuple[int, int], ...], ...]

    def at(self, index: Sequence[Linear]) -> Index:
        """Return the argument's index of an element."""
        return tuple(sum((index[d] * step for d, step in pairs), Linear()) for pairs in self.axes)

    @property
    def repeats(self) -> bool:
        """Whether several elements read the same element of the argument."""
        return self.size > self.args[0].size


@dataclass(eq=False, repr=False, kw_only=True)
class Row(Moved):
    """The row of an array at a turn of a loop."""

    row: Linear

    @property
    def repeats(self) -> bool:
        """Whether several elements read the same element of the argument."""
        return False

    def at(self, index: Sequence[Linear]) -> Index:
        """Return the argument's index of an element."""
        return (self.row, *index)


@dataclass(eq=False, repr=False, kw_only=True)
class Shifted(Moved):
    """A part of an array, which begins at another place at each turn of a loop."""

    begins: Index

    @property
    def repeats(self) -> bool:
        """Whether several elements read the same element of the argument."""
        return False

    def at(self, index: Sequence[Linear]) -> Index:
        """Return the argument's index of an element."""
        return tuple(i + begin for i, begin in zip(index, self.begins, strict=True))


@dataclass(eq=False, repr=False, kw_only=True)
class Padded(Node):
    """An array, between others, with one value around its elements: element n of the argument along
    axis d is at `begins[d] + steps[d] * n`."""

    begins: tuple[int, ...]
    steps: tuple[int, ...]
    fill: Any


@dataclass(eq=False, repr=False, kw_only=True)
class Reshape(Node):
    """The same elements in the same order, in another shape."""


@dataclass(eq=False, repr=False, kw_only=True)
class Iota(Node):
    """A number counted along the axes: the sum of index times step."""

    steps: tuple[int, ...]


@dataclass(eq=False, repr=False, kw_only=True)
class TakeRows(Node):
    """Rows of the first argument; the second holds the index of each, which a seed decides."""


@dataclass(eq=False, repr=False, kw_only=True)
class Gather(Node):
    """Elements at constant places: element e is element `places[e]` of all the arguments' elements,
    one argument after the other."""

    places: ndarray


@dataclass(eq=False, repr=False, kw_only=True)
class Reduce(Node):
    """Sums, extremes, or conjunctions along axes."""

    template: str
    start: str
    axes: tuple[int, ...]

    def where(self, index: Index, turns: Index) -> Index:
        """Return the argument's index, given that of an element and that along the axes."""
        along, kept = dict(zip(self.axes, turns, strict=True)), iter(index)
        return tuple(along[d] if d in along else next(kept) for d in range(len(self.args[0].shape)))


@dataclass(eq=False, repr=False, kw_only=True)
class Contraction(Node):
    """Sums of products along some axes: [batch..., left's free axes..., right's free axes...]."""

    contract: tuple[tuple[int, ...], tuple[int, ...]]
    batch: tuple[tuple[int, ...], tuple[int, ...]]

    def free(self, side: int) -> tuple[int, ...]:
        """Return the axes of an argument that are neither contracted nor batched."""
        taken = {*self.contract[side], *self.batch[side]}
        return tuple(d for d in range(len(self.args[side].shape)) if d not in taken)


@dataclass(eq=False, repr=False, kw_only=True)
class Product(Contraction):
    """A product of matrices: sums along one axis."""

    rounded: str  # the type that factors may be rounded to: "", "Tf32", "Bf16"


def below(nodes: Sequence[Node]) -> list[Node]:
    """Return nodes and their ancestors, arguments first."""
    seen: dict[int, Node] = {}
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if node.number not in seen:
            seen[node.number] = node
            stack += node.args
    return [seen[number] for number in sorted(seen)]


def constant(value: np.ndarray) -> Constant:
    return Constant((), value.shape, value.dtype, value=value)


def elementwise(template: str, args: Sequence[Node], shape, dtype, cost: int = 1) -> Elementwise:
    alike = tuple(arg if arg.shape == shape else broadcast_to(arg, shape) for arg in args)
    total = cost + sum(arg.cost for arg in alike)
    return Elementwise(alike, shape, dtype, template=template, cost=total)


def broadcast_to(arg: Node, shape: tuple[int, ...]) -> Node:
    """Repeat a scalar, or an array along its axes of length one, without a copy."""
    if isinstance(arg, Constant) and arg.is_splat:
        return constant(np.broadcast_to(np.asarray(arg.scalar), shape))
    return view(arg, shape, [(d if n > 1 else None, 0, 1) for d, n in enumerate(arg.shape)])


def view(arg: Node, shape: Sequence[int], axes) -> View:
    # Parameters of primitives may be NumPy's integers.
    read = tuple((None if d is None else int(d), int(start), int(step)) for d, start, step in axes)
    return View((arg,), tuple(map(int, shape)), arg.dtype, axes=read, cost=arg.cost)


def reshape(arg: Node, shape: tuple[int, ...]) -> Node:
    """Return the same elements in another shape: as a view where only ones come and go."""
    if isinstance(arg, Constant):
        return constant(arg.value.reshape(shape))
    kept = [d for d, n in enumerate(shape) if n != 1]
    if [shape[d] for d in kept] != [n for n in arg.shape if n != 1]:
        return Reshape((contiguous(arg),), shape, arg.dtype)
    places = iter(kept)
    return view(arg, shape, [(None if n == 1 else next(places), 0, 1) for n in arg.shape])


def contiguous(node: Node) -> Node:
    """Return a node whose elements lie in memory in the order of its axes."""
    if isinstance(node, Moved | Reshape | Iota) or (isinstance(node, Constant) and node.is_splat):
        return elementwise("{0}", [node], node.shape, node.dtype)
    return node


def readable(node: Node) -> Node:
    """Return a node that is stored, or a view of one, wherever it is needed so."""
    return node if contiguous(base(node)) is base(node) else contiguous(node)


def base(node: Node) -> Node:
    """Return the array that a view reads."""
    return base(node.args[0]) if isinstance(node, Moved) else node
