"""Loops over elements that threads hold in registers, or share as elements of shared memory."""

import math
from dataclasses import dataclass
from typing import ClassVar

from basin_jax.compiler import ir
from basin_jax.compiler.cuda.fragments.homes import Rows, Tiles
from basin_jax.compiler.cuda.fragments.places import PARTS, Places, pitch_of_parts
from basin_jax.compiler.cuda.shared import ThreadLoop


ZERO = ir.Linear()


def register(node: ir.Node) -> str:
    """Return the C++ name of the registers that hold an array."""
    return f"{'s' if isinstance(node, ir.Input) else 'r'}{node.number}"


@dataclass
class RegisterLoop(ThreadLoop):
    """A loop over elements, which reads from registers what it holds there."""

    @property
    def places(self) -> Places:
        """Where arrays lie, and who reads them."""
        assert isinstance(self.storage, Places)
        return self.storage

    def at(self, node: ir.Node, index: ir.Index) -> str:
        if isinstance(node, ir.View):
            return self.at(node.args[0], node.at(index))
        if node is self.places.number:
            return "number"
        if (node.number, index) in self.known:
            return self.known[node.number, index]
        held = self.held(node, index)
        if held is not None:
            self.places.piece.held.add(node)
            return held
        if self.places.choice.is_partial(node):
            return self._keep(node, index, self._whole(node, index))
        if self.places.choice.is_uniform(node) and not any(axis.terms for axis in index):
            # Once, before the loop.
            lines, self.lines = self.lines, self.head
            text, self.lines = self.compute(node, index), lines
            return text
        return super().at(node, index)

    def held(self, node: ir.Node, index: ir.Index) -> str | None:
        """Return the C++ of an element that this thread has in registers; None if it has not."""
        del node, index
        return None

    def _whole(self, node: ir.Node, index: ir.Index) -> str:
        """Return the C++ that adds up what each warp has of a sum."""
        part = self.places.read(node, PARTS)
        place = ir.place(index, node.strides)
        return f"over_warps({part} + {place}, {pitch_of_parts(node)}, {both(node)})"


@dataclass
class SharedLoop(RegisterLoop):
    """A loop whose elements threads share; it knows what else is read at the same element."""

    shape: tuple[int, ...] = ()  # of the array that it computes
    own: ir.Index = ()
    first: int = 0  # the thread that takes the first element

    def over(self, shape, stride=1):
        del stride
        threads, size = 32 * self.places.choice.warps, math.prod(shape)
        flat = self.storage.symbols.name("e")
        thread = f"(THREAD + {threads - self.first}) % THREADS" if self.first else "THREAD"
        self.lines.append(f"const int {flat} = {thread};")
        if size > threads:
            self.lines.append(f"for (int n = {flat}; n < {size}; n += THREADS) {{")
            flat = "n"
        else:
            self.lines.append(f"if ({flat} < {size}) {{")
        self.depth += 1
        self.own = self.split(shape, flat)
        return self.own

    def at(self, node: ir.Node, index: ir.Index) -> str:
        kept = self.places.holds(node) and not self.places.choice.is_partial(node)
        self.places.at_own = kept and index == self.own and node.shape == self.shape
        try:
            return super().at(node, index)
        finally:
            self.places.at_own = False


