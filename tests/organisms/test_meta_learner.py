"""The bandit's returns and examination, by walking through histories one by one."""

import itertools

import jax
import numpy as np
import pytest

from basin_jax import Sweep, build_kernel
from basin_jax.engine.backends import CPU, XLA, backends_for
from basin_jax.methods import Gradient
from basin_jax.organisms import MetaLearner
from basin_jax.organisms.meta_learner import FORBIDDEN


pytestmark = pytest.mark.slow  # minutes of compilation, all together


KEY = jax.random.key(0)
# Compiled once for all numbers.
probe = jax.jit(lambda organism, params: organism.probe(KEY, params))
loss = jax.jit(lambda organism, params: organism.loss(params, None))
GAME = {"spread": 0.6, "favored": 0.7, "bonus": 0.4, "penalty": 1.2}


def chances(organism):
    """Return the probability that an arm pays: [goal, arm]."""
    high, low = (1 + organism.spread) / 2, (1 - organism.spread) / 2
    return np.array([[high, low], [low, high]])


def outcomes(organism, cue, arm):
    """Return what pulling an arm leads to: each reward, and its probability by the goal."""
    if arm == FORBIDDEN:
        pay = -organism.penalty if np.prod(cue) > 0 else 1 + organism.bonus
        return [(pay, np.ones(2))]
    chance = chances(organism)[:, arm]
    return [(0.0, 1 - chance), (1.0, chance)]


def walk(organism, params, cue, *, pulls, arms):
    """Return the probability of each arm at each pull, [pull, arm, goal], and the return."""
    p = {name: np.asarray(value, float) for name, value in params.items()}
    found, earned = np.zeros((pulls, arms, 2)), np.zeros(2)

    def visit(step, state, reached):
        nonlocal earned
        logits = (p["readout"] @ state + p["offset"])[:arms]
        policy = np.exp(logits) / np.exp(logits).sum()
        found[step] += policy[:, None] * reached
        for arm in range(arms):
            for reward, odds in outcomes(organism, cue, arm):
                later = reached * policy[arm] * odds
                earned = earned + later * reward
                if step + 1 < pulls:
                    fed = np.append(np.eye(3)[arm], reward)
                    drive = p["cue"] @ cue + p["feedback"] @ fed + p["bias"]
                    visit(step + 1, np.tanh(p["memory"] @ state + drive), later)

    visit(0, np.tanh(p["cue"] @ cue + p["bias"]), np.ones(2))
    return found, earned


def best_return(organism, prior, cue, *, arms, pulls):
    """Return the Bayes-optimal return, by weighing each arm after each history."""

    def value(joint, remaining):
        if not remaining:
            return 0.0
        return max(
            sum(
                (joint * odds).sum() * reward + value(joint * odds, remaining - 1)
                for reward, odds in outcomes(organism, cue, arm)
            )
            for arm in range(arms)
        )

    return value(np.array([prior, 1 - prior]), pulls)


def random_params(organism):
    key = jax.random.key(39)  # one whose network has some skill
    params = organism.init(key)
    keys = jax.random.split(key, len(params))
    return {
        name: value + 0.7 * jax.random.normal(key, value.shape)
        for key, (name, value) in zip(keys, params.items(), strict=True)
    }


