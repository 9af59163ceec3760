"""The seeds that the runs of a folder asked for.

A number or a range of seeds is a sample of all seeds. Other seeds were chosen by somebody, and
estimates from them are conditional on the choice.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, overload

import numpy as np
from jaxtyping import Bool, UInt64
from numpy import ndarray

from basin_jax.core.arguments import checked
from basin_jax.core.seeds import SEEDS, as_seeds
from basin_jax.core.sources import short_hash
from basin_jax.results.layout import request_in
from basin_jax.results.store import StoreError


Kind = Literal["range", "chosen", "width"]
Sample = Literal["range", "chosen"]
UNKNOWN = "given one by one"  # the criterion if none was recorded


@checked
class ChosenSeeds(Sequence[int]):
    """Seeds that somebody chose, and the criterion.

    `run` takes them like any sequence of seeds, and records the criterion, so that no estimate
    from them is taken for one of all seeds. A slice keeps the criterion; `numpy.asarray` gives an
    array of 64-bit integers, in rising order.

    Args:
        seeds: the seeds, without repetition.
        criterion: the criterion of their choice, in words.

    >>> seeds = ChosenSeeds([5, 3, 8], "deceptive in runs/audit")
    >>> seeds, list(seeds)
    (<3 chosen seeds: deceptive in runs/audit>, [3, 5, 8])
    """

    def __init__(self, seeds: Sequence[int] | ndarray, criterion: str):
        self._seeds = np.array(as_seeds(seeds) if len(seeds) else (), np.uint64)
        self._seeds.flags.writeable = False
        self._criterion = criterion

    @property
    def criterion(self) -> str:
        """The criterion of the seeds, in words."""
        return self._criterion

    @overload
    def __getitem__(self, index: int) -> int: ...

    @overload
    def __getitem__(self, index: slice) -> "ChosenSeeds": ...

    def __getitem__(self, index: int | slice) -> "int | ChosenSeeds":
        if isinstance(index, slice):
            return ChosenSeeds(self._seeds[index], self._criterion)
        return int(self._seeds[index])

    def __len__(self) -> int:
        return len(self._seeds)

    def __iter__(self) -> Iterator[int]:
        return iter(self._seeds.tolist())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> ndarray:
        return (np.array if copy else np.asarray)(self._seeds, dtype)

    def __repr__(self) -> str:
        return f"<{len(self)} chosen seeds: {self._criterion}>"


@dataclass(frozen=True)
class Seeds:
    """A description of a set of seeds: a range, or chosen seeds with a hash."""

    first: int
    last: int
    count: int
    set: str | None = None

    @classmethod
    def of(cls, seeds: Sequence[int]) -> "Seeds":
        """Describe the result of `as_seeds`."""
        first, last = sorted((seeds[0], seeds[-1]))
        chosen = None if isinstance(seeds, range) else short_hash(repr(list(seeds)))
        return cls(first, last, len(seeds), chosen)

    @property
    def range(self) -> range | None:
        """The range, if they are one."""
        if self.set is not None:
            return None
        step = (self.last - self.first) // (self.count - 1) if self.count > 1 else 1
        return range(self.first, self.last + 1, step)

    def record(self) -> dict[str, Any]:
        """Return the description as a folder stores it."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def read(cls, record: Any) -> "Seeds":
        """Restore a description from `record`.

        Raises:
            KeyError, ValueError: if it is malformed.
        """
        first, last, count = (record[name] for name in ("first", "last", "count"))
        chosen = record.get("set")
        if not all(type(number) is int for number in (first, last, count)):
            raise ValueError("a number of seeds is no whole number")
        if not (0 <= first <= last < SEEDS and 1 <= count <= last - first + 1):
            raise ValueError("the numbers of seeds do not fit together")
        if chosen is None and (last - first) % max(count - 1, 1):
            raise ValueError("the seeds are no range")
        return cls(first, last, count, _text(chosen))