@dataclass
class RowLoop(RegisterLoop):
    """A loop over the elements of an array of rows that a thread holds."""

    rows: Rows | None = None
    row: ir.Linear = ZERO
    column: ir.Linear = ZERO
    UNROLLED: ClassVar[str] = "#pragma unroll"

    def over_rows(self, rows: Rows) -> ir.Index:
        """Open the loop, and return the index of the array's element."""
        warps, name = self.places.choice.warps, self.storage.symbols.name
        row, column = name("row"), name("column")
        self.rows, wide = rows, rows.columns is not None
        tiles, across = row_tiles(rows, warps), -(-rows.width // 8)
        self.lines += [self.UNROLLED, f"for (int i = 0; i < {tiles}; i++)"]
        if wide:
            self.lines += [self.UNROLLED, f"for (int j = 0; j < {across}; j++)"]
        self.lines += [self.UNROLLED, f"for (int x = 0; x < 4; x += {1 if wide else 2}) {{"]
        self.lines.append(f"const int {row} = row_of<{rows.count}>(i, x);")
        self.row = ir.Linear(0, ((row, 1),))
        if wide:
            self.lines.append(f"const int {column} = column_of<{rows.width}>(j, x);")
            self.column = ir.Linear(0, ((column, 1),))
        self.depth += 1
        return self.index_of(rows)

    def index_of(self, rows: Rows) -> ir.Index:
        """Return the index of an element of an array with these axes."""
        axes = {rows.batch: self.row} | (
            {} if rows.columns is None else {rows.columns: self.column}
        )
        return tuple(axes.get(d, ir.Linear()) for d in range(rows.axes))

    def held(self, node: ir.Node, index: ir.Index) -> str | None:
        home = self.places.choice.homes.get(node)
        if not isinstance(home, Rows) or self.rows is None or home.count != self.rows.count:
            return None
        if index[home.batch] != self.row:
            return None
        if home.columns is None:
            return f"{register(node)}[i][x / 2]"
        column = index[home.columns]
        if self.rows.columns is not None and column == self.column:
            if self.places.choice.is_again(node):
                return self.compute(node, index)
            return f"{register(node)}[i][j][x]"
        if not column.terms:
            at, side = divmod(column.constant, 8)
            return f"of_column({register(node)}[i][{at}][x / 2 * 2 + {side % 2}], {side})"
        return None

    def here(self) -> str:
        """Return the C++ of the subscripts of the element."""
        return "[i][j][x]" if self.rows and self.rows.columns is not None else "[i][x / 2]"


@dataclass
class TileLoop(RegisterLoop):
    """A loop over the elements of a gradient's tiles that a thread holds."""

    home: Tiles | None = None
    down: ir.Linear = ZERO
    across: ir.Linear = ZERO

    def over_tiles(self, home: Tiles, spread: str, tiles: int) -> ir.Index:
        """Open the loop, and return the index of the array's element."""
        down, across = (self.storage.symbols.name(kind) for kind in ("down", "across"))
        unrolled = RowLoop.UNROLLED
        self.home = home
        self.lines += [
            *(unrolled, f"for (int turn = 0; turn < {spread}::TURNS; turn++)"),
            f"if ({spread}::has(turn))",
            *(unrolled, f"for (int tile = 0; tile < {tiles}; tile++)"),
            *(unrolled, "for (int x = 0; x < 4; x++) {"),
            f"const int {down} = least({spread}::down(turn, tile, x), {spread}::M - 1);",
            f"const int {across} = least({spread}::across(turn, tile, x), {spread}::N - 1);",
        ]
        self.down, self.across = ir.Linear(0, ((down, 1),)), ir.Linear(0, ((across, 1),))
        self.depth += 1
        return self.index_of(home)

    def index_of(self, home: Tiles) -> ir.Index:
        """Return the index of an element of an array with this home."""
        axes = {home.down: self.down, home.across: self.across}
        return tuple(axes.get(d, ir.Linear()) for d in range(2))

    def held(self, node: ir.Node, index: ir.Index) -> str | None:
        home = self.places.choice.homes.get(node)
        if not isinstance(home, Tiles) or self.home is None:
            return None
        if home.gradient is not self.home.gradient or index != self.index_of(home):
            return None
        return f"{register(node)}[turn][tile][x]"


def both(node: ir.Node) -> str:
    """Return the C++ of the operation of a reduction, as a function of two numbers."""
    assert isinstance(node, ir.Reduce)
    kind = node.type
    return f"[]({kind} a, {kind} b) {{ return {node.template.format('a', 'b')}; }}"


def row_tiles(rows: Rows, warps: int) -> int:
    """Return how many tiles of sixteen rows a warp holds."""
    return math.ceil(math.ceil(rows.count / 16) / warps)
