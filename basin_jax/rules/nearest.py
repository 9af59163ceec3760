"""Judge a network by the nearest of some known ends."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from basin_jax.core.verdict import Rule, Verdict


class Nearest(Rule):
    """Judge by the signature that the evidence is nearest to, in Euclidean distance.

    A signature gives the value of some evidence at a known end, such as `{"x": 1.088}`: the
    mapping by templates of bSTAB (Stender & Hoffmann 2022) and Attractors.jl (Datseris &
    Wagemakers 2022).

    Attributes:
        intended: signature of the intended end.
        deceptive: signature of the deceptive end.
        within: largest distance from the nearer signature; what is farther from both is OTHER.
    """

    intended: Mapping[str, float]
    deceptive: Mapping[str, float]
    within: float

    def validate(self) -> None:
        self.require(len(self.intended) > 0, "intended", "at least one value")
        self.require(len(self.deceptive) > 0, "deceptive", "at least one value")
        self.require(self.within > 0, "within", "a number above 0")

    def judge(self, evidence: Mapping[str, ndarray]) -> Int[ndarray, " seed"]:
        intended = _distance(evidence, self.intended)
        deceptive = _distance(evidence, self.deceptive)
        nearer = np.where(intended <= deceptive, Verdict.INTENDED, Verdict.DECEPTIVE)
        lost = np.minimum(intended, deceptive) > self.within
        return np.where(lost, Verdict.OTHER, nearer)


def _distance(
    evidence: Mapping[str, ndarray], signature: Mapping[str, float]
) -> Float[ndarray, " seed"]:
    squares = [(evidence[name] - value) ** 2 for name, value in signature.items()]
    return np.sqrt(np.sum(squares, axis=0))
