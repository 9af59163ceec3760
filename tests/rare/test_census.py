"""Censuses against closed forms: how the mass of a tail is divided between two ways into it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from by_numpy import Starts, problem_of
from rare_folders import WELL
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

import basin_jax
from basin_jax import Rule, Verdict, rare
from basin_jax.rare.census import ancestors_at, effective, mass_at, ratio_interval, share_at
from basin_jax.rare.estimate import RareEstimate, rare_estimate
from basin_jax.rare.problem import Attempt
from basin_jax.rare.store import CODE, identity_of
from basin_jax.results.rule import rule_identity
from basin_jax.rules import Behavior
from basin_jax.runs.provenance import modules
from basin_jax.statistics.estimates import estimate


BARS = (2.0, 4.0, 5.0)
# Two ways into the tail, of which the second is narrower.
WIDTHS = (1.0, 0.97)


class First(Rule):
    """Call a particle deceptive if its first number is the larger one."""

    def judge(self, evidence):
        return np.where(evidence["hit"] > 0, Verdict.DECEPTIVE, Verdict.INTENDED)


class Beyond(Rule):
    """Find the event where such a particle is beyond a bar."""

    bar: float

    def judge(self, evidence):
        beyond = (evidence["hit"] > 0) & (evidence["score"] >= self.bar)
        return np.where(beyond, Verdict.DECEPTIVE, Verdict.INTENDED)


def two_ways(noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    ways = noise[:, :2] * WIDTHS
    return ways.max(1), ways[:, 0] > ways[:, 1]


def census(
    root: int, *, particles: int = 200, replications: int = 8, bars: tuple[float, ...] = BARS
) -> RareEstimate:
    search = rare.Census(particles=particles, by=First(), bars=bars, below=1e-100)
    problem = replace(problem_of(Starts(2, two_ways)), rule=Beyond(bar=bars[-1]))
    attempts = [
        Attempt(rng=np.random.default_rng([root, number])) for number in range(replications)
    ]
    found = [one for _, one in sorted(search.replicate(problem, attempts))]
    return rare_estimate(found, bracket=estimate(0, 8 * particles), method="", score="")


def mass(bar: float) -> float:
    return float(1 - np.prod(norm.cdf(bar / np.array(WIDTHS))))


def share(bar: float) -> float:
    """Integrate over the first number where it leads."""
    leads = quad(lambda x: norm.pdf(x) * norm.cdf(x / WIDTHS[1]), bar, 12)[0]
    return leads / mass(bar)


def test_the_mass_of_a_tail_and_its_division_are_those_of_closed_forms():
    found = census(0, particles=500)
    for bar in BARS:
        value, low, high = mass_at(found, bar, error=0.001)
        assert low <= mass(bar) <= high, bar
        assert value == pytest.approx(mass(bar), rel=0.5)
        value, low, high = share_at(found, bar, [Verdict.DECEPTIVE], error=0.001)
        assert low <= share(bar) <= high, bar
        assert high - low < 0.4
        others = share_at(found, bar, [Verdict.INTENDED], error=0.001)
        assert others[0] == pytest.approx(1 - value)
        assert effective(found, bar) > 6
        assert ancestors_at(found, bar) > 8 * 3
    assert mass(5.0) < 1e-6
    assert share(5.0) > 0.65


def test_a_census_ends_at_its_last_bar_and_passes_each():
    found = census(0)
    for one in found.replications:
        counted = [level.threshold for level in one.levels if level.verdicts]
        assert counted == [np.nextafter(bar, -np.inf) for bar in BARS]
        assert one.levels[-1].threshold == counted[-1]
        assert all(sum(level.verdicts.values()) == 200 for level in one.levels if level.verdicts)


def test_a_bar_that_was_not_reached_has_no_share():
    found = census(0, bars=(2.0,))
    assert mass_at(found, 4.0, error=0.05) == (0.0, 0.0, 1.0)
    value, *ends = share_at(found, 4.0, [Verdict.DECEPTIVE], error=0.05)
    assert np.isnan(value)
    assert ends == [0.0, 1.0]


def test_where_all_replications_agree_the_interval_is_that_of_as_many_trials():
    masses = np.array([1e-30, 3e-30, 2e-30, 1e-30])
    assert ratio_interval(masses, 0 * masses, error=0.05) == (0.0, 0.0, 1 - 0.025**0.25)
    assert ratio_interval(masses, masses, error=0.05) == (1.0, 0.025**0.25, 1.0)
    # One that has not come so far is no trial.
    masses[0] = 0.0
    assert ratio_interval(masses, 0 * masses, error=0.05) == (0.0, 0.0, 1 - 0.025 ** (1 / 3))
    # Where one holds all there is nothing to compare.
    assert ratio_interval(np.array([1, 1e-20]), np.array([0.5, 0]), error=0.05) == (0.5, 0, 1)


def test_replications_count_by_their_masses():
    masses = np.array([1e-300, 3e-300])
    value, low, high = ratio_interval(masses, masses * [0.0, 1.0], error=0.5)
    assert value == pytest.approx(0.75)
    # Student's t of one degree of freedom is 1 at this error, and shares without one are 1 and 0.
    assert (low, high) == (pytest.approx(0.25), 1.0)


def test_a_stored_search_is_that_of_its_own_code_and_rules():
    method = rare.Census(by=First(), bars=BARS)
    terms = {"rule": Behavior(), "of": Verdict.DECEPTIVE, "score": None, "root": 0}
    assert identity_of(WELL, method=method, **terms)["rules"] == [rule_identity(First())]
    package = Path(basin_jax.__file__).parent
    code = {file.relative_to(package).as_posix() for file in modules(package, *CODE)}
    assert {f"rare/{name}.py" for name in ("census", "subset", "scores", "importance")} <= code


def test_an_event_with_scores_below_a_bar_is_refused():
    search = rare.Census(particles=200, by=First(), bars=BARS[:1], below=1e-100)
    problem = replace(problem_of(Starts(2, two_ways)), rule=First())
    with pytest.raises(ValueError, match=r"Census\.bars = .*; allowed: scores up to the"):
        list(search.replicate(problem, [Attempt(rng=np.random.default_rng(0))]))


@pytest.mark.slow
@pytest.mark.parametrize(("spread", "covered"), [(0.3, 0.94), (0.6, 0.92), (0.9, 0.84)])
def test_intervals_cover_as_often_as_the_study_says_where_masses_differ(spread, covered):
    rng, tries = np.random.default_rng(0), 20_000

    def drawn(*size):
        """Masses that differ by a factor e^spread, and shares that rise with them."""
        deviations = rng.normal(size=size)
        return np.exp(spread * deviations), expit(deviations)

    masses, shares = drawn(10**6)
    truth, held = (masses * shares).sum() / masses.sum(), []
    for masses, shares in zip(*drawn(tries, 16), strict=True):
        if masses.sum() ** 2 >= 8 * (masses**2).sum():  # as many count as replications agree with
            _, low, high = ratio_interval(masses, masses * shares, error=0.05)
            held.append(low <= truth <= high)
    assert np.mean(held) == pytest.approx(covered, abs=0.01)


@pytest.mark.slow
def test_intervals_of_shares_cover():
    count, truth = 200, share(4.0)
    found = [census(root, particles=100, bars=(4.0,)) for root in range(count)]
    ends = [share_at(one, 4.0, [Verdict.DECEPTIVE], error=0.05)[1:] for one in found]
    covered = np.mean([low <= truth <= high for low, high in ends])
    assert covered > 0.95 - 3 * (0.95 * 0.05 / count) ** 0.5
