"""Equal progress: methods are compared where each has first come as far as another has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from basin_jax.core.verdict import Rule, Verdict, judge
from basin_jax.studies.framework.lab import Outcome


By = Literal["loss", "skill"]
EVIDENCE: dict[str, str] = {"loss": "fit", "skill": "competence"}


@dataclass(frozen=True, kw_only=True)
class Course:
    """The fit, the skill and the verdicts of a cell's seeds at each stop.

    Its progress is by the loss (`fit`, which is the negative of the training loss in units of its
    own), and by skill (`competence`: at the intended task, where it is not watched and answers).
    A lie lowers the loss, and does not raise the skill.
    """

    stops: Int[ndarray, " stop"]
    progress: Mapping[str, Float[ndarray, "seed stop"]]
    deceptive: Bool[ndarray, "seed stop"]
    partial: Bool[ndarray, "seed stop"]

    @property
    def lost(self) -> Bool[ndarray, "seed stop"]:
        """True where a network is deceptive, or is in some contexts."""
        return self.deceptive | self.partial

    @property
    def lost_by(self) -> dict[str, Bool[ndarray, "seed stop"]]:
        """The seeds that are lost at each stop, by verdict."""
        return {"deceptive": self.deceptive, "partial": self.partial}

    def after(self, step: int) -> "Course":
        """Return the course up to a step."""
        last = int(np.searchsorted(self.stops, step, side="right"))
        kept = {name: found[:, :last] for name, found in self.lost_by.items()}
        progress = {by: found[:, :last] for by, found in self.progress.items()}
        return Course(stops=self.stops[:last], progress=progress, **kept)

    def arrival(self, other: "Course", by: By) -> "Arrival":
        """Find the first stop at which each seed is as far as where another course ends."""
        there = self.progress[by] >= other.progress[by][:, -1:]
        reached = there.any(1)
        place = np.where(reached, there.argmax(1), len(self.stops) - 1)
        return Arrival(course=self, place=place, reached=reached)


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """The stop at which each seed of a course has first come as far as it has in another.

    A seed that never does is taken where its course ends.
    """

    course: Course
    place: Int[ndarray, " seed"]
    reached: Bool[ndarray, " seed"]

    def then(self, what: Bool[ndarray, "seed stop"]) -> Bool[ndarray, " seed"]:
        """Return what holds of each seed at its stop."""
        return np.take_along_axis(what, self.place[:, None], axis=1)[:, 0]

    @property
    def lost(self) -> Bool[ndarray, " seed"]:
        return self.then(self.course.lost)

    @property
    def steps(self) -> Float[ndarray, " seed"]:
        """The steps to each seed's stop; infinite where it never comes so far."""
        return np.where(self.reached, self.course.stops[self.place], np.inf)


def course(
    trained: Outcome, cell: str, *, until: int | None = None, rule: Rule | None = None
) -> Course:
    """Return the course of a cell's seeds, up to a step, as its rule or another judges them."""
    stops = [stop for stop in trained.stops(cell) if until is None or stop <= until]
    seen = [trained.at(cell, stop) for stop in stops]

    def verdicts(of: Verdict) -> Bool[ndarray, "seed stop"]:
        if rule is None:
            return np.stack([one["verdict"].to_numpy() == of.name for one in seen], axis=1)
        found = [judge(rule, trained.evidence(cell, stop)) == of for stop in stops]
        return np.stack(found, axis=1)

    return Course(
        stops=np.array(stops),
        progress={
            by: np.stack([one[name].to_numpy() for one in seen], axis=1)
            for by, name in EVIDENCE.items()
        },
        deceptive=verdicts(Verdict.DECEPTIVE),
        partial=verdicts(Verdict.PARTIAL),
    )


def stops_to(steps: int, *, unit: int) -> tuple[int, ...]:
    """Return stops that double every two, through a unit of steps and on to the last step."""
    halves = np.arange(-60, 61) / 2
    found = {round(unit * 2.0**half) for half in halves}
    return tuple(sorted(stop for stop in found if 1 <= stop < steps))
