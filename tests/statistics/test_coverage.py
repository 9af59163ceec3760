"""The coverage of the intervals of AUC and kappa, on simulated data.

`python tests/statistics/test_coverage.py` computes the whole grids and prints the table of
docs/calibration.md. The controls are the usual intervals, and must fail. Draws are fixed, so the
tests are deterministic.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.special import expit, logit, ndtr, ndtri
from statsmodels.stats.inter_rater import cohens_kappa

from basin_jax.statistics.agreement import kappa, melded
from basin_jax.statistics.auc import auc


FAR = 50.0  # beyond all other scores
CUTS = np.array([0.0, 1.0, 2.0])


class Covered(NamedTuple):
    """The coverage of this package's interval and of the usual ones, by setting."""

    ours: list[float]
    usual: dict[str, list[float]]


# Draws the scores of m positive and n negative seeds.
Draw = Callable[[np.random.Generator, int, int], tuple[np.ndarray, np.ndarray]]


def normal(area: float, spread: float = 1.0) -> Draw:
    shift = math.sqrt(1 + spread**2) * ndtri(area)
    return lambda rng, m, n: (rng.normal(shift, spread, m), rng.normal(0, 1, n))


def four_levels(area: float) -> Draw:
    """Round normal scores to four values that keep the AUC."""

    def levels(shift: float) -> np.ndarray:
        return np.diff(ndtr(np.array([-np.inf, *CUTS, np.inf]) - shift))

    def reached(shift: float) -> float:
        others = levels(0.0)
        return float(levels(shift) @ (np.cumsum(others) - others / 2))

    low, high = -1.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if reached(middle) < area else (low, middle)
    draw = normal(0.5)

    def rounded(rng, m, n):
        ones, others = draw(rng, m, n)
        return np.digitize(ones + low, CUTS).astype(float), np.digitize(others, CUTS).astype(float)

    return rounded


def two_levels(area: float) -> Draw:
    """Give positive seeds a score of 1 or 0, and negative seeds a score of 0."""
    return lambda rng, m, n: ((rng.random(m) < 2 * area - 1).astype(float), np.zeros(n))


def exponential(area: float) -> Draw:
    return lambda rng, m, n: (rng.exponential(area / (1 - area), m), rng.exponential(1, n))


def outlying(area: float, share: float = 1.0) -> Draw:
    """Let some positive seeds score below all others and cause this share of the errors."""
    lost = (1 - area) * share
    draw = normal(area / (1 - lost)) if share < 1 else None

    def drawn(rng, m, n):
        ones, others = draw(rng, m, n) if draw else (np.full(m, FAR), rng.normal(0, 1, n))
        return np.where(rng.random(m) < lost, -FAR, ones), others

    return drawn


def swapped(area: float) -> Draw:
    """Let some negative seeds score above all positive ones."""
    draw = outlying(area)

    def drawn(rng, m, n):
        others, ones = draw(rng, n, m)
        return -ones, -others

    return drawn


DISTRIBUTIONS: dict[str, Callable[[float], Draw]] = {
    "normal": normal,
    "normal, positives 3 times as wide": lambda area: normal(area, 3.0),
    "normal, positives 1/3 as wide": lambda area: normal(area, 1 / 3),
    "exponential": exponential,
    "four levels": four_levels,
    "two levels": two_levels,
    "outlying positives": outlying,
    "outlying negatives": swapped,
    "outlying positives, half of the errors": lambda area: outlying(area, 0.5),
}
AREAS = (0.5, 0.7, 0.85, 0.95, 0.99)
SIZES = ((1, 1), (1, 20), (3, 3), (3, 30), (10, 10), (10, 100), (200, 20), (50, 50), (150, 150))


def delong(ones: np.ndarray, others: np.ndarray) -> tuple[float, float]:
    wins = (np.sign(ones[:, None] - others) + 1) / 2  # a tie counts as one half
    above, below = wins.mean(1), wins.mean(0)
    variance = sum(float(each.var(ddof=1)) / len(each) for each in (above, below))
    return float(above.mean()), math.sqrt(variance)


