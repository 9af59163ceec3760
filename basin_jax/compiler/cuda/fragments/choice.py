"""Which arrays of a step are kept, and where each has its home."""

from collections.abc import Iterator, Sequence

from basin_jax.compiler import ir
from basin_jax.compiler.cuda.fragments.homes import Classes, Rows, Tiles


# Operations of one element, by what its C++ calls; all else is one.
COSTS = {
    "/": 6,
    "by_root": 8,
    "square_root": 6,
    "exponential": 8,
    "logarithm": 8,
    "hyperbolic_tangent": 12,
    "logistic": 12,
    "power": 20,
    "inverse_error_function": 20,
    "sine": 12,
    "cosine": 12,
}
DRAWN, READ = 80, 2
DEAR = 3  # what is at least so dear, and read by more than one loop, is kept
SMALL_KEYS = 8  # random words that every thread draws for itself


class Choice:
    """The arrays of a graph that are kept, and their homes.

    Args:
        states, results: what replaces what.

    Attributes:
        nodes: the results and their ancestors, arguments first.
        kept: those that are computed once, the others where they are read.
        homes: of the kept ones and the states in registers; all others are in shared memory.
        warps: of a block.
    """

    def __init__(self, states: Sequence[ir.Input], results: Sequence[ir.Node]):
        self.states, self.results = list(states), list(results)
        self.nodes = ir.below(results)
        self.classes = Classes(self.nodes, states, results)
        self.kept = self._kept()
        self.homes: dict[ir.Node, Rows | Tiles] = {}
        for node in self.nodes:
            if node in self.kept and node.varies and (home := self._home(node)):
                self.homes[node] = home
        for state, result in zip(states, results, strict=True):
            home = self.homes.get(result)
            if isinstance(home, Tiles):
                self.homes[state] = home
        rows = [home.count for home in self.homes.values() if isinstance(home, Rows)]
        self.warps = min(8, -(-max(rows, default=1) // 16))

    def is_uniform(self, node: ir.Node) -> bool:
        """Return True if every thread computes a node for itself: a few random keys."""
        return isinstance(node, ir.Random) and node.size <= SMALL_KEYS

    def is_partial(self, node: ir.Node) -> bool:
        """Return True if each warp has its own part of a node: a sum over a batch."""
        if not isinstance(node, ir.Reduce) or not node.varies:
            return False
        rows = self.classes.rows(node.args[0])
        return rows is not None and rows.batch in node.axes

    def is_again(self, node: ir.Node) -> bool:
        """Return True if a kept array costs no more to compute again than to hold in registers."""
        if not isinstance(node, ir.Elementwise) or _cost_of(node) > 1:
            return False
        bases = [ir.base(arg) for arg in node.args]
        held = [base for base in bases if not (isinstance(base, ir.Constant) and base.is_splat)]
        return all(isinstance(self.homes.get(base), Rows) for base in held)

    def _home(self, node: ir.Node) -> Rows | Tiles | None:
        if isinstance(node, ir.Product):
            if self.classes.is_gradient(node) and len(node.shape) == 2:
                down = min((0, 1), key=lambda axis: _tiles(node.shape[axis], node.shape[1 - axis]))
                return Tiles(gradient=node, down=down, across=1 - down)
            return self.classes.rows(node) if self.classes.layer_side(node) is not None else None
        if isinstance(node, ir.Reduce):
            (arg,) = node.args
            return self.classes.rows(node) if self.classes.rows(arg) else None
        if isinstance(node, ir.Gather):
            return None
        return self.classes.rows(node) or next(self._tiles(node, range(len(node.shape))), None)

    def _tiles(self, node: ir.Node, axes: Sequence[int | None]) -> Iterator[Tiles]:
        """Yield the tiles that an expression reads; `axes` says which of its own each axis is."""
        for arg in node.args:
            mapped = list(axes)
            if isinstance(node, ir.View):
                whole = (0, 1)
                mapped = [
                    axes[axis]
                    if axis is not None
                    and (start, step) == whole
                    and arg.shape[d] == node.shape[axis]
                    else None
                    for d, (axis, start, step) in enumerate(node.axes)
                ]
            home = self.homes.get(arg)
            if isinstance(home, Tiles):
                down, across = mapped[home.down], mapped[home.across]
                if down is not None and across is not None:
                    yield Tiles(gradient=home.gradient, down=down, across=across)
            elif isinstance(arg, ir.Elementwise | ir.View) and arg not in self.kept:
                yield from self._tiles(arg, mapped)

    def _kept(self) -> set[ir.Node]:
        own = set(self.nodes)
        kept: set[ir.Node] = {n for n in self.nodes if isinstance(n, ir.Product | ir.Reduce)}
        kept |= {n for n in self.nodes if isinstance(n, ir.Gather)} | set(self.results)
        for node in self.nodes:
            kept |= {ir.base(arg) for arg in self._stored_factors(node)}
        costs = self._costs(kept)
        readers: dict[ir.Node, set[ir.Node]] = {node: set() for node in self.nodes}
        # Readers first: which loops does each value end up in?
        for node in reversed(self.nodes):
            loops = readers[node]
            if costs[node] >= DEAR and len(loops) > 1 and not self.is_uniform(node):
                kept.add(node)
            for arg in filter(own.__contains__, node.args):
                readers[arg] |= {node} if node in kept else loops
                base = ir.base(arg)
                again = isinstance(node, ir.View) and node.repeats and not self.classes.rows(base)
                once = node.varies and not arg.varies
                if (again or once) and costs[base] and not self.is_uniform(base):
                    kept.add(base)
        never = ir.Input | ir.Constant | ir.Iota | ir.View | ir.Reshape
        return {node for node in kept & own if not isinstance(node, never)}

    def _stored_factors(self, node: ir.Node) -> list[ir.Node]:
        """Return the arguments that a node reads as arrays."""
        if isinstance(node, ir.Product):
            side = self.classes.layer_side(node)
            return list(node.args) if side is None else [node.args[1 - side]]
        if isinstance(node, ir.TakeRows):
            return [node.args[0]]
        return list(node.args) if isinstance(node, ir.Reshape | ir.Gather) else []

    def _costs(self, kept: set[ir.Node]) -> dict[ir.Node, int]:
        """Return the operations of an element of each node, from kept ones on."""
        costs: dict[ir.Node, int] = {}
        for node in self.nodes:
            if isinstance(node, ir.Elementwise | ir.Random | ir.View | ir.Reduce | ir.TakeRows):
                parts = [self._cost_of_reading(arg, kept, costs) for arg in node.args]
                costs[node] = _cost_of(node) + sum(parts)
            else:
                costs[node] = 0
        return costs

    def _cost_of_reading(self, arg: ir.Node, kept: set[ir.Node], costs: dict[ir.Node, int]) -> int:
        if isinstance(arg, ir.Input) or arg in kept:
            return 0 if self.classes.rows(arg) else READ
        return costs[arg]


def _tiles(down: int, across: int) -> int:
    return -(-down // 16) * -(-across // 8)


def _cost_of(node: ir.Node) -> int:
    if isinstance(node, ir.Random):
        return DRAWN
    if not isinstance(node, ir.Elementwise):
        return 0
    return max(1, sum(cost for name, cost in COSTS.items() if name in node.template))
