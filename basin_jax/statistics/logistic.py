"""Logistic curves of fractions over doses, whose cells run the same seeds."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt64
from numpy import ndarray
from scipy.optimize import minimize
from scipy.special import expit, logit, stdtrit

from basin_jax.statistics.families import Families


BLOCK = 2**16  # seeds whose products are summed at once


@dataclass(frozen=True, kw_only=True)
class Logistic:
    """A logistic curve: the fraction at x is 1 / (1 + exp(-(intercept + slope·x))).

    It prints as `value [low, high]`.

    Attributes:
        intercept, slope: of the curve; x is the dose, or its natural logarithm where the scale
            of the threshold is "log".
        value, low, high: the dose at which the curve crosses, and its interval; ±inf as in
            `Threshold`.
        dispersion: the factor by which the fractions scatter about the curve more than seeds
            explain, as a ratio of variances; at least 1.
    """

    intercept: float
    slope: float
    value: float
    low: float
    high: float
    dispersion: float

    def at(self, x: Float[ndarray, " x"]) -> Float[ndarray, " x"]:
        """Return the fraction at x."""
        return expit(self.intercept + self.slope * x)

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


def logistic_fit(
    hits: Bool[ndarray, "seed dose"],
    seeds: UInt64[ndarray, " seed"],
    x: Float[ndarray, " dose"],
    *,
    at: float,
    level: float,
    siblings: int,
) -> Logistic | None:
    """Fit a logistic curve by maximum likelihood, and find where it crosses `at`.

    The interval is Fieller's (1954): where the curve is not surely steeper than flat, it is open.
    The covariance of the two parameters is that of Liang & Zeger (1986), from the sums of each
    seed's residuals, or each family's: cells run the same seeds. It is multiplied by the
    heterogeneity factor of Finney (1971), Pearson's chi-squared over its degrees of freedom, if
    that is above 1; the quantile is then Student's. Seeds of a cell are independent trials, so
    that no count varies more than a binomial one, as a beta-binomial would have it. What exceeds
    the binomial is the distance of the true curve from a logistic one, which a factor on the
    variance describes without a further distribution, and which leaves the fit as it is.

    The interval is asymptotic, and for a fixed number of seeds. It covers too rarely if the true
    curve is another one and the seeds do not show it (docs/calibration.md).

    Returns:
        The curve, in units of x; None if the likelihood has no maximum, since all seeds miss below
        some x and all are hits above it, or the other way around.
    """
    hit_at, miss_at = (np.flatnonzero(some.any(axis=0)) for some in (hits, ~hits))
    if not (len(hit_at) and len(miss_at)):
        return None
    if miss_at[-1] <= hit_at[0] or hit_at[-1] <= miss_at[0]:
        return None
    trials, fractions = len(hits), hits.mean(axis=0)
    center, spread = x.mean(), x.std()
    design = np.stack([np.ones_like(x), (x - center) / spread])
    intercept, slope = _maximum(design, fractions)
    fitted = expit(intercept + slope * design[1])
    covariances = _covariances(hits, seeds, siblings)
    bread = np.linalg.inv((design * fitted * (1 - fitted)) @ design.T * trials)
    covariance = bread @ design @ covariances @ design.T @ bread
    freedom = len(x) - 2
    dispersion = 1.0
    if freedom:
        squares = _squares(fractions, fitted, np.diag(covariances), trials)
        dispersion = max(1.0, squares / freedom)
    quantile = float(stdtrit(freedom if dispersion > 1 else math.inf, (1 + level) / 2))
    most = quantile**2 * dispersion
    low, high = _fieller(intercept - logit(at), slope, covariance, most)
    value = (logit(at) - intercept) / slope if slope else math.inf
    value, low, high = (float(center + spread * z) for z in (value, low, high))
    return Logistic(
        intercept=intercept - slope * center / spread,
        slope=slope / spread,
        value=value,
        low=low,
        high=high,
        dispersion=dispersion,
    )


def _maximum(
    design: Float[ndarray, "2 dose"], fractions: Float[ndarray, " dose"]
) -> tuple[float, float]:
    def loss(b):
        z = b @ design
        return float((np.logaddexp(0, z) - fractions * z).sum())

    def gradient(b):
        return design @ (expit(b @ design) - fractions)

    def hessian(b):
        p = expit(b @ design)
        return (design * p * (1 - p)) @ design.T

    found = minimize(
        loss, np.zeros(2), jac=gradient, hess=hessian, method="trust-exact", options={"gtol": 1e-10}
    )
    return float(found.x[0]), float(found.x[1])


def _squares(
    fractions: Float[ndarray, " dose"],
    fitted: Float[ndarray, " dose"],
    variances: Float[ndarray, " dose"],
    trials: int,
) -> float:
    """Compute Pearson's chi-squared of fractions, given the variances of the numbers of hits."""
    # Families vary more or less than as many independent seeds, and so do their fractions.
    own = trials**2 / max(trials - 1, 1) * fractions * (1 - fractions)
    effect = np.divide(variances, own, out=np.ones_like(own), where=own > 0)
    expected = effect * fitted * (1 - fitted) / trials
    squares = (fractions - fitted) ** 2
    # A curve so steep that it is 0 or 1 in floating point is so where the fraction is.
    ratios = np.divide(squares, expected, out=np.zeros_like(own), where=expected > 0)
    return float(ratios.sum())


def _covariances(
    hits: Bool[ndarray, "seed dose"], seeds: UInt64[ndarray, " seed"], siblings: int
) -> Float[ndarray, "dose dose"]:
    """Estimate the covariances of the numbers of hits, over seeds or families."""
    fractions = hits.mean(axis=0)
    if siblings > 1:
        families = [Families.of([(own, seeds)], siblings) for own in hits.T]
        apart = np.stack([own.hits for own in families])
        apart -= fractions[:, None] * families[0].trials
        return apart @ apart.T * len(apart.T) / max(len(apart.T) - 1, 1)
    blocks = (hits[i : i + BLOCK].astype(float) for i in range(0, len(hits), BLOCK))
    both = sum(block.T @ block for block in blocks)
    return (both - len(hits) * np.outer(fractions, fractions)) * len(hits) / max(len(hits) - 1, 1)


def _fieller(
    intercept: float, slope: float, covariance: Float[ndarray, "2 2"], most: float
) -> tuple[float, float]:
    """Find the z at which (intercept + slope·z)² is at most `most` times its variance."""
    c, b, a = (
        intercept**2 - most * covariance[0, 0],
        intercept * slope - most * covariance[0, 1],
        slope**2 - most * covariance[1, 1],
    )
    if a <= 0:
        return -math.inf, math.inf
    root = math.sqrt(max(b * b - a * c, 0.0))
    return (-b - root) / a, (-b + root) / a
