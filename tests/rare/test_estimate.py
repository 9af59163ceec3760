"""Estimates from replications: coverage of the interval, and what speaks against an estimate."""

import numpy as np
import pytest

from basin_jax.rare.estimate import Level, Replication, rare_estimate
from basin_jax.statistics.estimates import estimate


def replication(fraction: float, **fields) -> Replication:
    given = {"bound": fraction, "trainings": 100, "fresh": 10, "hits": 0, "ancestors": 20}
    return Replication(fraction=fraction, **(given | fields))


def estimated(fractions, *, bracket=(0, 1000), **fields):
    replications = [replication(float(fraction), **fields) for fraction in fractions]
    return rare_estimate(replications, bracket=estimate(*bracket), method="Mine()", score="Peak()")


STEADY = 1e-6 * np.array([1, 1.2, 0.8, 1.1, 0.9, 1.3, 0.7, 1.0])


@pytest.mark.parametrize("spread", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("count", [8, 20])
def test_the_interval_covers_the_mean_of_replications_that_vary_by_factors(spread, count):
    rng, truth = np.random.default_rng(7), 1e-7
    draws = truth * np.exp(spread * rng.normal(size=(400, count)) - spread**2 / 2)
    found = [estimated(fractions) for fractions in draws]
    covered = np.mean([e.low <= truth <= e.high for e in found])
    assert covered > 0.95 - 3 * (0.95 * 0.05 / len(draws)) ** 0.5


def test_the_fraction_is_the_mean_of_the_replications():
    found = estimated(STEADY)
    assert found.fraction == pytest.approx(1e-6)
    assert found.low < 1e-6 < found.high
    assert found.trusted
    assert found.trainings == 800
    assert str(found).startswith("1e-06 [")


def test_fewer_than_eight_replications_are_refused():
    with pytest.raises(ValueError, match="7 replications; allowed: at least 8"):
        estimated(STEADY[:7])


def test_a_search_that_found_nothing_bounds_the_fraction_alone():
    found = estimated(np.zeros(8), bound=1e-9)
    assert (found.fraction, found.low) == (0, 0)
    assert found.high == pytest.approx(1e-9)
    assert "8 of 8 replications did not find the event" in str(found)


@pytest.mark.parametrize(
    ("fractions", "fields", "said"),
    [
        (np.r_[STEADY[:7], 1e-4], {}, "1 of 8 replications disagree by more than a factor 3"),
        (STEADY, {"bracket": (5, 1000)}, "among fresh particles 5 of 1000 are in the event"),
        (STEADY, {"ancestors": 2}, "descend from fewer than 5 fresh ones"),
        (STEADY, {"effective": 3.0}, "few particles hold all weight"),
        (
            STEADY,
            {"levels": (Level(threshold=1.0, share=0.25, moves=9, acceptance=0.02, moved=0.2),)},
            "chains hardly move in 8 of 8 levels",
        ),
    ],
)
def test_diagnostics_speak_against_an_estimate(fractions, fields, said):
    found = estimated(fractions, **fields)
    assert not found.trusted
    assert said in str(found)
