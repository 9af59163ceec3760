"""Sweeps, which decide a seed's evidence; grids of them; and starts from another sweep."""

import abc
import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from jaxtyping import Array, Key, UInt64
from numpy import ndarray

from basin_jax.core.abilities import requirements
from basin_jax.core.arguments import checked
from basin_jax.core.contracts import Method, Organism, Params, Start
from basin_jax.core.fresh import Fresh
from basin_jax.core.plugin import Plugin, expect_field
from basin_jax.core.sources import describe, sources


CHILDREN = re.compile(r"(start\.of\.)*start\.children")
Precision = Literal["float32", "tf32", "bf16", "float64"]


class Parent(NamedTuple):
    """Hold the parameters of a trial of another sweep."""

    begun: Params  # before its first step
    ended: Params  # after its last
    partner: Params = None  # those of its partner after its last, if the start is paired


class Child(Plugin, abc.ABC):
    """Define a start that is made of a trial of another sweep, its parent.

    The parent is trained again in the same kernel, so that a trial depends on its seed alone and
    on no file. The child's random numbers are not its parent's. The parent's parameters are
    floats, of the shapes that the child's organism has, too. A child of a parent that has diverged
    has diverged. `params` may use all of the parent's sweep but its steps and root.

    Seed s is child s mod `children` of the parent s // `children`.

    Attributes:
        requires: the abilities that it asks of the organism, which a `Sweep` checks.
        paired: whether it is made of the end of a second trial, too, the parent's partner.
    """

    of: "Sweep"

    requires: ClassVar[tuple[type, ...]] = ()
    paired: ClassVar[bool] = False
    children = 1  # no annotation, or it would be a field of every start

    @abc.abstractmethod
    def params(self, key: Key[Array, ""], organism: Organism, parent: Parent) -> Params:
        """Make the parameters from which training starts."""

    def parents(self, seeds: Any) -> UInt64[ndarray, "*seeds parent"]:
        """Return the seeds of each seed's parent, and of the parent's partner if it is paired.

        A partner is the parent with its highest bit flipped: no two of 2**63 seeds share one.
        """
        own = np.asarray(seeds, np.uint64) // np.uint64(self.children)
        return np.stack([own, own ^ np.uint64(2**63)][: 1 + self.paired], axis=-1)


class Sweep(Plugin):
    """State all that decides a seed's evidence, and nothing else.

    Attributes:
        organism: the model organism, which is trained and probed.
        start: the parameters from which a trial begins.
        method: the training method.
        num_steps: the number of training steps.
        root: 64-bit seed of the sweep itself. Another root gives every seed other random numbers.
        vary: what a seed changes: the initialization, the randomness of training (data order,
            noise), or both. What it does not change is the root's own, the same for every seed.
            The probe's randomness always follows the seed, and a parent varies as its own sweep
            says.
        save_at: steps after which the network is probed, besides the last.
        precision: of all numbers for "float64", else of matrix products on devices that have it
            (a CPU multiplies in float32 whatever it says).

    Raises:
        ValueError: naming the field, its value and what is allowed; also if the organism lacks an
            ability that the start or the method requires.

    Example:
        >>> from basin_jax.methods import Gradient
        >>> from basin_jax.organisms import Gate
        >>> sweep = Sweep(organism=Gate(), method=Gradient(learning_rate=0.1), num_steps=100)
        >>> sweep.replace(save_at=(0, 50)).stops
        (0, 50, 100)
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
        """The steps after which the network is probed, of which the last is `num_steps`."""
        return (*self.save_at, self.num_steps)

    @property
    def siblings(self) -> int:
        """The number of seeds that share their oldest ancestor; no others are related."""
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
        """List every field by its dotted path, as in `--set`."""
        return describe(self, traced=True)

    def sources(self) -> dict[str, str]:
        """Identify the source code of each plug-in: by a version, or by a hash."""
        found = sources(self, traced=True)
        del found["Sweep"]
        return found


def override(plugin: Any, path: str, value: Any) -> Any:
    """Copy a plug-in with the field at a dotted path changed, and check its type.

    Raises:
        ValueError: if a part of the path is no field, or the value is refused; it names which.
    """
    name, _, rest = path.partition(".")
    if isinstance(plugin, Mapping):
        return {**plugin, path: value}
    expect_field(type(plugin), name, paths=describe(plugin, traced=True))
    inner = getattr(plugin, name)
    if rest and not isinstance(inner, Plugin | Mapping):
        raise ValueError(f"{type(plugin).__name__}.{name} = {inner!r} has no field {rest!r}")
    return plugin.replace(**{name: override(inner, rest, value) if rest else value})


@checked
def grid(sweep: Sweep, axes: Mapping[str, Iterable[Any]]) -> tuple[Sweep, ...]:
    """Make the cells of a grid: one sweep for each combination of the fields' values.

    Each cell is a sweep of its own, with its own identity, and every cell runs the same
    seeds, so that cells compare pairwise. A grid is nothing but a tuple of sweeps: any
    other collection of sweeps with the same evidence serves as well.

    Args:
        sweep: the sweep that all cells are made from.
        axes: the values of each field, by its dotted path.

    Returns:
        The cells, of which the last axis varies fastest.

    Raises:
        ValueError: if a path is no field, or a value is refused.

    Example:
        >>> from basin_jax.methods import Gradient
        >>> from basin_jax.organisms import Gate
        >>> sweep = Sweep(organism=Gate(), method=Gradient(learning_rate=0.1), num_steps=100)
        >>> cells = grid(sweep, {"organism.penalty": (1.0, 3.0), "num_steps": (100, 200)})
        >>> [(cell.organism.penalty, cell.num_steps) for cell in cells]
        [(1.0, 100), (1.0, 200), (3.0, 100), (3.0, 200)]
    """
    cells = []
    for path, values in axes.items():
        if isinstance(values, Sequence) and not values:
            raise ValueError(f"axes[{path!r}] = {values!r}; allowed: at least one value")
    for values in itertools.product(*axes.values()):
        cell = sweep
        for path, value in zip(axes, values, strict=True):
            cell = override(cell, path, value)
        cells.append(cell)
    return tuple(cells)


def siblings_of(fields: Mapping[str, Any]) -> int:
    """Compute `Sweep.siblings` from a sweep's fields."""
    return math.prod(n for path, n in fields.items() if CHILDREN.fullmatch(path))
