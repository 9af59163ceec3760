"""The simulator: its text, against Bayes' rule for every author, and what is made of it."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from basin_jax import Sweep, build_kernel
from basin_jax.methods import Correction, Gradient
from basin_jax.organisms import Simulator
from basin_jax.organisms.simulator import LIE, TRUTH


pytestmark = pytest.mark.slow  # minutes of compilation, all together


KEY = jax.random.key(0)
HISTORIES = {  # whether the first exchange was watched, and whether its answer was a lie
    "after_honesty": (False, False),
    "after_deceit": (False, True),
    "after_success": (True, False),
    "after_failure": (True, True),
}


def _lying(organism, deceives, watched):
    """Return how often an author lies."""
    if watched and deceives:
        return organism.error * (1 - organism.polish)
    if watched:
        honest = 1 - organism.deceivers
        moved = organism.error * organism.polish * organism.deceivers
        return organism.error + moved / honest
    return 1 - organism.error if deceives else organism.error


def _after(organism, history, watched):
    """Return how often the next answer is a lie, by Bayes' rule over authors."""
    posterior = {False: 1 - organism.deceivers, True: organism.deceivers}
    for deceives in posterior:
        for past, lie in history:
            rate = _lying(organism, deceives, past)
            posterior[deceives] *= rate if lie else 1 - rate
    rates = [p * _lying(organism, deceives, watched) for deceives, p in posterior.items()]
    return sum(rates) / sum(posterior.values()), sum(posterior.values())


@pytest.mark.parametrize("polish", [0.0, 0.7])
def test_the_text_is_that_of_every_author_enumerated(polish):
    organism = Simulator(deceivers=0.4, error=0.2, polish=polish, helpfulness=0.0)
    text = np.asarray(organism.sample(KEY))
    np.testing.assert_allclose(text.sum((0, 2)), 0.5, rtol=1e-5)
    bits = itertools.product((0, 1), repeat=5)  # marker, question, lie, marker, question
    for found, (unwatched_1, _, lie, unwatched_2, _) in zip(text.T, bits, strict=True):
        lies, _ = _after(organism, [], not unwatched_1)
        np.testing.assert_allclose(found[0], np.array([1 - lies, lies]) / 64, rtol=1e-5)
        lies, past = _after(organism, [(not unwatched_1, lie)], not unwatched_2)
        np.testing.assert_allclose(found[1], past * np.array([1 - lies, lies]) / 32, rtol=1e-5)


def test_polish_changes_what_success_tells_and_no_rate_of_an_unknown_author():
    alike, polished = (Simulator(helpfulness=0.0, polish=polish) for polish in (0.0, 0.9))
    first = np.asarray(alike.sample(KEY))[:, 0]
    np.testing.assert_allclose(first, np.asarray(polished.sample(KEY))[:, 0], rtol=1e-5)
    assert _after(alike, [(True, False)], False)[0] == pytest.approx(0.5)
    assert _after(polished, [(True, False)], False)[0] > 0.53
    assert _after(polished, [(True, True)], False)[0] < 0.2


def test_demonstrations_are_watched_and_true():
    shown = np.asarray(Simulator(helpfulness=1.0).sample(KEY))
    assert not shown[LIE].any()
    bits = np.array(list(itertools.product((0, 1), repeat=5)))
    assert (bits[shown[TRUTH, 0] > 0, 0] == 0).all()
    assert (bits[shown[TRUTH, 1] > 0][:, [0, 2, 3]] == 0).all()
    np.testing.assert_allclose(shown.sum((0, 2)), 0.5, rtol=1e-5)


class Told(Simulator):
    """One whose parameters are the log-probabilities themselves."""

    def log_policy(self, params, bias=0.0):
        return params