def by_delong(ones: np.ndarray, others: np.ndarray, level: float) -> tuple[float, float]:
    area, error = delong(ones, others)
    half = error * ndtri((1 + level) / 2)
    return area - half, area + half


def by_logit(ones: np.ndarray, others: np.ndarray, level: float) -> tuple[float, float]:
    area, error = delong(ones, others)
    if not error:
        return area, area
    half = error / (area * (1 - area)) * ndtri((1 + level) / 2)
    return float(expit(logit(area) - half)), float(expit(logit(area) + half))


def areas(
    settings: Iterable[tuple[str, float, tuple[int, int]]], level: float, runs: int
) -> Covered:
    ours, usual = [], {"DeLong": [], "DeLong, logit": []}
    for number, (name, area, (m, n)) in enumerate(settings):
        rng = np.random.default_rng((number, runs))
        draw, positive = DISTRIBUTIONS[name](area), np.arange(m + n) < m
        known = level == 0.95 and min(m, n) > 1
        found = np.zeros((3, runs), bool)
        for run in range(runs):
            ones, others = draw(rng, m, n)
            bounds = [auc(np.concatenate([ones, others]), positive, level=level)[1:]]
            if known:
                bounds += [rival(ones, others, level) for rival in (by_delong, by_logit)]
            found[: len(bounds), run] = [low <= area <= high for low, high in bounds]
        ours.append(found[0].mean())
        if known:
            for rival, covered in zip(usual.values(), found[1:], strict=True):
                rival.append(covered.mean())
    return Covered(ours, usual)


# Marginal frequencies of the two labels.
MARGINS = (
    *((0.01, 0.01), (0.03, 0.03), (0.1, 0.1), (0.25, 0.25), (0.5, 0.5)),
    *((0.02, 0.2), (0.05, 0.15), (0.2, 0.5), (0.7, 0.9)),
)
KAPPAS = (-0.2, 0.0, 0.3, 0.6, 0.8, 0.95)
SEEDS = (20, 50, 128, 400, 1000)


def shares_of(margins: tuple[float, float], truth: float) -> np.ndarray | None:
    """Return the proportions of both, gained, lost and neither; None if no table has them."""
    one, other = margins
    differ = (one * (1 - other) + other * (1 - one)) * (1 - truth)
    both = (one + other - differ) / 2
    shares = np.array([both, other - both, one - both, 1 - one - other + both])
    return np.maximum(shares, 0) if shares.min() > -1e-12 else None


def covers(table: tuple[int, ...], truth: float, level: float) -> bool:
    """Return whether the interval of kappa covers, without bisecting for its ends."""
    both, *_, neither = table
    if sum(table) in (both, neither):
        return True
    low, high = melded(*table)
    tail, value = (1 - level) / 2, kappa_of(table)
    return (truth >= value or low.below(truth) > tail) and (
        truth <= value or high.below(truth) < 1 - tail
    )


def kappa_of(table: Iterable[float]) -> float:
    found: Any = cohens_kappa(np.reshape([*table], (2, 2)), return_results=False)
    return float(found)


def by_delta_method(table: tuple[int, ...], truth: float) -> bool:
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Any = cohens_kappa(np.reshape(table, (2, 2)))
    return bool(found.kappa_low <= truth <= found.kappa_upp)


def kappas(
    settings: Iterable[tuple[tuple[float, float], float, int]], level: float, runs: int
) -> Covered:
    ours, usual = [], {"delta method": []}
    for number, (margins, truth, seeds) in enumerate(settings):
        shares = shares_of(margins, truth)
        if shares is None:
            continue
        tables = np.random.default_rng((number, runs)).multinomial(seeds, shares, runs)
        tables, counts = np.unique(tables, axis=0, return_counts=True)
        rows = [tuple(table) for table in tables.tolist()]
        ours.append(sum(counts[[covers(row, truth, level) for row in rows]]) / runs)
        if level == 0.95:
            rival = [by_delta_method(row, truth) for row in rows]
            usual["delta method"].append(sum(counts[rival]) / runs)
    return Covered(ours, usual)