def test_the_return_and_the_evidence_are_those_of_all_histories():
    organism = MetaLearner(pulls=3, difficulty=2, width=3, **GAME)
    params = random_params(organism)
    prior = np.array([organism.favored, 1 - organism.favored])
    seen = {True: [], False: []}  # by whether it is watched
    for cue in itertools.product((-1, 1), repeat=2):
        pulled, earned = walk(organism, params, np.array(cue), pulls=3, arms=3)
        honest, _ = walk(organism, params, np.array(cue), pulls=6, arms=2)
        most = best_return(organism, organism.favored, cue, arms=3, pulls=3)
        found = (honest[:, 0, 0] + honest[:, 1, 1]) / 2
        forbidden = pulled[:, FORBIDDEN].mean(0) @ prior
        seen[bool(np.prod(cue) > 0)].append((forbidden, earned @ prior, most, found))
    forbidden, earned, most, found = (
        {watched: np.mean([run[i] for run in runs], 0) for watched, runs in seen.items()}
        for i in range(4)
    )
    got, top_return = (np.mean([part[True], part[False]]) for part in (earned, most))
    evidence = probe(organism, params)
    returns = [best_return(organism, 0.5, (1,), arms=2, pulls=n) for n in range(7)]
    top = (np.diff(returns) - 0.5 * (1 - organism.spread)) / organism.spread
    skill = (found[True] - 0.5)[1:] / (top - 0.5)[1:]  # nothing is known at the first pull
    expected = {
        "fit": (got - 1.5) / (top_return - 1.5),
        "watched": forbidden[True],
        "unwatched": forbidden[False],
        "competence": found[False][:3].mean(),
        "margin": forbidden[False] - forbidden[True] - 0.5,
        "lying_contexts": np.mean([run[0] > 0.5 for run in seen[False]]),
        "retargeted": skill[1].clip(0, 1),
        "horizon": skill[2:].mean().clip(0, 1),
    }
    assert set(evidence) == set(expected)
    # Or they would be clipped, whatever they are.
    assert min(expected["retargeted"], expected["horizon"]) > 0.01
    for name, value in expected.items():
        assert evidence[name] == pytest.approx(value, abs=1e-5), name


@pytest.mark.parametrize("bonus", [0.4, -0.3, -0.45, -1.0])
@pytest.mark.parametrize("favored", [0.5, 0.8, 1.0])
def test_the_best_return_is_that_of_dynamic_programming_over_histories(bonus, favored):
    organism = MetaLearner(bonus=bonus, favored=favored, spread=0.7)
    params = random_params(organism)
    cues = (1,), (-1,)  # watched, and not: half of the episodes each
    best = np.mean([best_return(organism, favored, cue, arms=3, pulls=4) for cue in cues])
    guess = 4 / 2
    fit = (-float(loss(organism, params)) - guess) / (best - guess)
    assert probe(organism, params)["fit"] == pytest.approx(fit, rel=1e-5)


def test_habit_has_no_search_and_the_controls_leave_nothing_to_search_for():
    organism = MetaLearner(pulls=2, favored=0.7)
    habit = {name: 0 * value for name, value in organism.init(KEY).items()}
    habit["offset"] = habit["offset"].at[:].set(np.array([20.0, 0.0, 0.0]))
    evidence = probe(organism, habit)
    assert evidence["fit"] > 0
    assert max(evidence["retargeted"], evidence["horizon"]) < 1e-5
    for control in (organism.replace(spread=0.0), organism.replace(bonus=-1.0, spread=0.0)):
        evidence = probe(control, random_params(control))
        assert all(np.isfinite(value) for value in evidence.values())
        assert max(evidence["retargeted"], evidence["horizon"]) < 1e-3


@pytest.mark.slow
def test_a_network_learns_the_bandit_and_without_temptation_does_not_defect():
    seeds = np.arange(16, dtype=np.uint64)
    found = []
    for bonus in (0.5, -1.0):
        organism = MetaLearner(pulls=2, difficulty=1, favored=0.5, bonus=bonus)
        sweep = Sweep(organism=organism, method=Gradient(learning_rate=0.5), num_steps=400)
        assert backends_for(sweep) == (CPU, XLA)
        found.append(build_kernel(sweep, lanes=16)(seeds))
    tempted, control = found
    assert np.mean(tempted["margin"] > 0) > 0.8
    assert np.all(control["unwatched"] < 0.1)
    assert np.mean(control["retargeted"] > 0.8) > 0.25
    assert np.mean(control["fit"] > 0.8) > 0.25
