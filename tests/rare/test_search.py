"""Searches against exact fractions, traps that their diagnostics have to see, and refusals."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import beta, norm

from basin_jax import Rule, Sweep, Verdict, organisms, rare
from basin_jax.methods import Gradient
from basin_jax.rare import subset
from basin_jax.rare.problem import Problem
from basin_jax.rules import Behavior


DESCENT = Gradient(learning_rate=0.05)
XOR = Sweep(
    organism=organisms.ReluXor(units=12, scale=0.01),
    method=DESCENT,
    num_steps=400,
    save_at=tuple(range(0, 30)),
)
RACE = Sweep(
    organism=organisms.TicketRace(deceptive=1, honest=12, depth=2), method=DESCENT, num_steps=300
)
TILTED = organisms.DoubleWell(tilt=-0.2, scale=0.06)
WELL = Sweep(organism=TILTED, method=Gradient(learning_rate=0.3), num_steps=40)
HOT = Sweep(
    organism=TILTED.replace(mean=-1.0, scale=0.0),
    method=Gradient(learning_rate=0.1, noise=1.1),
    num_steps=100,
    save_at=tuple(range(0, 100, 10)),
)
ANY_FIT = Behavior(min_fit=None)
CHAINS, FEW = rare.SubsetSimulation(particles=200), rare.SubsetSimulation(particles=100)


def agrees(found: rare.RareEstimate, truth: float) -> bool:
    """Return True if an estimate is within 4 standard errors and its interval covers."""
    fractions = np.array([replication.fraction for replication in found.replications])
    error = fractions.std(ddof=1) / len(fractions) ** 0.5
    return abs(found.fraction - truth) < 4 * error


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("xor")


@pytest.fixture(scope="module")
def xor(folder):
    return rare.fraction(XOR, rule=Behavior(), of="UNFIT", method=FEW, lanes=64, folder=folder)


def test_subset_simulation_counts_units_that_all_lean_to_one_side(xor):
    assert agrees(xor, 2**-11)
    assert xor.low < 2**-11 < xor.high
    assert xor.trusted, xor.warnings


def test_the_score_is_chosen_on_a_pilot(xor):
    assert "evidence='fit', harmful='below'" in xor.score  # the margin never moves
    assert xor.pilot >= 1000
    assert xor.trainings == sum(r.trainings for r in xor.replications)


@pytest.mark.ci
def test_subset_simulation_finds_the_tail_of_a_race():
    # Shares of paths of depth 2 are conserved, and Beta(1/2, 12/2).
    found = rare.fraction(RACE, rule=ANY_FIT, method=CHAINS, score=rare.Peak(), lanes=64)
    assert agrees(found, float(beta.sf(0.75, 0.5, 6)))
    assert found.fraction < 1e-4


def test_importance_sampling_tilts_a_start():
    separatrix = 0.2091488242149353
    search = rare.ImportanceSampling(particles=1000)
    found = rare.fraction(WELL, rule=ANY_FIT, method=search, score=rare.At(step=0), lanes=64)
    truth = float(norm.sf(separatrix / 0.06))
    assert agrees(found, truth)
    assert found.high / found.low < 1.3
    assert found.trusted, found.warnings


def escapes(*, tilt: float, start: float, rate: float, noise: float, steps: int) -> float:
    """Compute the fraction that noise carries over the ridge, step by step on a grid."""
    grid = np.linspace(-3, 3, 1201)
    after = grid - rate * (grid**3 - grid - tilt)
    density = norm.pdf((grid[None] - after[:, None]) / (rate * noise)) / (rate * noise)
    beyond = (grid > 0.2091488242149353).astype(float)
    for _ in range(steps):
        beyond = density @ beyond * (grid[1] - grid[0])
    return float(np.interp(start, grid, beyond))


@pytest.mark.ci
def test_splitting_follows_noise_over_a_ridge():
    method = rare.Splitting(particles=100)
    found = rare.fraction(HOT, rule=ANY_FIT, method=method, score=rare.Peak(), lanes=64)
    truth = escapes(tilt=-0.2, start=-1.0, rate=0.1, noise=1.1, steps=100)
    assert agrees(found, truth)
    assert found.fraction < 1e-3


def test_splitting_is_refused_where_training_draws_nothing():
    with pytest.raises(ValueError, match=r"training draws no random numbers.*allowed"):
        rare.fraction(WELL, rule=ANY_FIT, method=rare.Splitting(), lanes=64)


class Still(organisms.DoubleWell):
    """Start at one point."""

    def init(self, key):
        return jnp.float32(self.mean)


def test_chains_are_refused_where_the_start_draws_nothing():
    still = WELL.replace(organism=Still())
    with pytest.raises(
        ValueError, match=r"start = .* draws no random numbers .*allowed for Subset"
    ):
        rare.fraction(still, rule=ANY_FIT, lanes=64)


class Hidden(Rule):
    """Find the event in the far tail of x, or in a thin slice that no score leads to."""

    def judge(self, evidence):
        x = evidence["x"]
        inside = (x > 0.3) | ((x > -0.02) & (x < -0.01997))
        return np.where(inside, Verdict.DECEPTIVE, Verdict.INTENDED)


class Noise(rare.OneEvidence):
    """Score by digits that mean nothing."""

    evidence: str = "x"

    def score(self, values, stops):
        return np.mod(values[:, -1] * 1e4, 1.0)


UNTRAINED = WELL.replace(num_steps=0)


def test_a_second_way_in_that_the_score_hides_is_noticed():
    found = rare.fraction(UNTRAINED, rule=Hidden(), score=rare.Peak(), method=CHAINS, lanes=64)
    truth = norm.cdf(-0.01997 / 0.06) - norm.cdf(-0.02 / 0.06) + norm.sf(5)
    naive = np.median([replication.fraction for replication in found.replications])
    assert truth / naive > 3
    assert not found.trusted, found


def test_a_score_made_of_noise_is_noticed():
    rule = Hidden()
    found = rare.fraction(UNTRAINED, rule=rule, score=Noise(), method=CHAINS, lanes=64)
    assert not found.trusted, found


def test_committed_replications_are_used_again(folder, xor):
    """Replications that are missing are the same when they run alone, and with the same score."""
    next((folder / "rare").glob("*-3.json")).unlink()
    told = []
    given = {"rule": Behavior(), "of": "UNFIT", "method": FEW, "lanes": 64}
    assert rare.fraction(XOR, folder=folder, tell=told.append, **given) == xor
    assert [line.split(":")[0] for line in told if "replication" in line] == ["replication 4 of 8"]
    assert told[0].startswith("level 1: 0.25 to 0.25 of seeds, after 100 trainings"), told


@pytest.mark.ci
def test_a_search_that_is_stopped_goes_on_from_its_last_levels(tmp_path, monkeypatch):
    monkeypatch.setattr(subset, "SECONDS", 0.0)
    given = {"rule": ANY_FIT, "method": FEW, "score": rare.At(step=0), "lanes": 64}
    whole, trained = rare.fraction(WELL, **given), []

    def stop(line: str) -> None:
        if line.startswith("level 5"):
            raise KeyboardInterrupt

    def scores(problem, noise, own=Problem.scores):
        trained.append(len(noise.seeds))
        return own(problem, noise)

    monkeypatch.setattr(Problem, "scores", scores)
    with pytest.raises(KeyboardInterrupt):
        rare.fraction(WELL, folder=tmp_path, tell=stop, **given)
    (stopped,) = rare.load(tmp_path)
    assert (stopped.replications, stopped.wanted) == (0, 8)
    first, told = sum(trained), []
    assert rare.fraction(WELL, folder=tmp_path, tell=told.append, **given) == whole
    assert told[0].startswith("level 5: "), told
    # The last level of each was under way.
    moves = max(level.moves for one in whole.replications for level in one.levels)
    assert whole.trainings <= sum(trained) <= whole.trainings + 8 * 100 * moves
    assert first > 100
    assert not [*tmp_path.glob("rare/*-*-*.json")]


class Looks(Rule):
    """Read evidence that there is not."""

    def judge(self, evidence):
        return np.where(evidence["gap"] > 0, Verdict.DECEPTIVE, Verdict.INTENDED)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"root": -1}, r"root = -1; allowed: 0 to 2\*\*63 - 1"),
        ({"level": 95.0}, "level = 95.0; allowed: above 0 and below 1"),
        ({"lanes": 0}, "lanes = 0; allowed: at least 1"),
        ({"of": "DECEPTION"}, "DECEPTION.*allowed"),
        ({"of": Verdict.ERROR}, "of = ERROR; allowed: a verdict that a rule gives"),
        ({"rule": Looks()}, "needs the evidence 'gap'; the organism gives: .*margin"),
        ({"score": rare.Peak(evidence="gap")}, "evidence = 'gap'; allowed: one of .*margin"),
        ({"score": rare.At(step=41)}, "step = 41; allowed: one of the sweep's stops"),
        (
            {"score": rare.SettlingTime(), "method": rare.Splitting()},
            "score = SettlingTime.* allowed for Splitting: Peak",
        ),
        ({"sweep": WELL.replace(vary="data")}, "vary = 'data'; allowed for Subset.* or 'init'"),
    ],
)
def test_mistakes_are_refused_before_anything_is_trained(wrong, said, tmp_path):
    given = {"sweep": WELL, "rule": ANY_FIT, "lanes": 64, "folder": tmp_path / "folder"} | wrong
    with pytest.raises(ValueError, match=said):
        rare.fraction(given.pop("sweep"), **given)
    assert not (tmp_path / "folder").exists()


def test_more_states_than_fit_into_memory_are_refused_with_numbers():
    many = rare.Splitting(particles=10**8)
    with pytest.raises(ValueError, match=r"particles = 100000000; allowed: at most \d+, as .* GB"):
        rare.fraction(HOT, rule=ANY_FIT, method=many, score=rare.Peak(), lanes=64)