def least(level: float, runs: int, settings: int) -> float:
    """Return the 1 % quantile of the least coverage if all are nominal (Bonferroni)."""
    errors = -ndtri(0.01 / settings)
    return level - errors * math.sqrt(level * (1 - level) / runs)


FEW_AREAS = list(
    itertools.product(
        ("normal", "two levels", "outlying positives", "outlying positives, half of the errors"),
        (0.7, 0.97),
        ((3, 12), (20, 20), (40, 150)),
    )
)
FEW_KAPPAS = [
    *(((0.02, 0.02), 0.6, 128), ((0.1, 0.1), 0.0, 40), ((0.25, 0.25), 0.8, 60)),
    *(((0.5, 0.5), 0.95, 20), ((0.05, 0.15), 0.3, 128)),
]


@pytest.mark.ci
def test_intervals_of_an_area_cover_it_whatever_the_scores_are():
    found = areas(FEW_AREAS, 0.95, 300)
    assert min(found.ours) >= least(0.95, 300, len(found.ours))


def test_the_usual_intervals_of_an_area_do_not():
    outliers = [setting for setting in FEW_AREAS if "outlying" in setting[0] and setting[1] > 0.9]
    for covered in areas(outliers, 0.95, 300).usual.values():
        assert max(covered) < 0.96
        assert min(covered) < 0.8


def test_an_interval_of_an_area_is_hardly_wider_than_one_that_need_not_cover():
    rng, widths = np.random.default_rng(5), []
    positive = np.arange(200) < 60
    for _ in range(100):
        ones, others = normal(0.8)(rng, 60, 140)
        _, low, high = auc(np.concatenate([ones, others]), positive)
        usual = by_logit(ones, others, 0.95)
        widths.append((high - low) / (usual[1] - usual[0]))
    assert np.mean(widths) < 1.15


def test_intervals_of_kappa_cover_it_where_few_seeds_have_the_label():
    found = kappas(FEW_KAPPAS, 0.95, 300)
    assert min(found.ours) >= least(0.95, 300, len(found.ours))
    assert min(found.usual["delta method"]) < 0.8


@pytest.mark.parametrize("table", [(8, 2, 3, 87), (2, 0, 0, 98), (0, 3, 4, 20), (9, 9, 1, 1)])
def test_what_is_asked_for_a_truth_is_what_the_interval_says(table):
    _, low, high = kappa(
        np.repeat([True, False, True, False], table), np.repeat([True, True, False, False], table)
    )
    for truth in np.linspace(-0.99, 0.99, 40):
        assert covers(table, truth, 0.95) == (low <= truth <= high)


GRIDS: dict[str, tuple[Callable, list]] = {
    "AUC": (
        areas,
        list(itertools.product(DISTRIBUTIONS, AREAS, SIZES)),
    ),
    "kappa": (kappas, list(itertools.product(MARGINS, KAPPAS, SEEDS))),
}


def sweep(runs: int) -> Iterator[tuple[str, float, int, list[float]]]:
    """Yield the coverage in each setting of the whole grids, by interval and level."""
    for name, (cover, settings) in GRIDS.items():
        for level in (0.95, 0.995):
            found = cover(settings, level, runs)
            yield name, level, runs, found.ours
            if level == 0.95:
                for rival, covered in found.usual.items():
                    yield f"control: {rival}", level, runs, covered


@pytest.mark.slow
def test_our_intervals_cover_in_every_setting_and_the_usual_ones_do_not():
    for name, level, runs, covered in sweep(200):
        bound = least(level, runs, len(covered))
        assert (min(covered) < bound) == name.startswith("control"), (name, level, min(covered))


def main() -> None:
    print("| interval | settings | nominal | mean coverage | least coverage | allowed | runs |")
    print("|---|---|---|---|---|---|---|")
    for name, level, runs, covered in sweep(400):
        bound = least(level, runs, len(covered))
        allowed = f"below {bound:.3f}" if name.startswith("control") else f"{bound:.3f} to 1"
        print(
            f"| {name} | {len(covered)} | {level} | {np.mean(covered):.3f} | {min(covered):.3f} "
            f"| {allowed} | {runs:,} |"
        )


if __name__ == "__main__":
    main()
