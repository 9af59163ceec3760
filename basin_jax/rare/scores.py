"""Scores: how near a particle has come to the event, from the evidence along its way.

A score guides a search and biases nothing: whatever it says, a particle in the event counts as
beyond every level. A poor one only makes the search dear, or its replications disagree.
"""

import abc
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from basin_jax.core.plugin import Plugin


Side: TypeAlias = Literal["above", "below"]
# Above all scores, but below the event.
HIGHEST = 1e300


class Score(Plugin, abc.ABC):
    """Define how near particles have come to the event.

    Attributes:
        evidence: the name of the evidence that is read.
        harmful: the side of it on which the event lies.
    """

    evidence: str = "margin"
    harmful: Side = "above"

    def of(
        self, evidence: Mapping[str, Float[ndarray, "particle stop"]], stops: Sequence[int]
    ) -> Float[ndarray, " particle"]:
        """Score particles, higher where they are nearer; -inf where evidence is not finite.

        Raises:
            ValueError: if there is no such evidence, or none at the step that is read, or if it
                does not give one number for each particle.
        """
        if self.evidence not in evidence:
            self.refuse("evidence", f"one of {', '.join(sorted(evidence))}")
        values = np.asarray(evidence[self.evidence], float)
        values = values if self.harmful == "above" else -values
        with np.errstate(invalid="ignore"):
            scores = self.score(values, np.asarray(stops))
        if np.shape(scores) != (len(values),):
            raise ValueError(
                f"{type(self).__name__}.score gives shape {np.shape(scores)}; allowed: one number "
                f"for each particle, {(len(values),)}"
            )
        # A score that is infinite would be taken for the event.
        scores = np.nan_to_num(scores, nan=-np.inf, posinf=HIGHEST, neginf=-np.inf)
        return np.where(np.isfinite(values).all(1), np.minimum(scores, HIGHEST), -np.inf)

    @abc.abstractmethod
    def score(
        self, values: Float[ndarray, "particle stop"], stops: ndarray
    ) -> Float[ndarray, " particle"]:
        """Score particles by their values at the stops, of which high ones are harmful."""


class SettlingTime(Score):
    """Score by the time at which the evidence leaves the harmful side for good.

    It is interpolated between stops. What was never on that side is scored by how close it came;
    what ends on it, by the last step and by how far it is beyond. Unlike the evidence at the end,
    which often has two values, it is graded: seeds that hesitate take longer.
    """

    threshold: float = 0.0

    def score(
        self, values: Float[ndarray, "particle stop"], stops: ndarray
    ) -> Float[ndarray, " particle"]:
        beyond = values - (self.threshold if self.harmful == "above" else -self.threshold)
        harmful, final = beyond > 0, len(stops) - 1
        last = final - np.argmax(harmful[:, ::-1], axis=1)
        following, rows = np.minimum(last + 1, final), np.arange(len(values))
        here, there = beyond[rows, last], beyond[rows, following]
        way = np.where(last < final, here / np.where(here > there, here - there, 1.0), 0.0)
        settled = stops[last] + (stops[following] - stops[last]) * way
        settled = np.where(last < final, settled, stops[-1] + beyond[:, -1])
        return np.where(harmful.any(1), settled, beyond.max(1))


class Peak(Score):
    """Score by the most harmful value along the way."""

    def score(
        self, values: Float[ndarray, "particle stop"], stops: ndarray
    ) -> Float[ndarray, " particle"]:
        return values.max(1)


class At(Score):
    """Score by the value at one stop."""

    step: int

    def validate(self) -> None:
        self.require(self.step >= 0, "step", "at least 0")

    def score(
        self, values: Float[ndarray, "particle stop"], stops: ndarray
    ) -> Float[ndarray, " particle"]:
        if self.step not in stops:
            self.refuse("step", f"one of the sweep's stops: {', '.join(map(str, stops))}")
        return values[:, list(stops).index(self.step)]
