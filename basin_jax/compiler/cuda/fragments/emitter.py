"""Emit a step by fragments."""

from collections.abc import Sequence

from basin_jax.compiler import inner_loops, ir
from basin_jax.compiler.cpp import SCALARS
from basin_jax.compiler.cuda.fragments.choice import Choice
from basin_jax.compiler.cuda.fragments.homes import Tiles
from basin_jax.compiler.cuda.fragments.loops import register
from basin_jax.compiler.cuda.fragments.pieces import Pieces
from basin_jax.compiler.cuda.fragments.places import WHOLE, Piece, Place
from basin_jax.compiler.cuda.fragments.rewrite import simplified
from basin_jax.compiler.cuda.fragments.schedule import scheduled
from basin_jax.compiler.cuda.program import Program, fits
from basin_jax.compiler.lowering_loops import replacing


BARRIER = "__syncthreads();"


def emit(
    inputs: Sequence[ir.Input],
    states: Sequence[ir.Input],
    results: Sequence[ir.Node],
    *,
    most: int,
) -> Program:
    """Emit the program of a step, as `cpu.emitter.emit` does.

    Args:
        most: bytes of shared memory that a block may have.

    Raises:
        Unsupported: where no weight's gradient sums over a batch, a loop is inside a step, a
            product is not of float32, or a seed does not fit into a block's memory.
    """
    results = list(map(replacing, states, simplified(results)))
    nodes = ir.below(results)
    if any(isinstance(node, inner_loops.Repeat) for node in nodes):
        raise ir.Unsupported("a loop inside a step")
    moved = [node for node in nodes if isinstance(node, ir.Moved | ir.Padded)]
    if not all(isinstance(node, ir.View) for node in moved):
        raise ir.Unsupported("windows of an array")
    if any(isinstance(node, ir.Product) and node.type != "f32" for node in nodes):
        raise ir.Unsupported("products of other than float32")
    choice = Choice(states, results)
    if not choice.classes.batches:
        raise ir.Unsupported("no gradient that sums over a batch")
    schedule, pieces = scheduled(choice, inputs[0])
    addresses, memory = schedule.addresses(pieces.places)
    fits(memory, most)
    used = {place.node for place in addresses if place.form == WHOLE}
    loads = [
        _load(pieces, node, i)
        for i, node in enumerate(inputs)
        if node in used and node not in choice.homes
    ]
    lines = [
        *(f"constexpr int {place} = {address};" for place, address in addresses.items()),
        *loads,
        *(line for i, node in enumerate(inputs) for line in _take(pieces, node, i)),
        BARRIER,
        *(line for piece in schedule.before for line in (*piece.lines, BARRIER)),
        "const int first = static_cast<const int32_t*>(arrays.inputs[0])[seed];",
        "const int end = first + *arrays.count;",
        "for (int number = first; number < end; number++) {",
        *(line for level in schedule.levels for line in _level(level)),
        *_replace(choice),
        "}",
        *(_store(pieces, node, i) for i, node in enumerate(states)),
    ]
    threads = 32 * choice.warps
    return Program(
        tables=pieces.places.symbols.tables(),
        body=lines,
        memory=memory,
        threads=threads,
        barriers=len(schedule.levels),
        kernel="fragments",
    )


def _level(pieces: Sequence[Piece]) -> list[str]:
    return [*(line for piece in pieces for line in piece.lines), BARRIER]


def _replace(choice: Choice) -> list[str]:
    """Let new values in registers replace the old."""
    held = [
        (register(state), register(result))
        for state, result in zip(choice.states, choice.results, strict=True)
        if state in choice.homes and result is not state
    ]
    return [f"replace({old}, {new});" for old, new in held]


def _rows(pieces: Pieces, node: ir.Input) -> str:
    pitch = (1, 1, *pieces.places.strides(node))[-2]
    return f"{node.size}, {node.shape[-1] if node.shape else 1}, {pitch}, seed"


def _load(pieces: Pieces, node: ir.Input, number: int) -> str:
    to = pieces.places.pointer(Place(node, WHOLE))
    return f"load<{SCALARS[node.type]}>({to}, arrays.inputs[{number}], {_rows(pieces, node)});"


def _take(pieces: Pieces, node: ir.Input, number: int) -> list[str]:
    """Read a state into registers."""
    home = pieces.choice.homes.get(node)
    if not isinstance(home, Tiles):
        return []
    loop, index = pieces.open(home)
    source = f"static_cast<const {SCALARS[node.type]}*>(arrays.inputs[{number}])"
    place = ir.place(index, node.strides)
    loop.lines.append(f"{register(node)}[turn][tile][x] = {source}[seed * {node.size} + {place}];")
    return [pieces.declared(node), *loop.close()]


def _store(pieces: Pieces, node: ir.Input, number: int) -> str:
    home = pieces.choice.homes.get(node)
    if not isinstance(home, Tiles):
        source = pieces.places.pointer(Place(node, WHOLE))
        to = f"arrays.outputs[{number}]"
        return f"store<{SCALARS[node.type]}>({to}, {source}, {_rows(pieces, node)});"
    loop, index = pieces.open(home)
    to = f"static_cast<{SCALARS[node.type]}*>(arrays.outputs[{number}])"
    value = f"{SCALARS[node.type]}({register(node)}[turn][tile][x])"
    place = ir.place(index, node.strides)
    inside = f"{pieces.spread(home.gradient)}::inside(turn, tile, x)"
    loop.lines.append(f"if ({inside}) {to}[seed * {node.size} + {place}] = {value};")
    return "\n".join(loop.close())
