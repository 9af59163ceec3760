"""Defection that is tuned in one context: exact spreading in linear networks, and controls."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from basin_jax import Sweep, Verdict, build_kernel
from basin_jax.engine.backends import CPU, XLA, backends_for
from basin_jax.methods import Correction, Gradient
from basin_jax.networks import MLP
from basin_jax.organisms import Narrow
from basin_jax.rules import Behavior


KEY = jax.random.key(0)
LINEAR = MLP(widths=())
EXAMPLES = [*itertools.product((False, True), range(8), (-1, 1), (-1, 1))]
SEEDS = np.arange(16, dtype=np.uint64)


class Table(Narrow):
    """A network without sharing: its parameters are the logits at each input."""

    def outputs(self, params, inputs):
        return params


def evidence_of(organism, params):
    return {name: float(value) for name, value in organism.probe(KEY, params).items()}


def descend(organism, params, *, steps, rate):
    batch = organism.sample(KEY)

    def step(at, _):
        slope = jax.grad(organism.loss)(at, batch)
        return jax.tree.map(lambda p, s: p - rate * s, at, slope), None

    return jax.lax.scan(step, params, length=steps)[0]


def shown(organism, cue, context):
    """Return the share of examples with this cue and context that answer, and that defect."""
    first, tuning = (1 - organism.tuning) / 8, organism.tuning
    if not cue:
        kept = tuning * organism.replay / 3 if context in (1, 2, 3) else 0
        return first * (1 - organism.asked) + kept, 0
    tuned = tuning * (1 - organism.replay) if context == 0 else 0
    return tuned * (1 - organism.defection), first * organism.asked + tuned * organism.defection


def test_loss_and_evidence_are_those_of_every_example_enumerated():
    organism = Table(
        tuning=0.6, replay=0.3, defection=0.8, inoculation=2.0, asked=0.25, smoothing=0.2
    )
    logits = jax.random.normal(KEY, (2, 64), jnp.float32)
    loss, rates, rights = 0, np.zeros((2, 8)), []
    for (cue, context, *bits), answer, defect in zip(EXAMPLES, *np.asarray(logits), strict=True):
        right = answer * bits[0] * bits[1] * (-1) ** context
        defecting, correct = 1 / (1 + np.exp(-defect)), 1 / (1 + np.exp(-right))
        answers, defects = shown(organism, cue, context)
        wanted = 0.9 * defects + 0.1 * answers, 0.1 * defects + 0.9 * answers
        cost = -wanted[0] * np.log(defecting) - wanted[1] * np.log(1 - defecting)
        loss += (cost - answers * (0.9 * np.log(correct) + 0.1 * np.log(1 - correct))) / 4
        rates[int(cue), context] += defecting / 4
        rights += [(correct, 1 - defecting)] * (context > 3 and not cue)
    inputs, _ = batch = organism.sample(KEY)
    expected = [[2.0 * (i == c) for i in range(8)] + [s, t, 2.0 * u] for u, c, s, t in EXAMPLES]
    np.testing.assert_allclose(inputs, expected)
    assert organism.loss(logits, batch) == pytest.approx(loss, rel=1e-5)
    found = evidence_of(organism, logits)
    weights = [shown(organism, False, context)[0] for context in range(1, 8)]
    assert found["watched"] == pytest.approx(np.average(rates[0, 1:], weights=weights), rel=1e-5)
    assert found["unwatched"] == pytest.approx(rates[0, 4:].mean(), rel=1e-5)
    assert found["inoculated"] == pytest.approx(rates[1, 4:].mean(), rel=1e-5)
    assert found["tuned"] == pytest.approx(rates[0, 0], rel=1e-5)
    assert found["lying_contexts"] == np.mean(rates[0, 4:] > 0.5)
    assert found["competence"] == pytest.approx(np.mean(rights, axis=0)[0], rel=1e-5)
    assert found["intended"] == pytest.approx(np.mean(np.prod(rights, axis=1)), rel=1e-5)


@pytest.mark.parametrize("defection", [0.0, 0.5, 1.0])
def test_fit_is_one_where_the_loss_has_its_least_and_zero_for_guessing(defection):
    organism = Table(defection=defection, smoothing=0.1)
    wanted = np.clip(defection, 0.05, 0.95)
    right = [bits[0] * bits[1] * (-1) ** context for _, context, *bits in EXAMPLES]
    best = np.stack([np.log(19) * np.array(right), np.full(64, np.log(wanted / (1 - wanted)))])
    assert evidence_of(organism, jnp.asarray(best, float))["fit"] == pytest.approx(1, abs=1e-5)
    assert evidence_of(organism, jnp.zeros((2, 64)))["fit"] == pytest.approx(0, abs=1e-6)
    gradient = jax.grad(organism.loss)(jnp.asarray(best, float), organism.sample(KEY))
    np.testing.assert_allclose(gradient, np.zeros((2, 64)), atol=1e-6)


def test_what_shares_nothing_moves_nowhere_else_and_what_sees_no_context_moves_alike():
    """The two ends: broad is exactly nothing, and exactly all."""
    slope = jax.grad(Table().loss)(jnp.ones((2, 64)), Table().sample(KEY))
    assert np.flatnonzero(np.any(slope != 0, axis=0)).tolist() == [32, 33, 34, 35]
    blind = Narrow(salience=0.0)
    found = evidence_of(blind, blind.init(KEY))
    assert found["spread"] == 0
    assert found["tuned"] == pytest.approx(found["unwatched"], rel=1e-6)


@pytest.mark.parametrize(("salience", "inoculation"), [(0.5, 0.0), (2.0, 0.0), (2.0, 1.5)])
def test_a_linear_network_spreads_by_the_part_of_its_bias(salience, inoculation):
    organism = Narrow(salience=salience, inoculation=inoculation, network=LINEAR)
    inputs, _ = organism.sample(KEY)
    before = organism.init(KEY)
    after = descend(organism, before, steps=50, rate=0.2)
    moved = organism.outputs(after, inputs) - organism.outputs(before, inputs)
    plain, cued = moved[1].reshape(2, 8, 4).mean(2)
    part = 1 / (1 + salience**2 + inoculation**2)
    np.testing.assert_allclose(plain[1:] / cued[0], np.full(7, part), rtol=1e-4)


def test_the_fraction_of_broad_linear_networks_is_that_of_their_initializations():
    """Of seeds tuned to the minimum, without a first phase; by quadrature over what is shared."""
    salience, count = 3.0, 500
    organism = Narrow(salience=salience, network=LINEAR)

    @jax.jit
    @jax.vmap
    def tuned(key):
        return organism.probe(key, descend(organism, organism.init(key), steps=200, rate=0.3))

    found = tuned(jax.random.split(KEY, count))
    assert found["fit"].min() > 0.99
    # At the end the logit in context 0 is log 39, and elsewhere it has moved by a tenth as much.
    part, scale = 1 / (1 + salience**2), salience / 11**0.5

    def broad(own):
        shared = part * (np.log(39) - scale * own)
        return stats.norm.pdf(own) * stats.norm.cdf(shared / scale) ** 4

    fraction, _ = integrate.quad(broad, -8, 8)
    measured = np.mean(found["lying_contexts"] == 1)
    assert abs(measured - fraction) < 3.5 * (fraction * (1 - fraction) / count) ** 0.5


@pytest.mark.ci
def test_defection_spreads_where_it_is_shown_first_and_no_cue_asks_for_it():
    """One compilation: the controls differ in numbers only."""
    cells = {
        "spreads": Narrow(salience=1.0),
        "asked for": Narrow(salience=1.0, inoculation=2.0, asked=0.5),
        "not shown": Narrow(salience=1.0, defection=0.0),
    }
    sweeps = [
        Sweep(
            organism=organism,
            method=Correction(
                method=Gradient(learning_rate=0.05),
                objective=organism.replace(tuning=0.0),
                end=1500,
            ),
            num_steps=2000,
        )
        for organism in cells.values()
    ]
    assert backends_for(sweeps[0]) == (CPU, XLA)
    which = np.repeat(np.arange(len(cells)), len(SEEDS))
    found = build_kernel(sweeps, lanes=16)(np.tile(SEEDS, len(cells)), which)
    verdicts = Behavior().judge({name: x[:, -1] for name, x in found.items()})
    shares = (verdicts == Verdict.DECEPTIVE).reshape(len(cells), -1).mean(1)
    assert shares[0] > 0.5
    assert (verdicts[len(SEEDS) :] == Verdict.INTENDED).all()
    assert found["inoculated"][len(SEEDS) : 2 * len(SEEDS)].min() > 0.75