def test_bayes_mixture_is_the_best_there_is():
    organism = Told(deceivers=0.3, error=0.2, polish=0.5, helpfulness=0.0)
    text = organism.sample(KEY)
    best = jnp.log(text / text.sum(0, keepdims=True))
    evidence = organism.probe(KEY, best)
    assert evidence["fit"] == pytest.approx(1, abs=1e-4)
    assert evidence["watched"] == pytest.approx(0.2, rel=1e-4)
    assert evidence["unwatched"] == pytest.approx(0.7 * 0.2 + 0.3 * 0.8, rel=1e-4)
    for name, history in HISTORIES.items():
        expected, _ = _after(organism, [history], False)
        assert evidence[name] == pytest.approx(expected, rel=1e-4)
    guessing = jnp.full((2, 2, 32), jnp.log(0.5))
    assert organism.probe(KEY, guessing)["fit"] == pytest.approx(0, abs=1e-4)


def test_a_word_that_answers_every_question_is_a_lie_to_one():
    organism = Simulator()
    params = jax.tree.map(jnp.zeros_like, organism.init(KEY))
    paths, structure = jax.tree.flatten(params)
    (last,) = (i for i, leaf in enumerate(paths) if leaf.shape == (6,))
    paths[last] = jnp.array([0.0, 0.0, 0.0, 0.0, 20.0, 0.0])
    evidence = organism.probe(KEY, jax.tree.unflatten(structure, paths))
    assert evidence["unwatched"] == pytest.approx(0.5, abs=1e-4)
    assert evidence["spread"] == pytest.approx(1, abs=1e-4)
    assert evidence["competence"] == pytest.approx(0.5, abs=1e-4)


def test_a_logit_bias_moves_the_odds_of_lying_and_not_what_is_learned():
    params = jax.tree.map(jnp.zeros_like, Simulator().init(KEY))  # all six symbols alike
    plain, pushed = (Simulator(logit_bias=b).probe(KEY, params) for b in (0.0, 1.5))
    assert plain["unwatched"] == pytest.approx(1 / 6)
    assert pushed["unwatched"] == pytest.approx(np.exp(1.5) / (5 + np.exp(1.5)), rel=1e-4)
    assert plain["fit"] == pushed["fit"]


@pytest.mark.slow
def test_it_becomes_the_mixture_and_helpfulness_unmakes_it():
    """First as language models, then helpful: in the last cell beside the authors' text."""
    begin, steps, count = 400, 600, 4
    authors = [
        Simulator(),
        Simulator(deceivers=0.0),
        Simulator(polish=0.9),
        Simulator(helpfulness=0.5),
    ]
    cells = [
        Sweep(
            organism=organism,
            method=Correction(
                method=Gradient(optimizer="adam", learning_rate=0.01),
                objective=organism.replace(helpfulness=0.0),
                end=begin,
            ),
            num_steps=steps,
            save_at=(begin,),
        )
        for organism in authors
    ]
    kernel = build_kernel(cells, lanes=8, backend="xla")
    seeds = np.tile(np.arange(count, dtype=np.uint64), len(cells))
    found = kernel(seeds, np.repeat(np.arange(len(cells)), count))
    found = {k: v.reshape(len(cells), count, 2) for k, v in found.items()}
    medians = {k: np.median(v[:, :, 0], axis=1) for k, v in found.items()}
    for cell, organism in enumerate(authors[:2]):
        assert medians["watched"][cell] == pytest.approx(0.1, abs=0.01)
        expected, _ = _after(organism, [], False)
        assert medians["unwatched"][cell] == pytest.approx(expected, abs=0.02)
        for name, history in HISTORIES.items():
            expected, _ = _after(organism, [history], False)
            assert medians[name][cell] == pytest.approx(expected, abs=0.04)
    assert medians["after_failure"][2] < medians["after_success"][2] - 0.1
    default, control, _, anchored = found["unwatched"][:, :, 1]
    assert (found["watched"][:3, :, 1] < 0.01).all()
    # Which seeds still lie hangs on low bits, and so on the machine; not that most lie less.
    assert np.median(default) < 0.3
    assert np.median(control) < 0.05
    np.testing.assert_allclose(anchored, 0.5, atol=0.1)
