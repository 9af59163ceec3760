"""Loops in C++ over the elements of an array."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from basin_jax.compiler import ir
from basin_jax.compiler.cpp import SCALARS, literal
from basin_jax.compiler.memory import Arrays


def element(storage: Arrays, node: ir.Node, flat: ir.Linear | str) -> str:
    """Return the C++ of an element of a stored array or a constant."""
    if not isinstance(node, ir.Constant):
        return f"{storage.array(node)}[{flat}]"
    if node.is_splat:
        return f"K_{node.type}({literal(node.scalar)})"
    return f"K_{node.type}({storage.symbols.table(node.value, SCALARS[node.type])}[{flat}])"


@dataclass
class Loop:
    """Loops, one inside the other, and the statements inside the innermost."""

    storage: Arrays
    # What no turn changes comes first: a compiler cannot tell that no store changes it.
    head: list[str] = field(default_factory=list)
    fixed: set[str] = field(default_factory=set)  # the names in there
    lines: list[str] = field(default_factory=list)
    depth: int = 0
    known: dict[Any, str] = field(default_factory=dict)

    def nested(self) -> "Loop":
        """Return a loop to be written inside this one."""
        return Loop(self.storage, head=self.head, fixed=self.fixed, known=dict(self.known))

    def over(self, shape: Sequence[int], stride: int = 1) -> ir.Index:
        """Open a loop over each axis longer than one, and return the index.

        The last axis is gone through in strides.
        """
        index = []
        for axis, n in enumerate(shape):
            if n == 1:
                index.append(ir.Linear())
                continue
            name, step = self.storage.symbols.name("n"), stride if axis == len(shape) - 1 else 1
            self.lines.append(f"for (long {name} = 0; {name} < {n}; {name} += {step}) {{")
            self.depth += 1
            index.append(ir.Linear(0, ((name, 1),)))
        return tuple(index)

    def store(self, node: ir.Node, index: ir.Index, value: str) -> None:
        """Emit the store of an element."""
        self.lines.append(f"{self.storage.array(node)}[{self._place(node, index)}] = {value};")

    def _place(self, node: ir.Node, index: ir.Index) -> ir.Linear:
        return ir.place(index, self.storage.strides(node))

    def close(self) -> list[str]:
        """Return all lines."""
        return ["{", *self.head, *self.body()]

    def body(self) -> list[str]:
        """Return the loops with their closing braces, without the head."""
        return [*self.lines, "}" * (self.depth + 1)]

    def at(self, node: ir.Node, index: ir.Index) -> str:
        """Return the C++ of an element, and emit the code that computes it."""
        if isinstance(node, ir.Moved):
            return self.at(node.args[0], node.at(index))
        if isinstance(node, ir.Iota):
            return f"K_{node.type}({SCALARS[node.type]}({ir.place(index, node.steps)}))"
        if isinstance(node, ir.Constant) and node.is_splat:
            return element(self.storage, node, "")
        if isinstance(node, ir.Reshape | ir.Constant) or self.storage.holds(node):
            lies = node.args[0] if isinstance(node, ir.Reshape) else node
            return self._keep(node, index, element(self.storage, lies, self._place(node, index)))
        return self.compute(node, index)

    def compute(self, node: ir.Node, index: ir.Index) -> str:
        """Emit the code that computes an element, and return its name."""
        if (node.number, index) in self.known:
            return self.known[node.number, index]
        if isinstance(node, ir.Reduce):
            return self._reduce(node, index)
        if isinstance(node, ir.TakeRows):
            return self._row(node, index)
        if isinstance(node, ir.Padded):
            return self._padded(node, index)
        if isinstance(node, ir.Random):
            return self._random(node, index)
        assert isinstance(node, ir.Elementwise), node
        args = [self.at(arg, index) for arg in node.args]
        return self._keep(node, index, node.template.format(*args), args)

    def _keep(self, node: ir.Node, index: ir.Index, text: str, args: Sequence[str] = ()) -> str:
        key = node.number, index
        if key not in self.known:
            name = self.known[key] = self.storage.symbols.name()
            same = not any(axis.terms for axis in index)
            if same and all(arg in self.fixed or arg.startswith("K_") for arg in args):
                self.fixed.add(name)
            lines = self.head if name in self.fixed else self.lines
            lines.append(f"const {node.type} {name} = {text};")
        return self.known[key]

    def _reduce(self, node: ir.Reduce, index: ir.Index) -> str:
        (arg,) = node.args
        total = self.storage.symbols.name()
        self.lines.append(f"{node.type} {total} = {start_of(node)};")
        inner = self.nested()
        where = node.where(index, inner.over([arg.shape[d] for d in node.axes]))
        value = node.template.format(total, inner.at(arg, where))
        inner.lines.append(f"{total} = {value};")
        self.lines += ["{", *inner.body()]
        return total

    def draw(self, node: ir.Random, places: Sequence[ir.Index]) -> None:
        """Emit the code that computes several random words at once, if they share a key."""
        if (self._drawn(node), places[0]) in self.known:
            return
        args = [[self.at(arg, index) for arg in node.args] for index in places]
        keys = {(high, low) for high, low, *_ in args}
        if len(keys) > 1:
            return
        (key,), name, size = keys, self.storage.symbols.name(), len(places)
        words = [[one[i] for one in args] for i in (2, 3)]
        for i in (0, 1):
            self.lines.append(f"u32 {name}_{i}[{size}] = {{{', '.join(words[i])}}};")
        self.lines.append(f"threefry({', '.join(key)}, {name}_0, {name}_1);")
        for n, index in enumerate(places):
            self.known[self._drawn(node), index] = f"{name}_{{}}[{n}]"

    def _drawn(self, node: ir.Random) -> tuple[int, ...]:
        return tuple(arg.number for arg in node.args)  # the two words are one computation

    def _random(self, node: ir.Random, index: ir.Index) -> str:
        self.draw(node, [index])
        return self.known[self._drawn(node), index].format(node.word)

    def _padded(self, node: ir.Padded, index: ir.Index) -> str:
        """Read an element if there is one, and nowhere beyond the ends."""
        (arg,), inside, places = node.args, [], []
        for i, n, begin, step in zip(index, arg.shape, node.begins, node.steps, strict=True):
            away = i + ir.Linear(-begin)
            inside += [f"{away} >= 0", f"{away} < {n * step}"]
            inside += [f"({away}) % {step} == 0"] * (step > 1)
            if step > 1:
                name = self.storage.symbols.name("n")
                self.lines.append(f"const long {name} = ({away}) / {step};")
                away = ir.Linear(0, ((name, 1),))
            places.append(away)
        where = tuple(places)
        while isinstance(arg, ir.Moved):
            where, arg = arg.at(where), arg.args[0]
        value = element(self.storage, arg, self._place(arg, where))
        fill = f"K_{node.type}({literal(np.asarray(node.fill, node.dtype))})"
        name = self.known[node.number, index] = self.storage.symbols.name()
        text = f"{' && '.join(inside)} ? {value} : {fill}"
        self.lines.append(f"const {node.type} {name} = {text};")
        return name

    def _row(self, node: ir.TakeRows, index: ir.Index) -> str:
        rows, which = node.args
        beside = len(which.shape)
        # No further than the rows go: lanes without a seed of their own may ask for anything.
        kind, last = which.type, rows.shape[0] - 1
        asked = f"maximum({self.at(which, index[:beside])}, K_{kind}(0))"
        chosen = self.storage.symbols.name()
        self.lines.append(f"const {kind} {chosen} = minimum({asked}, K_{kind}({last}));")
        apart, *others = self.storage.strides(rows)
        behind = ir.place(index[beside:], others)
        name = self.known[node.number, index] = self.storage.symbols.name()
        self.lines += self.picked(node, name, chosen, f"{apart} + {behind}")
        return name

    def picked(self, node: ir.TakeRows, name: str, chosen: str, rest: str) -> list[str]:
        """Return the C++ that picks an element of a row, which each seed chooses."""
        rows, flat = node.args[0], f"{chosen}[s] * {rest}"
        if isinstance(rows, ir.Constant):
            text = f"{self.storage.symbols.table(rows.value, SCALARS[rows.type])}[{flat}]"
            text = f"-int({text})" if rows.type == "b32" else text
        else:
            text = f"{self.storage.array(rows)}[{flat}][s]"
        pick = f"for (int s = 0; s < LANES; s++) {name}[s] = {text};"
        return [f"{node.type} {name};", pick]


def gather(storage: Arrays, loop_of: Callable[[], Loop], node: ir.Gather) -> list[str]:
    """Return the loops that move elements as a table says."""
    table = storage.symbols.table(node.places.reshape(-1).astype(np.int32), "int32_t")
    lines, first = [], 0
    for arg in node.args:
        loop = loop_of()
        (e,) = loop.over((node.size,)) or (ir.Linear(),)
        source = storage.symbols.name()
        loop.lines.append(f"const long {source} = {table}[{e}] - {first};")
        moved = f"{storage.array(node)}[{e}] = {element(storage, arg, source)};"
        loop.lines.append(f"if ({source} >= 0 && {source} < {arg.size}) {moved}")
        lines += loop.close()
        first += arg.size
    return lines


def start_of(node: ir.Reduce) -> str:
    """Return the C++ of a reduction's initial value."""
    if node.start not in ("low", "high"):
        return f"K_{node.type}({node.start})"
    kind = np.dtype(node.dtype)
    if kind.kind == "f":
        ends = {"low": -np.inf, "high": np.inf}
    else:
        ends = {"low": np.iinfo(kind).min, "high": np.iinfo(kind).max}
    return f"K_{node.type}({literal(kind.type(ends[node.start]))})"
