"""The code of each array that is kept, whatever order it runs in."""

from collections.abc import Collection, Sequence

from basin_jax.compiler import ir
from basin_jax.compiler.cuda.fragments.choice import Choice
from basin_jax.compiler.cuda.fragments.homes import Rows, Tiles
from basin_jax.compiler.cuda.fragments.loops import (
    RegisterLoop,
    RowLoop,
    SharedLoop,
    TileLoop,
    both,
    register,
    row_tiles,
)
from basin_jax.compiler.cuda.fragments.places import (
    PARTS,
    ROUNDED,
    STAGED,
    STAGED_BF16,
    STAGED_TF32,
    WHOLE,
    Piece,
    Place,
    Places,
    pitch_of,
    pitch_of_parts,
)
from basin_jax.compiler.cuda.shared import SharedLoops
from basin_jax.compiler.loops import gather, start_of
from basin_jax.compiler.matmul import factor_of


KINDS = {"": "AsFloat32", "Tf32": "AsTf32", "Bf16": "AsBf16"}
STAGES = {"": STAGED, "Tf32": STAGED_TF32, "Bf16": STAGED_BF16}
MOST_TILES = 8  # of a block: what a warp holds at once of a gradient


class Pieces(SharedLoops):
    """Write each kept array's code, and what registers hold to shared memory where that is read.

    Args:
        choice: what is kept, and where.
        places: the arrays in shared memory.
        asked: places that other code reads.
    """

    def __init__(self, choice: Choice, places: Places, asked: Collection[Place]):
        super().__init__(places, 32 * choice.warps)
        self.choice, self.places, self.asked = choice, places, set(asked)
        self.spreads: dict[ir.Product, str] = {}
        self._first_warp = self._first_thread = 0

    def loop(self) -> SharedLoop:
        return SharedLoop(self.places)

    def piece(self, node: ir.Node) -> Piece:
        """Return the code that computes a node."""
        return self._recorded(node, lambda: self._lines(node))

    def together(self, nodes: Sequence[ir.Node], targets: Sequence[Place]) -> Piece:
        """Return one loop that computes several arrays of one shape, and writes each to a place."""

        # One group's threads follow another's, so that no warp has all of them.
        first, warps = self._first_thread, -(-nodes[0].size // 32)
        self._first_thread = (first + 32 * warps) % self.threads

        def write() -> list[str]:
            loop = SharedLoop(self.places, shape=nodes[0].shape, first=first)
            index = loop.over(nodes[0].shape)
            for node in nodes:
                loop.known[node.number, index] = loop.compute(node, index)
            for node, target in zip(nodes, targets, strict=True):
                self.places.piece.writes.add(target)
                place = ir.place(index, self.places.strides(node))
                value = loop.known[node.number, index]
                loop.lines.append(f"{self.places.pointer(target)}[{place}] = {value};")
            return loop.close()

        return self._recorded(nodes[-1], write)

    def copy(self, node: ir.Node, target: Place) -> Piece:
        """Return the code that writes an array to a place."""

        def write() -> list[str]:
            home = self.choice.homes.get(node)
            if home is not None:
                return self._publish(node, target)
            loop = SharedLoop(self.places, shape=node.shape)
            index = loop.over(node.shape)
            value = loop.at(node, index)
            self.places.piece.writes.add(target)
            place = ir.place(index, self.places.strides(target.node))
            loop.lines.append(f"{self.places.pointer(target)}[{place}] = {value};")
            return loop.close()

        return self._recorded(None, write)

    def staged(self, target: Place) -> Piece:
        """Return the code that stages an array that does not vary."""

        def write() -> list[str]:
            node, rows = target.node, self.places.rows(target.node)
            loop = RowLoop(self.places)
            index = loop.over_rows(rows)
            loop.lines.append(f"v{loop.here()} = {loop.at(node, index)};")
            declared = self._declared("v", node, rows)
            return ["{", declared, *loop.close(), self._stage(target, "v", rows), "}"]

        return self._recorded(None, write)

    def _recorded(self, node: ir.Node | None, write) -> Piece:
        piece = self.places.piece = Piece(node=node)
        piece.lines = write()
        return piece

    def _lines(self, node: ir.Node) -> list[str]:
        home = self.choice.homes.get(node)
        if home is None:
            return self._shared(node)
        lines = [self.declared(node)]
        if isinstance(node, ir.Product):
            lines += self._layer(node) if isinstance(home, Rows) else self._gradient(node)
        elif isinstance(node, ir.Reduce):
            lines += self._over_columns(node)
        else:
            lines += self._elements(node, home)
        for form in self._forms(node):
            lines += self._publish(node, Place(node, form))
        return lines

    def _forms(self, node: ir.Node) -> list[str]:
        return sorted(place.form for place in self.asked if place.node is node)

    def declared(self, node: ir.Node) -> str:
        """Return the C++ that declares the registers that hold an array."""
        return self._declared(register(node), node, self.choice.homes[node])

    def _declared(self, name: str, node: ir.Node, home: Rows | Tiles) -> str:
        if isinstance(home, Tiles):
            spread = self.spread(home.gradient)
            return f"{node.type} {name}[{spread}::TURNS][{self._tiles(home)}][4];"
        tiles = row_tiles(home, self.choice.warps)
        if home.columns is None:
            return f"{node.type} {name}[{tiles}][2];"
        return f"{node.type} {name}[{tiles}][{-(-home.width // 8)}][4];"

    def _shared(self, node: ir.Node) -> list[str]:
        if isinstance(node, ir.Product):
            self.places.write(node)
            return self.product(node)
        if isinstance(node, ir.Reduce):
            if self.choice.is_partial(node):
                return self._over_rows(node)
            self.places.write(node)
            return self.reduce(node)
        if isinstance(node, ir.Gather):
            self.places.write(node)
            return gather(self.places, self.loop, node)
        return []

    # Elements

    def _elements(self, node: ir.Node, home: Rows | Tiles) -> list[str]:
        loop, index = self.open(home)
        loop.lines.append(f"{register(node)}{self._here(loop)} = {loop.compute(node, index)};")
        return loop.close()

    def open(self, home: Rows | Tiles) -> tuple[RowLoop | TileLoop, ir.Index]:
        """Open a loop over what a thread holds of an array."""
        if isinstance(home, Rows):
            loop = RowLoop(self.places)
            return loop, loop.over_rows(home)
        loop = TileLoop(self.places)
        return loop, loop.over_tiles(home, self.spread(home.gradient), self._tiles(home))

    @staticmethod
    def _here(loop: RegisterLoop) -> str:
        return loop.here() if isinstance(loop, RowLoop) else "[turn][tile][x]"

    # Products

    def _layer(self, node: ir.Product) -> list[str]:
        side = self.choice.classes.layer_side(node)
        assert side is not None
        rows, matrix = node.args[side], node.args[1 - side]
        along, free = node.contract[1 - side][0], node.free(1 - side)
        across = next(d for d in free if matrix.shape[d] > 1)
        loop = RowLoop(self.places)
        index = loop.over_rows(self.places.rows(rows))
        loop.lines.append(f"a{loop.here()} = {loop.at(rows, index)};")
        factor, begin, strides = factor_of(self.places, matrix)
        start = begin.constant
        base, ready = ir.base(matrix), False
        if isinstance(self.choice.homes.get(base), Tiles) and node.rounded == "Tf32":
            ready = Place(base, WHOLE) not in self.asked
            if ready:
                self.places.piece.reads.discard(Place(base, WHOLE))
                factor = self.places.read(base, ROUNDED)
        k, n = strides[along], strides[across]
        pairs = k == 1 and n % 2 == 0 and start % 2 == 0
        numbers = (
            *(KINDS[node.rounded], str(ready).lower()),
            *(matrix.shape[along], matrix.shape[across], k, n, str(pairs).lower()),
        )
        call = f"times<{', '.join(map(str, numbers))}>({register(node)}, a, {factor} + {start});"
        declared = self._declared("a", rows, self.places.rows(rows))
        return ["{", declared, *loop.close(), call, "}"]

    def _gradient(self, node: ir.Product) -> list[str]:
        home = self.choice.homes[node]
        assert isinstance(home, Tiles)
        form, spread = STAGES[node.rounded], self.spread(node)
        # The first axis of the result is the left factor's.
        factors = [self._factor(node.args[axis], form) for axis in (home.down, home.across)]
        (left, above), (right, beside) = factors
        steps = -(-self.places.rows(node.args[0]).count // 16) * (
            1 if node.rounded == "Bf16" else 2
        )
        down, across = self._block(node.shape[home.down], node.shape[home.across])
        ready = str(node.rounded == "Tf32").lower()
        numbers = (KINDS[node.rounded], ready, spread, down, across, steps, above, beside)
        return [f"over_rows<{', '.join(map(str, numbers))}>({register(node)}, {left}, {right});"]

    def _factor(self, node: ir.Node, form: str) -> tuple[str, int]:
        """Return a staged factor, and how far apart its rows begin."""
        return self.places.read(staged_as(node), form), pitch_of(self.places.rows(node).count, form)

    def spread(self, node: ir.Product) -> str:
        """Return the C++ type that says where a warp's tiles of a gradient lie."""
        if node not in self.spreads:
            home = self.choice.homes[node]
            assert isinstance(home, Tiles)
            m, n = node.shape[home.down], node.shape[home.across]
            down, across = self._block(m, n)
            blocks = -(-m // 16) // down * (-(-n // 8) // across)
            first = self._first_warp
            self._first_warp = (first - blocks) % self.choice.warps
            self.spreads[node] = f"Spread<{m}, {n}, {down}, {across}, {first}>"
        return self.spreads[node]

    def _tiles(self, home: Tiles) -> int:
        own = self.choice.homes[home.gradient]
        assert isinstance(own, Tiles)
        down, across = self._block(home.gradient.shape[own.down], home.gradient.shape[own.across])
        return down * across

    def _block(self, m: int, n: int) -> tuple[int, int]:
        """Choose the number of tiles of a block, down and across."""
        downs, acrosses = -(-m // 16), -(-n // 8)

        def cost(block: tuple[int, int]) -> float:
            down, across = block
            turns = -(-(downs // down * (acrosses // across)) // self.choice.warps)
            return turns * (down * across + 4 * down + 2 * across)  # products, and their reads

        sizes = (1, 2, 4, 8)
        fitting = [
            (a, b)
            for a in sizes
            for b in sizes
            if downs % a == 0 and acrosses % b == 0 and a * b <= MOST_TILES
        ]
        return min(fitting, key=cost)

    # Sums

    def _over_columns(self, node: ir.Reduce) -> list[str]:
        (arg,) = node.args
        rows, start = self.places.rows(arg), start_of(node)
        loop = RowLoop(self.places)
        index = loop.over_rows(rows)
        value, total = loop.at(arg, index), f"{register(node)}[i][x / 2]"
        if rows.width % 8:
            value = f"select(is_column<{rows.width}>(j, x), {value}, {start})"
        loop.lines.append(f"{total} = {node.template.format(total, value)};")
        tiles = row_tiles(rows, self.choice.warps)
        each = f"for (int i = 0; i < {tiles}; i++) for (int h = 0; h < 2; h++)"
        total = f"{register(node)}[i][h]"
        return [
            *(RowLoop.UNROLLED, f"{each} {total} = {start};", *loop.close()),
            *(RowLoop.UNROLLED, f"{each} {total} = over_columns({total}, {both(node)});"),
        ]

    def _over_rows(self, node: ir.Reduce) -> list[str]:
        """Let each warp reduce its own rows, and write what it has of each column."""
        (arg,) = node.args
        rows, start = self.places.rows(arg), start_of(node)
        kept = rows.columns is not None and rows.columns not in node.axes
        loop = RowLoop(self.places)
        index = loop.over_rows(rows)
        value = f"select(is_row<{rows.count}>(i, x), {loop.at(arg, index)}, {start})"
        if rows.width % 8 and rows.columns is not None and not kept:
            value = f"select(is_column<{rows.width}>(j, x), {value}, {start})"
        number = 2 * -(-rows.width // 8) if kept else 1
        total = "v[2 * j + x % 2]" if kept else "v[0]"
        loop.lines.append(f"{total} = {node.template.format(total, value)};")
        lines = [
            f"{node.type} v[{number}];",
            *(RowLoop.UNROLLED, f"for (int n = 0; n < {number}; n++) v[n] = {start};"),
            *loop.close(),
        ]
        if not kept and rows.columns is not None:
            lines.append(f"v[0] = over_columns(v[0], {both(node)});")
        part = f"{self.places.write(node, PARTS)} + warp() * {pitch_of_parts(node)}"
        # Without columns all lanes have the same number, as of a column of one.
        place = f"16, {number}, {'true' if kept else 'false'}"
        lines.append(f"over_lanes<{place}>(v, 0, {part}, {node.size}, {both(node)});")
        return ["{", *lines, "}"]

    # From registers to shared memory

    def _publish(self, node: ir.Node, target: Place) -> list[str]:
        home = self.choice.homes[node]
        self.places.piece.held.add(node)
        if target.form in (STAGED, STAGED_TF32, STAGED_BF16):
            assert isinstance(home, Rows)
            return [self._stage(target, register(node), home)]
        loop, index = self.open(home)
        value = f"{register(node)}{self._here(loop)}"
        if isinstance(home, Rows):
            inside = [f"is_row<{home.count}>(i, x).v"]
            inside += [f"is_column<{home.width}>(j, x).v"] * (home.columns is not None)
            inside += ["lane_pair() == 0"] * (home.columns is None)
            condition = " && ".join(inside)
        else:
            condition = f"{self.spread(home.gradient)}::inside(turn, tile, x)"
        if target.form == ROUNDED:
            value = f"bits<f32>(as_tf32({value}))"
        self.places.piece.writes.add(target)
        place = ir.place(index, self.places.strides(target.node))
        loop.lines.append(f"if ({condition}) {self.places.pointer(target)}[{place}] = {value};")
        return loop.close()

    def _stage(self, target: Place, name: str, rows: Rows) -> str:
        self.places.piece.writes.add(target)
        numbers = f"{rows.count}, {pitch_of(rows.count, target.form)}"
        if target.form == STAGED_BF16:
            return f"stage_bf16<{numbers}>({self.places.pointer(target)}, {name});"
        rounded = str(target.form == STAGED_TF32).lower()
        return f"stage<{numbers}, {rounded}>({self.places.pointer(target)}, {name});"


def staged_as(node: ir.Node) -> ir.Node:
    """Return the array that is staged for a product: what a view only turns is staged as it is."""
    while isinstance(node, ir.View):
        (arg,) = node.args
        whole = all(
            n == 1 or (axis is not None and (start, step, node.shape[axis]) == (0, 1, n))
            for n, (axis, start, step) in zip(arg.shape, node.axes, strict=True)
        )
        if not whole or arg.size != node.size:
            break
        node = arg
    return node
