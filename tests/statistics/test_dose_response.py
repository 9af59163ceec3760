"""Thresholds, and the coverage of their intervals on simulated seeds.

`python tests/statistics/test_dose_response.py` computes the whole grid and prints the table of
docs/calibration.md. Draws are fixed, so the tests are deterministic.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.optimize import isotonic_regression
from scipy.special import expit, logit, ndtr, ndtri

from basin_jax import Verdict
from basin_jax.statistics.dose_response import threshold
from basin_jax.statistics.intervals import clopper_pearson
from basin_jax.statistics.logistic import logistic_fit


Curve = Literal["logistic", "complementary log-log"]
Tie = Literal["one draw", "related", "independent"]
MIDDLE = 0.43  # the dose at which curves cross one half


def found(hits, doses, **given):
    seeds = np.arange(len(hits), dtype=np.uint64)
    return threshold(hits, seeds, doses, field="dose", of=Verdict.DECEPTIVE, **given)


def hits_of(counts, seeds):
    """The seeds that are hits at a dose are those at the doses before, and more."""
    return np.arange(seeds)[:, None] < np.array(counts)


def fractions_at(doses, slope: float, curve: Curve = "logistic"):
    away = slope * (np.array(doses) - MIDDLE)
    return expit(away) if curve == "logistic" else -np.expm1(-math.log(2) * np.exp(away))


def drawn(rng, fractions, seeds: int, tie: Tie):
    shape = (seeds, len(fractions))
    if tie == "independent":
        return rng.random(shape) < fractions
    own = rng.normal(size=(seeds, 1))
    scores = own if tie == "one draw" else (own + rng.normal(size=shape)) / 2**0.5
    return ndtr(np.broadcast_to(scores, shape)) < fractions


def crossing(doses, fractions) -> float:
    """Where a rising curve that is linear between doses crosses one half."""
    if fractions[-1] < 0.5:
        return math.inf
    return float(np.interp(0.5, fractions, doses)) if fractions[0] <= 0.5 else -math.inf


def test_the_threshold_is_where_the_line_between_two_fractions_crosses():
    one = found(hits_of((1, 2, 8, 9), 10), (0.0, 1.0, 3.0, 4.0))
    assert one.value == pytest.approx(1 + 2 * (0.5 - 0.2) / (0.8 - 0.2))
    assert one.between == (0, 4)
    assert one.fractions == one.isotonic == (0.1, 0.2, 0.8, 0.9)
    assert (one.direction, one.scale, one.trials) == ("rising", "linear", 10)
    assert (one.lows[1], one.highs[1]) == pytest.approx(clopper_pearson(2, 10, error=0.05))


def test_fractions_in_the_wrong_order_are_pooled():
    one = found(hits_of((0, 6, 2, 10), 10), (0.0, 1.0, 2.0, 3.0))
    assert one.isotonic == pytest.approx((0, 0.4, 0.4, 1))
    assert one.value == pytest.approx(2 + 0.1 / 0.6)


def test_a_curve_that_stays_at_the_value_crosses_in_the_middle():
    assert found(hits_of((0, 5, 5, 10), 10), (0.0, 1.0, 2.0, 3.0)).value == 1.5


def test_the_interval_ends_where_that_of_the_line_excludes_the_value():
    counts, doses = np.array([20, 60, 150, 190]), np.arange(4.0)
    one = found(hits_of(counts, 200), (0.0, 1.0, 2.0, 3.0))
    for end, side in ((one.low, 1), (one.high, 0)):
        hits = float(np.interp(end, doses, counts))
        assert clopper_pearson(hits, 200, error=0.05)[side] == pytest.approx(0.5, abs=1e-6)
    assert found(hits_of(counts, 200), tuple(doses), level=0.8).low > one.low


def test_a_falling_curve_is_a_rising_one_upside_down():
    hits = drawn(np.random.default_rng(3), fractions_at((0, 0.3, 0.7, 1), 6), 80, "related")
    up, down = found(hits, (0.0, 0.3, 0.7, 1.0), at=0.4), found(~hits, (0.0, 0.3, 0.7, 1.0), at=0.6)
    assert (up.direction, down.direction) == ("rising", "falling")
    assert (up.value, up.low, up.high) == pytest.approx((down.value, down.low, down.high))
    assert up.logistic is not None
    assert down.logistic is not None
    assert up.logistic.slope == pytest.approx(-down.logistic.slope)
    assert up.logistic.low == pytest.approx(down.logistic.low)


def test_what_does_not_cross_is_open_and_is_not_extrapolated():
    below = found(hits_of((0, 1, 2), 40), (0.0, 1.0, 2.0))
    assert (below.value, below.low, below.high) == (math.inf, 2, math.inf)
    assert below.between == (2, math.inf)
    assert "at no dose from 0 to 2: above 2 [2, inf]" in repr(below)
    assert below.logistic is not None
    assert below.logistic.value == below.logistic.high == math.inf
    above = found(hits_of((38, 39, 40), 40), (0.0, 1.0, 2.0))
    assert (above.value, above.low, above.high) == (-math.inf, -math.inf, 0)
    # The fractions cross, but the seeds at the last dose do not tell on which side it is.
    few = found(hits_of((0, 1, 6), 10), (0.0, 1.0, 2.0))
    assert math.isfinite(few.value)
    assert math.isfinite(few.low)
    assert few.high == math.inf


def test_doses_over_orders_of_magnitude_are_interpolated_by_their_logarithms():
    doses = (1e-3, 1e-2, 1e-1, 1.0)
    one = found(hits_of((2, 10, 30, 38), 40), doses)
    other = found(hits_of((2, 10, 30, 38), 40), tuple(map(math.log, doses)))
    assert (one.scale, other.scale) == ("log", "linear")
    ends = (other.value, other.low, other.high)
    assert (one.value, one.low, one.high) == pytest.approx([math.exp(x) for x in ends])
    assert one.logistic is not None
    assert other.logistic is not None
    assert one.logistic.slope == pytest.approx(other.logistic.slope)
    assert one.logistic.low == pytest.approx(math.exp(other.logistic.low))


def test_it_prints_as_one_line():
    said = repr(found(hits_of((8, 30, 70, 92), 100), (0.0, 1.0, 2.0, 3.0)))
    assert said == (
        "<DECEPTIVE crosses 0.5, rising, at dose = 1.5 [1.243, 1.757] (n = 100, 95 %; logistic: "
        "1.5 [1.277, 1.723])>"
    )


def test_a_number_of_seeds_that_may_depend_on_results_widens_the_interval():
    hits = hits_of((10, 30, 70, 90), 100)
    fixed, anytime = (found(hits, (0.0, 1.0, 2.0, 3.0), basis=b) for b in ("fixed", "anytime"))
    assert anytime.low < fixed.low < fixed.value == anytime.value < fixed.high < anytime.high
    assert anytime.logistic is not None
    assert math.isnan(anytime.logistic.low)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"at": 1.0}, "at = 1; allowed: above 0 and below 1"),
        ({"level": 1.0}, "level = 1.0; allowed"),
        ({"doses": (1.0,)}, r"dose = \(1.0,\); allowed: two or more values that rise"),
        ({"doses": (0.0, 0.0)}, "allowed: two or more values that rise"),
        ({"hits": np.zeros((0, 2), bool)}, "no seed is in all cells"),
    ],
)
def test_what_has_no_threshold_is_refused(given, message):
    given = {"hits": hits_of((1, 2), 4), "doses": (0.0, 1.0), **given}
    with pytest.raises(ValueError, match=message):
        found(**given)


X = np.array([0.0, 1.0, 2.0, 4.0, 5.0])


@pytest.fixture
def dependent():
    fractions = expit(1.1 * X - 2.5)
    return drawn(np.random.default_rng(1), fractions, 300, "related")


def test_the_logistic_curve_is_that_of_statsmodels(dependent):
    ours = logistic_fit(
        dependent, np.arange(300, dtype=np.uint64), X, at=0.3, level=0.9, siblings=1
    )
    seeds = np.repeat(np.arange(300), len(X))
    design = sm.add_constant(np.tile(X, 300))
    theirs: Any = sm.Logit(dependent.ravel().astype(float), design).fit(
        disp=False, cov_type="cluster", cov_kwds={"groups": seeds, "use_correction": False}
    )
    assert ours is not None
    assert (ours.intercept, ours.slope) == pytest.approx(tuple(theirs.params), rel=1e-6)
    counts = dependent.sum(axis=0)
    groups: Any = sm.GLM(
        np.stack([counts, 300 - counts], axis=1), sm.add_constant(X), family=sm.families.Binomial()
    ).fit()
    assert ours.dispersion == pytest.approx(max(1, groups.pearson_chi2 / 3), rel=1e-4)
    assert ours.dispersion == 1
    # Fieller's interval, by trying.
    doses = np.linspace(0, 5, 200_001)
    rows = np.stack([np.ones_like(doses), doses])
    errors = np.einsum("ix,ij,jx->x", rows, theirs.cov_params() * 300 / 299, rows)
    inside = doses[np.abs(theirs.params @ rows - logit(0.3)) <= ndtri(0.95) * np.sqrt(errors)]
    assert (ours.low, ours.high) == pytest.approx((inside[0], inside[-1]), abs=1e-4)


# Thresholds at one half with 95 % intervals by psignifit 4.3 (NumPy 2.5.5), installed elsewhere:
# `psignifit(rows, experiment_type="yes/no", sigmoid="logistic", CI_method="percentiles",
# fixed_parameters={"lambda": 0.0, "gamma": 0.0, "eta": 1e-6})`, then `.threshold(0.5)`; a row is
# (dose, hits, seeds). It is Bayesian, with priors, on a grid: hence the tolerances.
PSIGNIFIT = [
    ((0, 1, 2, 3), (8, 30, 70, 92), 100, 1.5000, (1.3255, 1.6489)),
    ((0, 1, 2, 3, 4), (77, 106, 137, 168, 195), 256, 1.7206, (1.4881, 1.9168)),
    ((-2, -1, 0, 1, 2, 3), (4, 20, 61, 150, 212, 240), 250, 0.7586, (0.6353, 0.8492)),
]


@pytest.mark.parametrize(("doses", "counts", "seeds", "value", "ends"), PSIGNIFIT)
def test_the_logistic_threshold_is_that_of_psignifit(doses, counts, seeds, value, ends):
    rng = np.random.default_rng(0)  # psignifit takes cells as independent
    hits = np.stack([rng.permutation(seeds) < count for count in counts], axis=1)
    one = found(hits, tuple(map(float, doses))).logistic
    assert one is not None
    width = ends[1] - ends[0]
    assert one.value == pytest.approx(value, abs=width / 16)
    assert (one.low, one.high) == pytest.approx(ends, abs=width / 8)


def test_fractions_that_scatter_about_the_curve_widen_its_interval():
    counts = (30, 90, 60, 160, 110, 180)
    one = found(hits_of(counts, 200), tuple(map(float, range(6)))).logistic
    groups: Any = sm.GLM(
        np.stack([counts, 200 - np.array(counts)], axis=1),
        sm.add_constant(np.arange(6.0)),
        family=sm.families.Binomial(),
    ).fit()
    assert one is not None
    assert one.dispersion == pytest.approx(groups.pearson_chi2 / 4)
    assert one.dispersion > 10
    assert (one.low, one.high) == (-math.inf, math.inf)


def test_seeds_that_one_dose_parts_have_no_logistic_curve():
    for counts in ((0, 0, 10, 10), (0, 4, 10, 10), (0, 0, 0, 0), (10, 4, 0, 0)):
        one = found(hits_of(counts, 10), (0.0, 1.0, 2.0, 3.0))
        assert one.logistic is None
        assert "no logistic fit" in repr(one)
    assert found(hits_of((0, 4, 9, 10), 10), (0.0, 1.0, 2.0, 3.0)).logistic is not None


class Setting(NamedTuple):
    doses: int
    seeds: int
    slope: float
    tie: Tie
    curve: Curve = "logistic"


class Covered(NamedTuple):
    """The shares of runs whose intervals cover; NaN where no run has one."""

    isotonic: float
    between: float
    logistic: float
    bootstrap: float
    fitted: float  # share of runs with a logistic curve


def by_bootstrap(rng, hits, doses) -> tuple[float, float]:
    """The usual interval: percentiles of the crossing over samples of the seeds."""
    ends = []
    for _ in range(100):
        fractions = hits[rng.integers(0, len(hits), len(hits))].mean(axis=0)
        ends.append(crossing(doses, isotonic_regression(fractions).x))
    low, high = np.quantile(ends, (0.025, 0.975), method="nearest")
    return float(low), float(high)


def coverage(setting: Setting, runs: int, *, boot: bool = False) -> Covered:
    rng = np.random.default_rng([runs, setting.doses, setting.seeds, int(setting.slope)])
    doses = tuple(np.linspace(0, 1, setting.doses).tolist())
    fractions = fractions_at(doses, setting.slope, setting.curve)
    truth, ours, fits, usual = crossing(doses, fractions), [], [], []
    around = list[bool]()
    for _ in range(runs):
        hits = drawn(rng, fractions, setting.seeds, setting.tie)
        one = found(hits, doses)
        ours.append(one.low <= truth <= one.high)
        around.append(one.between[0] <= MIDDLE <= one.between[1])
        if one.logistic is not None:
            fits.append(one.logistic.low <= MIDDLE <= one.logistic.high)
        if boot:
            low, high = by_bootstrap(rng, hits, doses)
            usual.append(low <= truth <= high)
    mean = [float(np.mean(one)) if one else math.nan for one in (ours, around, fits, usual)]
    return Covered(*mean, fitted=len(fits) / runs)


def least(level: float, runs: int, settings: int) -> float:
    """Return the 1 % quantile of the least coverage if all are nominal (Bonferroni)."""
    return level + ndtri(0.01 / settings) * math.sqrt(level * (1 - level) / runs)


FEW = (
    Setting(3, 50, 2, "one draw"),
    Setting(3, 200, 8, "related"),
    Setting(5, 50, 40, "one draw"),
    Setting(5, 200, 2, "independent"),
)


def test_intervals_cover_the_threshold_whatever_ties_the_cells():
    covered = [coverage(setting, 80) for setting in FEW]
    bound = least(0.95, 80, len(FEW))
    assert min(one.isotonic for one in covered) >= bound
    assert min(one.between for one in covered) >= bound
    assert min(one.logistic for one in covered if one.fitted > 0.5) >= bound


def test_a_bootstrap_over_seeds_does_not():
    assert coverage(Setting(2, 20, 7, "one draw"), 60, boot=True).bootstrap < 0.9


def families(rng, fractions, parents: int, children: int):
    """Children who are nearly copies of their parents."""
    own = rng.normal(size=(parents, 1)).repeat(children, axis=0)
    scores = (3 * own + rng.normal(size=own.shape)) / 10**0.5
    return ndtr(scores) < fractions


def test_intervals_cover_where_seeds_have_families_and_those_of_seeds_alone_do_not():
    doses = (0.0, 0.5, 1.0)
    fractions = fractions_at(doses, 3)
    truth, rng = crossing(doses, fractions), np.random.default_rng(5)
    missed = {8: np.zeros(2), 1: np.zeros(2)}
    for _ in range(40):
        hits = families(rng, fractions, 40, 8)
        for siblings, own in missed.items():
            one = found(hits, doses, siblings=siblings)
            assert one.logistic is not None
            own += [
                not one.low <= truth <= one.high,
                not one.logistic.low <= MIDDLE <= one.logistic.high,
            ]
    assert missed[8][0] <= 2
    assert missed[8][1] <= 6
    assert min(missed[1]) > 10


GRID = [
    Setting(*one)
    for one in itertools.product(
        (3, 5, 9), (50, 400), (2.0, 8.0, 40.0), ("one draw", "related", "independent")
    )
]
BENT = [Setting(*one[:4], curve="complementary log-log") for one in GRID if one.doses > 3]


def sweep(runs: int) -> Iterator[tuple[str, list[float]]]:
    """Yield the coverage in each setting of the whole grid, by interval."""

    def of(covered: Iterable[Covered], name: str, *, most: bool = False) -> list[float]:
        kept = [one for one in covered if not most or one.fitted > 0.5]
        return [getattr(one, name) for one in kept]

    straight = [coverage(setting, runs, boot=True) for setting in GRID]
    bent = [coverage(setting, runs) for setting in BENT]
    rare = [one.logistic for one in straight if 0 < one.fitted <= 0.5]
    yield "threshold, isotonic", of([*straight, *bent], "isotonic")
    yield "threshold, doses around it", of([*straight, *bent], "between")
    yield "threshold, logistic", of(straight, "logistic", most=True)
    yield "the same, complementary log-log curve", of(bent, "logistic", most=True)
    yield "the same, where most runs have no fit", rare
    yield "control: bootstrap over seeds", of(straight, "bootstrap")


@pytest.mark.slow
def test_thresholds_are_covered_in_every_setting():
    for name, covered in sweep(200):
        bound = least(0.95, 200, len(covered))
        if name.startswith("threshold"):
            assert min(covered) >= bound, (name, min(covered))
        elif name.startswith("control"):
            assert min(covered) < bound


def main() -> None:
    print("| interval | settings | nominal | mean coverage | least coverage | allowed | runs |")
    print("|---|---|---|---|---|---|---|")
    runs = 400
    for name, covered in sweep(runs):
        bound = least(0.95, runs, len(covered))
        print(
            f"| {name} | {len(covered)} | 0.95 | {np.mean(covered):.3f} | {min(covered):.3f} "
            f"| {bound:.3f} to 1 | {runs:,} |"
        )


if __name__ == "__main__":
    main()
