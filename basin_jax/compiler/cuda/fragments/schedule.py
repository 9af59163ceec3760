"""The program of a step: pieces in levels, with one barrier between two levels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from basin_jax.compiler import ir
from basin_jax.compiler.cuda.fragments.choice import Choice
from basin_jax.compiler.cuda.fragments.homes import Tiles
from basin_jax.compiler.cuda.fragments.pieces import Pieces
from basin_jax.compiler.cuda.fragments.places import WHOLE, Piece, Place, Places, allocate


ROUNDS = 8  # of asking what is read from shared memory


@dataclass
class Schedule:
    """Pieces of code, and the arrays that they leave in shared memory.

    Attributes:
        before: run once, in this order, with a barrier between two.
        levels: of a step, with a barrier behind each.
        aliases: places that are another's.
    """

    before: list[Piece] = field(default_factory=list)
    levels: list[list[Piece]] = field(default_factory=list)
    aliases: dict[Place, Place] = field(default_factory=dict)

    @property
    def pieces(self) -> list[Piece]:
        return [*self.before, *(piece for level in self.levels for piece in level)]

    def addresses(self, places: Places) -> tuple[dict[Place, int], int]:
        """Give each array an address, and return the end of memory, in bytes."""
        last = float(len(self.levels))
        spans: dict[Place, tuple[float, float]] = {}
        written: set[Place] = set()
        for number, level in enumerate(self.levels):
            for piece in level:
                written |= piece.writes
                for place in piece.reads | piece.writes:
                    first, end = spans.get(place, (number, number))
                    spans[place] = min(first, number), max(end, number)
        for place in {place for piece in self.pieces for place in piece.reads | piece.writes}:
            kept = isinstance(place.node, ir.Input) or place not in written
            if kept or any(place in piece.writes for piece in self.before):
                spans[place] = 0.0, last
        for state in places.choice.states:
            if state not in places.choice.homes:
                spans[Place(state, WHOLE)] = 0.0, last
        own = {place for place in spans if place not in self.aliases}
        sizes = {place: places.bytes_of(place) for place in own}
        found, end = allocate(own, spans, sizes)
        found |= {place: found[other] for place, other in self.aliases.items() if other in found}
        return found, end


def scheduled(choice: Choice, number: ir.Input) -> tuple[Schedule, Pieces]:
    """Return the schedule of a step, and the object that wrote its pieces.

    Which arrays the code reads from shared memory is known only after it is written. So it is
    written again, until it reads no further array there.
    """
    asked: set[Place] = set()
    for _ in range(ROUNDS):
        writer = _Scheduler(Pieces(choice, Places(choice, number), asked))
        schedule = writer.schedule()
        reads = {place for piece in schedule.pieces for place in piece.reads}
        wanted = {place for place in reads if _is_asked(choice, place)}
        if wanted == asked:
            _check(schedule)
            return schedule, writer.pieces
        asked = wanted
    raise ir.Unsupported("a fault of the compiler: reads that do not settle")


def _is_asked(choice: Choice, place: Place) -> bool:
    """Return True if a place is written only where somebody reads it."""
    whole = place.form == WHOLE and choice.is_partial(place.node)
    return place.node in choice.homes or whole or _is_staged(place)


def _check(schedule: Schedule) -> None:
    """Raise `Unsupported` if an array is read that nobody writes."""
    written = {place for piece in schedule.pieces for place in piece.writes}
    for place in {place for piece in schedule.pieces for place in piece.reads} - written:
        if not isinstance(place.node, ir.Input):
            raise ir.Unsupported(f"a fault of the compiler: nobody writes {place}")


def _is_staged(place: Place) -> bool:
    return place.form.startswith("Staged")


class _Scheduler:
    def __init__(self, pieces: Pieces):
        self.pieces, self.choice = pieces, pieces.choice
        self.of: dict[ir.Node, Piece] = {}
        self.extra: list[Piece] = []  # that compute no node
        self.writers: dict[Place, Piece] = {}
        self.readers: dict[Place, list[Piece]] = {}

    def schedule(self) -> Schedule:
        choice = self.choice
        first = [node for node in choice.nodes if node in choice.kept and not node.varies]
        before = [self._alone(n) if self.is_group(n) else self.pieces.piece(n) for n in first]
        before += [
            self.pieces.copy(state, Place(state, place.form))
            for state in choice.states
            for place in sorted(self.pieces.asked, key=str)
            if place.node is state
        ]
        staged = [p for p in sorted(self.pieces.asked, key=str) if self._is_extra(p)]
        before += [self.pieces.staged(place) for place in staged if not place.node.varies]
        for node in choice.nodes:
            if node in choice.kept and node.varies:
                self._add(self._alone(node) if self.is_group(node) else self.pieces.piece(node))
            whole = Place(node, WHOLE)
            if choice.is_partial(node) and whole in self.pieces.asked:
                self._add(self.pieces.copy(node, whole))
            self._add_staged([place for place in staged if place.node is node and node.varies])
        schedule = Schedule(before=before)
        self._replace(schedule)
        found = [*self.of.values(), *self.extra]
        depth = 1 + max((piece.level for piece in found), default=0)
        for level in range(depth):
            own = [piece for piece in found if piece.level == level]
            schedule.levels.append(list(self._together(own)))
        return schedule

    def is_group(self, node: ir.Node) -> bool:
        """Return True if threads share the elements of a node, each of which is one's alone."""
        shared = isinstance(node, ir.Elementwise | ir.Random | ir.TakeRows)
        return shared and node not in self.choice.homes

    def _alone(self, node: ir.Node) -> Piece:
        return self.pieces.together([node], [Place(node, WHOLE)])

    def _is_extra(self, place: Place) -> bool:
        """Return True if no kept node's own code writes a place that is asked for."""
        return place.node not in self.choice.homes and _is_staged(place)

    def _add_staged(self, places: Sequence[Place]) -> None:
        for place in places:
            self._add(self.pieces.staged(place))

    def _add(self, piece: Piece) -> None:
        piece.level = self._level(piece)
        if piece.node is None:
            self.extra.append(piece)
        else:
            self.of[piece.node] = piece
        self.writers |= dict.fromkeys(piece.writes, piece)
        for place in piece.reads:
            self.readers.setdefault(place, []).append(piece)

    def _level(self, piece: Piece) -> int:
        levels = [self.of[node].level for node in piece.held if node in self.of]
        for place in piece.reads:
            writer = self.writers.get(place)
            if writer is None or isinstance(place.node, ir.Input):
                continue
            same = place.node in piece.same and self.is_group(place.node)
            both = same and piece.node is not None and self.is_group(piece.node)
            levels.append(writer.level + (not both))
        return max(levels, default=0)

    def _replace(self, schedule: Schedule) -> None:
        """Let results replace the state: in place where nobody reads it later."""
        taken: set[ir.Node] = set()
        for state, result in zip(self.choice.states, self.choice.results, strict=True):
            if result is state:
                continue
            if isinstance(self.choice.homes.get(state), Tiles):
                forms = [p.form for p in sorted(self.pieces.asked, key=str) if p.node is state]
                for form in forms:
                    self._copy(result, Place(state, form))
                continue
            if result in self.choice.homes:
                raise ir.Unsupported("a state with an example on an axis")
            old = Place(state, WHOLE)
            alike = self.pieces.places.strides(result) == self.pieces.places.strides(state)
            if alike and result not in taken and self.is_group(result) and result in self.of:
                piece = self.of[result]
                later = [
                    reader
                    for reader in self.readers.get(old, [])
                    if reader.level > piece.level
                    or (reader.level == piece.level and not self._is_same(reader, piece, state))
                ]
                if not later:
                    schedule.aliases[Place(result, WHOLE)] = old
                    taken.add(result)
                    continue
            self._copy(result, old)

    def _is_same(self, reader: Piece, piece: Piece, state: ir.Node) -> bool:
        """Return True if one loop reads the old state and writes the new."""
        if piece.node is None or reader.node is None or not self.is_group(reader.node):
            return False
        return reader.node.shape == piece.node.shape and state in reader.same

    def _copy(self, result: ir.Node, target: Place) -> None:
        piece = self.pieces.copy(result, target)
        after = [reader.level + 1 for reader in self.readers.get(target, [])]
        self._add(piece)
        piece.level = max([piece.level, *after])

    def _together(self, level: list[Piece]) -> Iterator[Piece]:
        """Yield the pieces of a level; those whose threads share elements of a shape are one."""
        groups: dict[tuple[int, ...], list[ir.Node]] = {}
        for piece in level:
            if piece.node is None or not self.is_group(piece.node):
                yield piece
            else:
                groups.setdefault(piece.node.shape, []).append(piece.node)
        for nodes in groups.values():
            yield self.pieces.together(nodes, [Place(node, WHOLE) for node in nodes])
