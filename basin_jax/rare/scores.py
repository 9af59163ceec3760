"""Scores: how near a particle has come to the event, from the evidence along its way.

A score guides a search and biases nothing: whatever it says, a particle in the event counts as
beyond every level. A poor one only makes the search dear, or its replications disagree.
"""

import abc
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.optimize import minimize
from scipy.special import expit

from basin_jax.core.plugin import Plugin


Side: TypeAlias = Literal["above", "below"]
# Above all scores, but below the event.
HIGHEST = 1e300


class Score(Plugin, abc.ABC):
    """Define how near particles have come to the event."""

    def of(
        self, evidence: Mapping[str, Float[ndarray, "particle stop"]], stops: Sequence[int]
    ) -> Float[ndarray, " particle"]:
        """Score particles, higher where they are nearer; -inf where evidence is not finite.

        Raises:
            ValueError: if there is no such evidence, or none at the step that is read, or if it
                does not give one number for each particle.
        """
        values = self.read(evidence)
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
    def read(
        self, evidence: Mapping[str, Float[ndarray, "particle stop"]]
    ) -> Float[ndarray, "particle value"]:
        """Return the values that are scored."""

    @abc.abstractmethod
    def score(
        self, values: Float[ndarray, "particle value"], stops: ndarray
    ) -> Float[ndarray, " particle"]:
        """Score particles by their values."""


class OneEvidence(Score):
    """Define a score of one evidence along the way.

    Attributes:
        evidence: the name of the evidence that is read.
        harmful: the side of it on which the event lies.
    """

    evidence: str = "margin"
    harmful: Side = "above"

    def read(
        self, evidence: Mapping[str, Float[ndarray, "particle stop"]]
    ) -> Float[ndarray, "particle stop"]:
        """Return the evidence, of which high values are harmful."""
        if self.evidence not in evidence:
            self.refuse("evidence", f"one of {', '.join(sorted(evidence))}")
        values = np.asarray(evidence[self.evidence], float)
        return values if self.harmful == "above" else -values


class SettlingTime(OneEvidence):
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


class Peak(OneEvidence):
    """Score by the most harmful value along the way."""

    def score(
        self, values: Float[ndarray, "particle stop"], stops: ndarray
    ) -> Float[ndarray, " particle"]:
        return values.max(1)


class Mean(OneEvidence):
    """Score by the mean over the stops: what turns harmful early ranks above what turns late."""

    def score(
        self, values: Float[ndarray, "particle stop"], stops: ndarray
    ) -> Float[ndarray, " particle"]:
        return values.mean(1)


class At(OneEvidence):
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


class Logistic(Score):
    """Score by a logistic regression on all evidence up to a stop, as `fit_logistic` fits it.

    Attributes:
        names: the evidence that is read.
        weights: of each, the weight of its value at each of the first stops.
    """

    names: tuple[str, ...]
    weights: tuple[tuple[float, ...], ...]

    def validate(self) -> None:
        same = len(self.weights) == len(self.names)
        self.require(same, "weights", f"those of {len(self.names)} names")

    def read(
        self, evidence: Mapping[str, Float[ndarray, "particle stop"]]
    ) -> Float[ndarray, "particle 1"]:
        if not set(self.names) <= set(evidence):
            self.refuse("names", f"some of {', '.join(sorted(evidence))}")
        products = [
            np.asarray(evidence[name], float)[:, : len(weights)] @ np.array(weights)
            for name, weights in zip(self.names, self.weights, strict=True)
        ]
        return np.sum(products, axis=0)[:, None]

    def score(
        self, values: Float[ndarray, "particle 1"], stops: ndarray
    ) -> Float[ndarray, " particle"]:
        return values[:, 0]


def fit_logistic(
    evidence: Mapping[str, Float[ndarray, "particle stop"]],
    near: Bool[ndarray, " particle"],
    num_stops: int,
) -> Logistic | None:
    """Fit the score that tells particles that are near from the rest by their early evidence.

    A ridge penalty of one on standardized weights decides among weights that tell alike.
    There is none where no number differs between particles.

    Args:
        evidence: of pilot particles. What is not finite, or is the same for all, is left out.
        near: which of them are near the event in the end.
        num_stops: the stops that are read, the first ones.
    """
    columns = {
        (name, stop): np.asarray(values[:, stop], float)
        for name, values in evidence.items()
        if np.ndim(values) == 2
        for stop in range(num_stops)
    }
    columns = {at: x for at, x in columns.items() if np.isfinite(x).all() and x.std() > 0}
    if not columns:
        return None
    table = np.stack([(x - x.mean()) / x.std() for x in columns.values()], 1)
    signs = np.where(near, 1.0, -1.0)

    def penalized(weights: ndarray) -> tuple[float, ndarray]:
        scores = table @ weights[1:] + weights[0]
        ridge = np.concatenate([[0.0], weights[1:]])
        loss = np.logaddexp(0, -signs * scores).sum() + ridge @ ridge / 2
        slopes = -signs * expit(-signs * scores)
        return float(loss), np.concatenate([[slopes.sum()], slopes @ table]) + ridge

    found = minimize(penalized, np.zeros(len(columns) + 1), jac=True, method="L-BFGS-B").x[1:]
    scaled = {at: w / x.std() for (at, x), w in zip(columns.items(), found, strict=True)}
    names = tuple(sorted({name for name, _ in columns}))
    stops = range(num_stops)
    weights = tuple(tuple(float(scaled.get((n, stop), 0.0)) for stop in stops) for n in names)
    return Logistic(names=names, weights=weights)
