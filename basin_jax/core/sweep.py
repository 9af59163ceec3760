"""What decides a seed's evidence: the sweep, a grid of sweeps, and their identity."""

import abc
import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

from jaxtyping import Array, Key

from basin_jax.core.abilities import requirements
from basin_jax.core.contracts import Method, Organism, Params, Start
from basin_jax.core.fresh import Fresh
from basin_jax.core.plugin import Plugin, closest
from basin_jax.core.sources import describe, sources


CHILDREN = re.compile(r"(start\.of\.)*start\.children")
Precision = Literal["float32", "tf32", "bf16", "float64"]


class Parent(NamedTuple):
    """The parameters of a seed of another sweep."""

    begun: Params  # before its first step
    ended: Params  # after its last


class Child(Plugin, abc.ABC):
    """A start that is made of a seed of another sweep, its parent.

    The parent is trained again in the same kernel, so that a seed still stands for itself
    and no file is asked for. The child's own random numbers are not its parent's. Its parameters
    are floats, and of the shapes that the child's organism has, too. Where the parent has
    diverged, so has the child. Of a parent's sweep `params` is told all but its steps and root.

    A seed's parent is its namesake; where a parent has several `children`, seed s is child
    s mod `children` of the parent s // `children`.
    """

    of: "Sweep"

    requires: ClassVar[tuple[type, ...]] = ()
    children = 1  # no annotation, or it would be a field of every start

    @abc.abstractmethod
    def params(self, key: Key[Array, ""], organism: Organism, parent: Parent) -> Params:
        """Return the parameters from which training starts."""


class Sweep(Plugin):
    """State all that decides a seed's evidence, and nothing else.

    `vary` says what a seed changes: the initialization, the randomness of training
    (data order, noise), or both; the other one is then the same for every seed. The
    probe's own randomness always follows the seed. `save_at` lists steps after which
    the network is probed, besides the last.

    Where one of the two is held, the fraction is that of this root's one initialization,
    or of its one order of data; another root is another one. What a `Child` starts from is its
    parent's end, which varies as its own sweep says. `precision` is that of all
    numbers for "float64", and else of matrix products on devices that have it (a CPU
    multiplies in float32 whatever it says).
    """

    organism: Organism
    start: Start | Child = Fresh()
    method: Method
    num_steps: int
    root: int = 0
    vary: Literal["both", "init", "data"] = "both"
    save_at: tuple[int, ...] = ()
    precision: Precision = "float32"

    def validate(self) -> None:
        self.require(0 <= self.num_steps < 2**31, "num_steps", "0 to 2**31 - 1")
        self.require(0 <= self.root < 2**64, "root", "0 to 2**64 - 1")
        stops = (-1, *self.save_at, self.num_steps)
        self.require(
            all(a < b for a, b in itertools.pairwise(stops)),
            "save_at",
            f"rising steps from 0 to below num_steps = {self.num_steps}",
        )
        several = isinstance(self.start, Child) and self.start.children > 1
        self.require(
            not (several and self.vary == "init"),
            "vary",
            '"both" or "data", or all children of a parent are one',
        )
        organism = type(self.organism).__name__
        for field in ("start", "method"):
            for ability in requirements(getattr(self, field)):
                able = self.organism.provides(ability)
                why = f"another {field}, since {organism} is not {ability.__name__}"
                self.require(able, field, why)

    @property
    def stops(self) -> tuple[int, ...]:
        """The steps after which the network is probed; the last is `num_steps`."""
        return (*self.save_at, self.num_steps)

    @property
    def siblings(self) -> int:
        """How many seeds share the oldest ancestor: no two others are related."""
        return self.start.children * self.start.of.siblings if isinstance(self.start, Child) else 1

    @property
    def schedule(self) -> tuple[tuple[int, ...], ...]:
        """The stops of a seed, of its parent and of their parents."""
        before = self.start.of.schedule if isinstance(self.start, Child) else ()
        return (self.stops, *before)

    @property
    def all_steps(self) -> int:
        """The steps of a seed, its parent's and their parents' included."""
        before = self.start.of.all_steps if isinstance(self.start, Child) else 0
        return before + self.num_steps

    def fields(self) -> dict[str, Any]:
        """Return every field by its dotted path, as in `--set`."""
        return describe(self)

    def sources(self) -> dict[str, str]:
        """Return where the code of each plug-in comes from: a version, or a hash."""
        found = sources(self)
        del found["Sweep"]
        return found


def override(plugin: Any, path: str, value: Any) -> Any:
    """Return a copy with the field at a dotted path changed, and its type checked.

    Raises:
        ValueError: naming the part of the path that is no field, or the value refused.
    """
    name, _, rest = path.partition(".")
    if isinstance(plugin, Mapping):
        return {**plugin, path: value}
    known = set(plugin.__dataclass_fields__)
    if name not in known:
        raise ValueError(
            f"{type(plugin).__name__} has no field {name!r}; allowed: {closest(name, known)}"
        )
    inner = getattr(plugin, name)
    if rest and not isinstance(inner, Plugin | Mapping):
        raise ValueError(f"{type(plugin).__name__}.{name} = {inner!r} has no field {rest!r}")
    return plugin.replace(**{name: override(inner, rest, value) if rest else value})


def grid(sweep: Sweep, axes: Mapping[str, Sequence[Any]]) -> tuple[Sweep, ...]:
    """Return the cells of a grid: the product of the values of each dotted path.

    Each cell is a sweep of its own, with its own identity, and every cell runs the same
    seeds, so that cells compare pairwise. A grid is nothing but a tuple of sweeps: any
    other collection of sweeps with the same evidence serves as well.
    """
    cells = []
    for values in itertools.product(*axes.values()):
        cell = sweep
        for path, value in zip(axes, values, strict=True):
            cell = override(cell, path, value)
        cells.append(cell)
    return tuple(cells)


def varied(cells: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the paths on which cells (as given by `Sweep.fields`) differ, in order."""
    paths = dict.fromkeys(path for cell in cells for path in cell)
    return tuple(path for path in paths if len({json.dumps(cell.get(path)) for cell in cells}) > 1)


def siblings_of(fields: Mapping[str, Any]) -> int:
    """Return how many seeds share the oldest ancestor, as `Sweep.siblings`, from the fields."""
    return math.prod(n for path, n in fields.items() if CHILDREN.fullmatch(path))


def label(fields: Mapping[str, Any], paths: Sequence[str]) -> str:
    """Name a cell by the fields that are varied, each by the last part of its path."""
    if not paths:
        return str(fields["organism"])
    last = [path.rpartition(".")[2] for path in paths]
    short = [n if last.count(n) == 1 else path for n, path in zip(last, paths, strict=True)]
    return ", ".join(f"{n}={fields.get(path)}" for n, path in zip(short, paths, strict=True))