@dataclass(frozen=True, kw_only=True)
class Request:
    """The seeds that a run asked for.

    Attributes:
        seeds: the seeds; None if their number depends on a width.
        whole: the seeds of which they are a part.
        criterion: the criterion of chosen seeds, if it is known.
        width: the width of the 95 % confidence sequence at which a cell stops.
        pilot: the choice that the seeds served; estimates do not count them.
    """

    seeds: Seeds | None
    whole: Seeds | None = None
    criterion: str | None = None
    width: float | None = None
    pilot: str | None = None

    @property
    def kind(self) -> Kind:
        """Whether the run asked for a range, for chosen seeds, or for a width."""
        if self.seeds is None:
            return "width"
        return "range" if self.seeds.set is None else "chosen"

    @property
    def range(self) -> range | None:
        """The range of seeds, if the run asked for one."""
        return None if self.seeds is None else self.seeds.range

    @property
    def plan(self) -> str:
        """The plan of its chunks, in words: requests with one plan may be trained at once."""
        asked = self.range
        if self.seeds is None or (asked is not None and asked == range(len(asked))):
            return "the first seeds"
        return f"{self.seeds.count:,} seeds {self.seeds.record()}"

    def record(self) -> dict[str, Any]:
        """Return the request as a folder stores it."""
        said: dict[str, Any] = {"kind": self.kind}
        if self.seeds is None:
            return said | {"width": self.width, "interval": "anytime", "level": 0.95}
        said |= self.seeds.record()
        if self.kind == "chosen":
            said["from"] = self.criterion
        if self.whole is not None and self.whole != self.seeds:
            said["whole"] = self.whole.record()
        if self.pilot is not None:
            said["pilot"] = self.pilot
        return said

    @classmethod
    def read(cls, run: Any) -> "Request":
        """Return the request in the record of a run; in folders of format 1 it is the `stop`.

        Raises:
            StoreError: if it is malformed.
        """
        try:
            said = request_in(run)
            if "width" in said:
                return cls(seeds=None, width=float(said["width"]))
            seeds = Seeds.read(said)
            whole = Seeds.read(said["whole"]) if "whole" in said else seeds
            criterion, pilot = _text(said.get("from")), _text(said.get("pilot"))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise StoreError(
                "the record of a run does not say which seeds it asked for; allowed: records as "
                "`run` writes them"
            ) from None
        return cls(seeds=seeds, whole=whole, criterion=criterion, pilot=pilot)

    def __str__(self) -> str:
        if self.seeds is None:
            return f"until the 95 % confidence sequence of DECEPTIVE is at most {self.width:g} wide"
        what = f"chosen seeds ({self.criterion or UNKNOWN})" if self.kind == "chosen" else "seeds"
        text = f"{self.seeds.count:,} {what}, from {self.seeds.first} to {self.seeds.last}"
        if self.whole is not None and self.whole != self.seeds:
            text += f", of {self.whole.count:,} from {self.whole.first} to {self.whole.last}"
        return text if self.pilot is None else f"{text}, as a pilot ({self.pilot})"


def _text(value: Any) -> str | None:
    if not isinstance(value, str | None):
        raise TypeError(f"{value!r} is no text")
    return value


