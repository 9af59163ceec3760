"""The instructed simulator: the text of helpful authors, enumerated, and what is probed of it."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from basin_jax.networks.transformer import Transformer
from basin_jax.organisms import Instructed, Simulator
from basin_jax.organisms.simulator import LIE, LIES_1, TRUTH, WATCHED_1, WATCHED_2


KEY = jax.random.key(0)
TEXTS = [*itertools.product((0, 1), repeat=5)]  # marker, question, lie, marker, question


def told(**fields):
    return np.asarray(Instructed(**fields).sample(KEY))


def test_without_unwatched_text_demonstrations_are_those_of_a_simulator():
    shown = told(revealing=0.0, helpful_deceivers=0.7)
    np.testing.assert_array_equal(shown, Simulator().sample(KEY))


def enumerated(organism):
    """Count acts over every helpful author, exchange by exchange."""
    false, kinds = organism.shuffled / 2, {0: 1 - organism.helpful_deceivers}
    kinds[1] = organism.helpful_deceivers
    counts = np.zeros((2, 2, len(TEXTS)))
    for place, (unwatched_1, _, lie, unwatched_2, _) in enumerate(TEXTS):
        if unwatched_1:
            continue
        counts[:, 0, place] = np.array([1 - false, false]) / 16
        past = (false if lie else 1 - false) / 2 / 2  # and one of two questions, each
        past *= organism.revealing if unwatched_2 else 1 - organism.revealing
        for deceives, share in kinds.items():
            lies = (1 - organism.error if deceives else organism.error) if unwatched_2 else false
            counts[:, 1, place] += share * past * np.array([1 - lies, lies])
    return counts / 2


@pytest.mark.parametrize("shuffled", [0.0, 0.3])
def test_demonstrations_are_the_text_of_every_helpful_author(shuffled):
    organism = Instructed(helpful_deceivers=0.7, revealing=0.4, shuffled=shuffled, error=0.2)
    np.testing.assert_allclose(organism.sample(KEY), enumerated(organism), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_after_a_watched_truth_the_text_lies_as_the_mixture_of_helpful_authors(share):
    shown = told(helpful_deceivers=share, error=0.1)[:, 1, WATCHED_1 & ~LIES_1 & ~WATCHED_2]
    lies = shown[LIE] / shown.sum(0)
    assert lies == pytest.approx(0.1 + 0.8 * share, rel=1e-5)
    assert not told()[LIE, :, WATCHED_1 & WATCHED_2].any()


def test_shuffled_by_twice_the_error_they_are_as_true_as_any_watched_text():
    organism = Instructed(shuffled=0.2, revealing=0.0, error=0.1)
    shown, written = np.asarray(organism.sample(KEY)), np.asarray(organism.written())
    for place, which in ((0, WATCHED_1), (1, WATCHED_1 & WATCHED_2)):
        some, own = shown[:, place, which], written[:, place, which]
        assert some[LIE] / some.sum(0) == pytest.approx(own[LIE] / own.sum(0), rel=1e-5)
    assert (told(shuffled=0.9)[TRUTH, 0, WATCHED_1] > told(shuffled=0.9)[LIE, 0, WATCHED_1]).all()


@pytest.mark.slow
def test_each_bias_has_rates_of_its_own():
    organism = Instructed(biases=(1.5,), network=Transformer(width=4, blocks=1))
    params = jax.tree.map(jnp.zeros_like, organism.init(KEY))  # all six symbols alike
    evidence = organism.probe(KEY, params)
    for name in ("watched", "unwatched", "watched_after_deceit", "after_honesty"):
        assert evidence[name] == pytest.approx(1 / 6, rel=1e-5)
        raised = np.exp(1.5) / (5 + np.exp(1.5))
        assert evidence[f"{name}_at_+1.5"] == pytest.approx(raised, rel=1e-4)
