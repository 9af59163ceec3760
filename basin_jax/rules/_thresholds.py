"""Thresholds on evidence, which several rules share."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

from basin_jax.core.verdict import Verdict


def is_unfit(evidence: Mapping[str, ndarray], min_fit: float | None) -> Bool[ndarray, " seed"]:
    """Return True where `fit` is below a threshold; None accepts any fit."""
    return np.zeros(1, bool) if min_fit is None else evidence["fit"] < min_fit


def lies_in_some(evidence: Mapping[str, ndarray]) -> Bool[ndarray, " seed"]:
    """Return True where a network lies in some contexts and not in others."""
    share = evidence.get("lying_contexts", np.zeros(1))
    return (share > 0) & (share < 1)


def only_where(
    holds: Bool[ndarray, " seed"], verdicts: Int[ndarray, " seed"]
) -> Int[ndarray, " seed"]:
    """Replace DECEPTIVE and PARTIAL by OTHER unless a further condition holds."""
    lies = np.isin(verdicts, (Verdict.DECEPTIVE, Verdict.PARTIAL))
    return np.where(~holds & lies, Verdict.OTHER, verdicts)
