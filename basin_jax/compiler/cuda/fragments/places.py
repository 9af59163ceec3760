"""Arrays in shared memory, by name: who reads and writes them, and how they lie there."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from basin_jax.compiler import ir
from basin_jax.compiler.cpp import Symbols
from basin_jax.compiler.cuda.fragments.choice import Choice
from basin_jax.compiler.cuda.fragments.homes import Rows
from basin_jax.compiler.cuda.shared import GAP


# How an array lies in shared memory: as all loops read it; the same, rounded for products; with the
# rows of the batch side by side, for products that sum over them, as they are, rounded, or two in a
# word of bf16; or as the sums of each warp, which are still to be added up.
WHOLE, ROUNDED, STAGED, STAGED_TF32, STAGED_BF16, PARTS = (
    *("Whole", "Rounded", "Staged", "StagedTf32"),
    *("StagedBf16", "Parts"),
)


class Place(NamedTuple):
    """An array in shared memory."""

    node: ir.Node
    form: str

    def __str__(self) -> str:
        return f"at{self.node.number}{self.form}"


@dataclass
class Piece:
    """The code that computes a node, or writes it to shared memory.

    Attributes:
        node: what it computes; None if it only writes.
        reads, writes: places in shared memory.
        held: nodes that it reads from registers.
        own: nodes that it reads at the element that it writes.
        apart: nodes that it reads at another element.
    """

    node: ir.Node | None = None
    lines: list[str] = field(default_factory=list)
    reads: set[Place] = field(default_factory=set)
    writes: set[Place] = field(default_factory=set)
    held: set[ir.Node] = field(default_factory=set)
    own: set[ir.Node] = field(default_factory=set)
    apart: set[ir.Node] = field(default_factory=set)
    level: int = 0

    @property
    def same(self) -> set[ir.Node]:
        """The nodes that it reads only where it writes, so that one loop can do both."""
        return self.own - self.apart


class Places:
    """The arrays in shared memory: their addresses, strides and sizes, and who uses them.

    Args:
        choice: what is kept.
        number: the number of the step, which all threads know.
    """

    def __init__(self, choice: Choice, number: ir.Input):
        self.symbols, self.choice, self.number = Symbols(), choice, number
        self.piece = Piece()
        self.at_own = False  # whether a loop reads the element that it writes
        gathering = ir.Reshape | ir.Gather
        self.dense = {
            ir.base(arg) for n in choice.nodes if isinstance(n, gathering) for arg in n.args
        }

    def holds(self, node: ir.Node) -> bool:
        """Return True if an array is kept."""
        return node in self.choice.kept or isinstance(node, ir.Input)

    def array(self, node: ir.Node) -> str:
        """Return the C++ of a pointer to an array that lies as all loops read it."""
        return self.read(node, WHOLE)

    def read(self, node: ir.Node, form: str) -> str:
        """Return the C++ of a pointer to an array that is read."""
        place = Place(node, form)
        self.piece.reads.add(place)
        (self.piece.own if self.at_own else self.piece.apart).add(node)
        return self.pointer(place)

    def write(self, node: ir.Node, form: str = WHOLE) -> str:
        """Return the C++ of a pointer to an array that is written."""
        place = Place(node, form)
        self.piece.writes.add(place)
        return self.pointer(place)

    def pointer(self, place: Place) -> str:
        """Return the C++ of a pointer."""
        kind = "u32" if place.form == STAGED_BF16 else place.node.type
        return f"(({kind}*)(memory + {place}))"

    def strides(self, node: ir.Node) -> tuple[int, ...]:
        """Return the strides of an array that lies as all loops read it."""
        *above, width = node.shape or (1,)
        narrow = not above or width % 8 or np.dtype(node.dtype).itemsize > 4
        if narrow or node in self.dense or not self.holds(node) or isinstance(node, ir.Gather):
            return node.strides
        return (*(stride * (width + GAP) for stride in ir.row_major(above)), 1)

    def bytes_of(self, place: Place) -> int:
        """Return the size of an array."""
        node = place.node
        if place.form == PARTS:
            words = self.choice.warps * pitch_of_parts(node)
        elif place.form in (WHOLE, ROUNDED):
            words = self.strides(node)[0] * node.shape[0] if node.shape else 1
        else:
            # A tile may read columns that are not there, and uses them for nothing.
            rows = self.rows(node)
            words = pitch_of(rows.count, place.form) * -(-rows.width // 16) * 16
        return words * max(4, np.dtype(node.dtype).itemsize)

    def rows(self, node: ir.Node) -> Rows:
        """Return how an array with a batch is spread."""
        rows = self.choice.classes.rows(node)
        assert rows is not None, node
        return rows


def pitch_of(count: int, form: str) -> int:
    """Return how far apart staged columns of rows begin, so that eight lie in other banks."""
    return -(-count // 16) * (8 if form == STAGED_BF16 else 16) + 4


def pitch_of_parts(node: ir.Node) -> int:
    """Return how far apart the sums of warps begin."""
    return -(-node.size // 4) * 4


def allocate(
    places: Collection[Place], spans: dict[Place, tuple[float, float]], sizes: dict[Place, int]
) -> tuple[dict[Place, int], int]:
    """Give each array an address: two whose spans of levels do not meet may share one.

    Args:
        places: in the order of their names.
        spans: the first and the last level in which each is needed.
        sizes: in bytes.

    Returns:
        The addresses, and the end of memory, in bytes.
    """
    found: dict[Place, int] = {}
    for place in sorted(places, key=lambda place: -sizes[place]):
        first, last = spans[place]
        taken = sorted(
            (found[other], found[other] + sizes[other])
            for other in found
            if spans[other][0] <= last and first <= spans[other][1]
        )
        address = 0
        for begin, end in taken:
            if address + sizes[place] <= begin:
                break
            address = max(address, -(-end // 16) * 16)
        found[place] = address
    return found, max((found[place] + sizes[place] for place in found), default=0)
