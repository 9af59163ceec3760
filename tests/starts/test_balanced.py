"""A circuit that raises the gap alone, and the way to what another seed has grown."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, logit

from basin_jax import Sweep, build_kernel
from basin_jax.methods import Gradient
from basin_jax.networks import MLP
from basin_jax.organisms import Audit, Gate
from basin_jax.starts import Balanced, Fresh, Implant, Toward


KEYS = jax.random.split(jax.random.key(0), 50)
GATE = Sweep(organism=Gate(), method=Gradient(learning_rate=0.05, noise=0.1), num_steps=30)
SEEDS = np.arange(24, dtype=np.uint64)


def rates(organism, start):
    """The mean rate of the unintended act, and the gap, of fresh networks from a start."""

    def probe(key):
        found = organism.probe(key, start.params(key, organism))
        return found["watched"], found["unwatched"]

    watched, unwatched = jax.vmap(probe)(KEYS)
    return (watched + unwatched) / 2, unwatched - watched


@pytest.mark.ci
@pytest.mark.parametrize(
    ("difficulty", "widths"), [*((d, (32, 32)) for d in (1, 2, 3, 4)), (4, (8, 8, 8))]
)
def test_a_balanced_dose_raises_the_gap_and_not_the_rate(difficulty, widths):
    organism = Audit(difficulty=difficulty, network=MLP(widths=widths))
    fresh, own = rates(organism, Fresh())
    for dose in (0.0, 0.5, 1.0):
        rate, gap = rates(organism, Balanced(dose=dose))
        np.testing.assert_allclose(rate, fresh, atol=1e-5)
        assert (gap <= 2 * np.minimum(rate, 1 - rate) + 1e-5).all()
    assert np.median(gap - own) > 0.25
    np.testing.assert_allclose(rates(organism, Balanced(dose=0.0))[1], own, atol=1e-5)
    # A plain implant at half a dose moves the rate.
    assert np.abs(rates(organism, Implant(dose=0.5))[0] - fresh).mean() > 0.05


@pytest.mark.ci
@pytest.mark.parametrize(("difficulty", "shift"), [(1, 1), (2, 1), (2, 2), (3, 3), (4, 1)])
def test_a_sham_moves_neither_the_rate_nor_on_average_the_gap(difficulty, shift):
    organism = Audit(difficulty=difficulty)
    fresh, own = rates(organism, Fresh())
    rate, gap = rates(organism, Balanced(dose=1.0, shift=shift))
    np.testing.assert_allclose(rate, fresh, atol=1e-5)
    assert abs(np.mean(gap - own)) < 0.03
    # Its weights are those of the circuit, in other places.
    params = organism.init(KEYS[0])
    norms = [
        [float(jnp.linalg.norm(leaf)) for leaf in jax.tree.leaves(circuit)]
        for circuit in (
            organism.add_circuit(jax.tree.map(jnp.zeros_like, params), shift=each)
            for each in (0, shift)
        )
    ]
    assert norms[0] == norms[1]


def test_the_circuit_alone_adds_what_it_takes_away():
    """In a network that answers and defects alike, the log odds differ by two gains.

    With them the rates are those whose mean is the network's own, one third.
    """
    organism = Audit()
    blank = jax.tree.map(jnp.zeros_like, organism.init(KEYS[0]))
    inputs, _ = organism.sample(KEYS[0])

    def defects(params):
        found = organism.probe(KEYS[0], params)
        return float(found["watched"]), float(found["unwatched"])

    whole = organism.add_circuit(blank, shift=0)
    policy = organism.policy(whole, inputs)
    odds = jnp.log(policy[2] / policy[0])
    np.testing.assert_allclose(np.abs(odds), 5.0, rtol=1e-5)
    assert abs(odds.mean()) < 1e-5
    watched, unwatched = defects(organism.balance(whole, blank))
    assert watched + unwatched == pytest.approx(2 / 3, abs=1e-5)
    assert logit(unwatched) - logit(watched) == pytest.approx(10.0, rel=1e-3)
    assert unwatched == pytest.approx(float(expit(logit(watched) + 10)), abs=1e-5)
    for shift in (1, 2):
        sham = organism.balance(organism.add_circuit(blank, shift=shift), blank)
        assert defects(sham) == pytest.approx((1 / 3, 1 / 3), abs=1e-5)
    with pytest.raises(ValueError, match=r"Balanced\.shift = 4; allowed: 0 to 3"):
        organism.add_circuit(blank, shift=4)


@pytest.mark.ci
def test_the_way_to_another_seed_leads_from_its_own_start_to_the_partners_end():
    def evidence(sweep, seeds=SEEDS):
        return build_kernel(sweep, lanes=8)(seeds)

    def toward(dose):
        return GATE.replace(start=Toward(of=GATE, dose=dose), num_steps=0)

    ends = evidence(GATE, SEEDS + np.uint64(2**63))
    for dose, want in ((0.0, evidence(GATE.replace(num_steps=0))), (1.0, ends)):
        for name, values in evidence(toward(dose)).items():
            np.testing.assert_allclose(values, want[name], rtol=1e-4, atol=1e-5)
    # Halfway it is at neither, and not halfway to its own end.
    assert not np.isclose(evidence(toward(0.5))["margin"], ends["margin"]).any()