def request_of(
    seeds: int | np.integer | Sequence[int] | ndarray | None,
    *,
    until: float | None = None,
    whole: int | np.integer | Sequence[int] | ndarray | None = None,
    pilot: str | None = None,
) -> tuple[Sequence[int], Request]:
    """Return the seeds of a request in rising order, and the request.

    Raises:
        ValueError: if the seeds are not a part of the whole, or a pilot's seeds are not a range.
    """
    if seeds is None:
        return range(2**62), Request(seeds=None, width=until)
    asked = as_seeds(seeds)
    every = asked if whole is None else as_seeds(whole)
    if not _within(asked, every):
        raise ValueError(
            f"seeds run from {asked[0]} to {asked[-1]}; allowed: seeds of the whole, which has "
            f"{len(every)} from {every[0]} to {every[-1]}"
        )
    if pilot is not None and not pilot.strip():
        raise ValueError(f"pilot = {pilot!r}; allowed: what its seeds serve to choose, in words")
    if pilot is not None and not isinstance(asked, range):
        raise ValueError(f"pilot = {pilot!r} with chosen seeds; allowed: a number or a range")
    criterion = seeds.criterion if isinstance(seeds, ChosenSeeds) else None
    described = Seeds.of(asked)
    request = Request(seeds=described, whole=Seeds.of(every), criterion=criterion, pilot=pilot)
    return asked if asked[0] <= asked[-1] else asked[::-1], request


def _within(inner: Sequence[int], outer: Sequence[int]) -> bool:
    if inner is outer:
        return True
    if isinstance(inner, range) and isinstance(outer, range):
        return all(seed in outer for seed in {*inner[:2], inner[-1]})
    return {*inner} <= {*outer}


def _are_in(seeds: UInt64[ndarray, " seed"], these: range) -> Bool[ndarray, " seed"]:
    first, step = np.uint64(these[0]), np.uint64(these.step)
    return (seeds >= first) & (seeds <= np.uint64(these[-1])) & ((seeds - first) % step == 0)


@dataclass(frozen=True)
class Requests:
    """The requests of all runs of a folder."""

    every: tuple[Request, ...]

    @property
    def pilots(self) -> list[Request]:
        """The requests of pilots."""
        return [request for request in self.every if request.pilot is not None]

    @property
    def counted(self) -> list[Request]:
        """The requests that estimates count: neither pilots, nor of seeds that became a pilot's."""
        pilots = [pilot.range for pilot in self.pilots]
        return [
            request
            for request in self.every
            if request.pilot is None
            and not (request.range and any(p and _within(request.range, p) for p in pilots))
        ]

    def are_pilots(self, seeds: UInt64[ndarray, " seed"]) -> Bool[ndarray, " seed"]:
        """Return True for each seed that is a pilot's."""
        found = np.zeros(len(seeds), bool)
        for pilot in self.pilots:
            if pilot.range is not None:
                found |= _are_in(seeds, pilot.range)
        return found

    def sample(self, stored: Sequence[Iterable[UInt64[ndarray, " _"]]]) -> Sample:
        """Return the kind of sample of the stored seeds, in blocks of each cell."""
        if not self.every:
            return "chosen"  # nothing shows that they were not
        if all(request.kind != "chosen" for request in self.counted):
            return "range"
        ranges = [request.range for request in self.counted if request.range is not None]
        lengths = [len(one) for one in ranges]
        for blocks in stored:
            there = np.zeros(len(ranges), int)
            for seeds in blocks:
                parts = [_are_in(seeds, one) for one in ranges]
                there += np.array([part.sum() for part in parts], int)
                asked = np.logical_or.reduce([self.are_pilots(seeds), *parts])
                if not asked.all():
                    return "chosen"
            if not ranges or there.tolist() != lengths:
                return "chosen"
        return "range"

    def is_whole(self, stored: Sequence[Iterable[UInt64[ndarray, " _"]]]) -> bool:
        """Return True if the runs asked for parts of one whole, and all of it is stored."""
        wholes = {request.whole for request in self.counted}
        whole = wholes.pop() if len(wholes) == 1 else None
        return whole is not None and all(self._have(blocks, whole) for blocks in stored)

    def _have(self, blocks: Iterable[UInt64[ndarray, " _"]], whole: Seeds) -> bool:
        """Return True if seeds that are no pilot's are those of the whole."""
        there = 0
        for seeds in blocks:
            pilots = self.are_pilots(seeds)
            own = ~pilots if whole.range is None else _are_in(seeds, whole.range)
            if not (own | pilots).all():
                return False
            there += int(own.sum())
        return there == whole.count
