"""Train seeds of which some may fail: these are found, and cost themselves alone.

A call of a kernel fails as a whole: a callback raises, or memory runs out. Those of its seeds that
have not ended are then trained again in halves, by the same program, so that bits stay the same,
until those that fail are alone. Before they are taken for seeds that fail, a seed that was trained
before is trained again: if that fails as well, the fault is none of a seed.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

import numpy as np
from numpy import ndarray

from basin_jax.engine.faults import FAULTS, MEMORY, forget_callbacks, reason_of
from basin_jax.engine.kernel import Kernel
from basin_jax.engine.waiting import Patience
from basin_jax.interrupts import GaveUp, Stop
from basin_jax.runs.parked import PATIENCE, TIMES


# Seeds of a cell that fail alone before any of it was trained: then it is the sweep that fails.
FEW = 16


class TrainingError(ValueError):
    """Raised when training fails whatever the seed: nothing of it is stored."""


class Hangs(Exception):
    """Raised when a call was given up.

    Attributes:
        places: those of the seeds in it.
    """

    def __init__(self, places: ndarray):
        super().__init__("a call was given up")
        self.places = places


class Suspects(NamedTuple):
    """Some seeds of which at least one was given up, and whether it was alone."""

    places: ndarray
    error: Exception
    alone: bool


class Part(NamedTuple):
    """Some seeds that have ended, or failed."""

    places: ndarray
    evidence: dict[str, ndarray]  # NaN of seeds that failed
    reason: str | None = None  # why they failed


@dataclass
class Isolation:
    """A kernel whose calls may fail.

    Attributes:
        kernel: the kernel.
        labels: the names of its cells, for messages.
        trained: for numbers of cells a seed that was trained.
        patience: the seconds to wait for a call; many times what the longest took if None.
        stop: the signal that was received, if any.
    """

    kernel: Kernel
    labels: Sequence[str]
    trained: dict[int, int] = field(default_factory=dict)
    patience: float | None = None
    stop: Stop = field(default_factory=Stop)
    _longest: float = 0.0

    def stream(
        self, seeds: ndarray, cells: ndarray, suspects: Sequence[Suspects] = ()
    ) -> Iterator[Part]:
        """Yield parts of seeds as their training ends or fails, and parts without seeds.

        Args:
            seeds: any number of seeds.
            cells: the number of each seed's cell.
            suspects: some of them that were given up, to be trained last.

        Raises:
            TrainingError: if it is not the seeds that fail.
            Hangs: if a call was given up.
            Interrupted: if a call has not ended after a signal.
        """
        pieces, failed = _pieces(len(seeds), suspects)
        while pieces or failed:
            if pieces:
                piece, error = pieces.pop(), None
                left = np.ones(len(piece), bool)
                try:
                    for which, evidence in self._call(seeds[piece], cells[piece]):
                        left[which] = False
                        yield Part(piece[which], evidence)
                except FAULTS as caught:
                    forget_callbacks()
                    error = caught
                except GaveUp:
                    raise Hangs(piece[left]) from None
                rest = piece[left]
                if error is not None and len(piece) == 1 and len(rest):
                    failed.append((int(rest[0]), error))
                else:
                    pieces += _halves(rest)
                yield Part(rest[:0], self.kernel.blank(0))  # so that signals are heard
            sure = self._sure(failed, seeds, cells, last=not pieces)
            for place, why in sure:
                yield Part(np.array([place]), self.kernel.blank(1), reason_of(why))
            failed = [one for one in failed if one not in sure]

    def _call(self, seeds: ndarray, cells: ndarray) -> Iterator[tuple[ndarray, dict[str, ndarray]]]:
        """Train some seeds, and note how long a call takes, and a seed of each cell."""
        began = time.monotonic()
        patience = Patience(self.limit, self.stop)
        for which, evidence in self.kernel.stream(seeds, cells, patience=patience):
            self._longest, began = max(self._longest, time.monotonic() - began), time.monotonic()
            kinds, first = np.unique(cells[which], return_index=True)
            self.trained.update(zip(kinds.tolist(), seeds[which[first]].tolist(), strict=True))
            yield which, evidence

    @property
    def limit(self) -> float:
        """The seconds after which a call is given up."""
        return max(PATIENCE, TIMES * self._longest) if self.patience is None else self.patience

    def _sure(
        self, failed: list[tuple[int, Exception]], seeds: ndarray, cells: ndarray, *, last: bool
    ) -> list[tuple[int, Exception]]:
        """Return those that failed while a control did not, if it is time for one.

        Raises:
            TrainingError: if the control fails, or there is none.
        """
        sure = []
        for cell in sorted({int(cells[place]) for place, _ in failed}):
            own = [(place, error) for place, error in failed if cells[place] == cell]
            if last or len(own) >= FEW:
                tried = ", ".join(str(seeds[place]) for place, _ in own)
                self._expect_control(cell, own[0][1], tried, others=len(own) < FEW)
                sure += own
        return sure

    def _expect_control(self, cell: int, error: Exception, tried: str, *, others: bool) -> None:
        """Raise `TrainingError` unless a seed of a cell, or of `others`, can be trained now."""
        known = [(self.trained[cell], cell)] if cell in self.trained else []
        known += [(seed, other) for other, seed in self.trained.items() if others]
        if not known:
            self.fail(cell, error, f"at its seeds {tried}, and none was trained before")
        seed, other = known[0]
        try:
            for _ in self._call(np.array([seed], np.uint64), np.array([other])):
                pass
        except GaveUp as now:
            self.fail(other, now, f"at seed {seed}, which was trained before")
        except FAULTS as now:
            forget_callbacks()
            self.fail(other, now, f"at seed {seed}, which was trained before")

    def fail(self, cell: int, error: Exception, where: str) -> NoReturn:
        """Raise `TrainingError`."""
        allowed = "a sweep of which seeds can be trained"
        if MEMORY in str(error) or isinstance(error, MemoryError):
            lanes = f"fewer lanes than {self.kernel.lanes}"
            allowed = f"{lanes}, in another folder, or a machine of more memory"
        raise TrainingError(
            f"training {self.labels[cell]} fails {where}: {reason_of(error)}; none of them "
            f"is stored; allowed: {allowed}"
        ) from error


def _pieces(
    seeds: int, suspects: Sequence[Suspects]
) -> tuple[list[ndarray], list[tuple[int, Exception]]]:
    """Return what to train, the first piece last, and places of seeds that need not be tried."""
    left, pieces, alone = np.ones(seeds, bool), list[ndarray](), list[tuple[int, Exception]]()
    # Of those that overlap, since several processes parked them, the narrowest tells most.
    for one in sorted(suspects, key=lambda one: (not one.alone, len(one.places))):
        places = one.places[left[one.places]]
        left[places] = False
        if one.alone:
            alone += [(int(place), one.error) for place in places]
        else:
            pieces += _halves(places)
    others = np.flatnonzero(left)
    return pieces + ([others] if len(others) else []), alone


def _halves(places: ndarray) -> list[ndarray]:
    """Return the halves of some places that are not empty, the first one last."""
    return [half for half in np.array_split(places, 2)[::-1] if len(half)]
