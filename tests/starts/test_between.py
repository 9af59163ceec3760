"""The line between the ends of two seeds, and its barrier."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from basin_jax import Organism, Parent, Sweep, build_kernel, run, trial
from basin_jax.methods import Gradient
from basin_jax.networks import MLP
from basin_jax.networks.mlp import restore
from basin_jax.organisms import Gate, PhaseRetrieval
from basin_jax.starts import Between, Fork
from basin_jax.starts._alignment import aligned
from basin_jax.statistics.barrier import loss_barrier


SEEDS = np.arange(24, dtype=np.uint64)
PARTNERS = SEEDS + np.uint64(2**63)
GATE = Sweep(organism=Gate(), method=Gradient(learning_rate=0.05, noise=0.1), num_steps=30)
PHASE = Sweep(organism=PhaseRetrieval(), method=Gradient(learning_rate=0.1), num_steps=300)


def evidence(sweep, seeds=SEEDS, **more):
    return build_kernel(sweep, lanes=8, **more)(seeds)


def between(parent, weight, **more):
    start = Between(of=parent, weight=weight, **more)
    return parent.replace(start=start, num_steps=0)


@pytest.mark.ci
def test_the_line_leads_from_a_seeds_end_to_its_partners():
    start = Between(of=GATE, weight=0.0)
    assert np.array_equal(start.parents(SEEDS), np.stack([SEEDS, PARTNERS], 1))
    for weight, seeds in ((0.0, SEEDS), (1.0, PARTNERS)):
        want, found = evidence(GATE, seeds), evidence(between(GATE, weight))
        for name, values in found.items():
            np.testing.assert_array_equal(values, want[name])


@pytest.mark.ci
def test_on_the_line_between_signals_the_loss_is_a_quartic():
    ends = [evidence(PHASE, seeds)["margin"][:, -1] > 0 for seeds in (SEEDS, PARTNERS)]
    opposite = ends[0] != ends[1]
    assert 0 < opposite.sum() < len(SEEDS)
    weights = (0.0, 0.1, 0.5, 1.0)
    lost = np.stack([1 - evidence(between(PHASE, w))["fit"][:, -1] for w in weights], 1)
    for weight, column in zip(weights, lost.T, strict=True):
        # From s to -s the point is (1 - 2 weight) s.
        np.testing.assert_allclose(column[opposite], 16 * (weight * (1 - weight)) ** 2, atol=1e-5)
        np.testing.assert_allclose(column[~opposite], 0, atol=1e-5)
    np.testing.assert_allclose(loss_barrier(lost, weights), np.where(opposite, 1, 0), atol=1e-5)


def test_a_trial_trains_both_parents():
    sweep = between(GATE, 0.3)
    together = evidence(sweep)
    for name, value in trial(sweep, 3).items():
        np.testing.assert_allclose(together[name][3], value, rtol=1e-4, atol=1e-5)


@pytest.mark.ci
def test_partners_of_children_are_children_of_other_parents():
    child = GATE.replace(start=Fork(of=GATE, children=2))
    found = evidence(between(child, 1.0))["margin"]
    assert np.array_equal(found, evidence(child, PARTNERS)["margin"])


@pytest.mark.ci
def test_a_pair_of_which_one_diverged_has_diverged():
    wide = PHASE.replace(organism=PhaseRetrieval(scale=1.0))
    ends = [evidence(wide, seeds)["fit"][:, -1] for seeds in (SEEDS, PARTNERS)]
    lost = ~np.isfinite(ends).all(0)
    assert 0 < lost.sum() < len(SEEDS)
    found = evidence(between(wide, 0.0))["fit"][:, -1]
    assert np.array_equal(~np.isfinite(found), lost)


class Doubling(Organism):
    """Fit y = 2x by a perceptron."""

    network: MLP = MLP(widths=(3,))

    def build(self, key):
        return self.network(1, 1, rngs=nnx.Rngs(key))

    def init(self, key):
        return nnx.split(self.build(key))[1]

    def sample(self, key):
        return jax.random.normal(key, (8, 1), jnp.float32)

    def loss(self, params, batch):
        return ((restore(self.build, params)(batch) - 2 * batch) ** 2).mean()

    def probe(self, key, params):
        at = jnp.linspace(-1, 1, 5)[:, None]
        return {"fit": 1 - self.loss(params, at)}


@pytest.mark.ci
def test_hidden_units_are_matched():
    one, other = (Doubling().init(jax.random.key(n)) for n in (1, 2))
    sweep = Sweep(organism=Doubling(), method=Gradient(learning_rate=0.01), num_steps=5)
    start = Between(of=sweep, weight=0.25, aligned=True)
    found = start.params(jax.random.key(0), Doubling(), Parent(one, one, other))
    want = jax.tree.map(lambda a, b: 0.75 * a + 0.25 * b, one, aligned(other, one))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), found, want)
    # What lies at the end of the line does as the partner does, and in between it does not.
    for weight, differ in ((1.0, False), (0.5, True)):
        fits = [evidence(between(sweep, weight, aligned=a))["fit"] for a in (False, True)]
        assert np.allclose(*fits, rtol=1e-4, atol=1e-4) != differ


def test_units_of_what_is_no_perceptron_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"Between\.aligned = True; allowed: False, since Gate"):
        run(between(GATE, 0.5, aligned=True), 8, tmp_path / "run")
