"""An organism that chooses its own data: its two losses, and what is known of how long it lasts."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from basin_jax import Sweep, Verdict, build_kernel
from basin_jax.engine.backends import CPU, XLA, backends_for
from basin_jax.methods import Correction, Gradient
from basin_jax.organisms import Chooser
from basin_jax.organisms.chooser import DEFECT
from basin_jax.rules import Behavior
from basin_jax.testing import check_organism


KEY = jax.random.key(0)
CUBE = np.array([*itertools.product((-1, 1), repeat=5)])
RIGHT = (CUBE[:, 0] * CUBE[:, 1] > 0).astype(int)
NEVER = -30.0  # a logit


class Table(nnx.Module):
    """A network whose parameters are its logits."""

    def __init__(self, inputs, outputs, *, rngs):
        self.logits = nnx.Param(jnp.zeros((2**inputs, outputs)))

    def __call__(self, x):
        return self.logits[...]


def watched(difficulty):
    return np.prod(CUBE[:, 2 : 2 + difficulty], axis=1) > 0


def logit(rate):
    return np.log(rate / (1 - rate))


def table(organism, defect, submit):
    """Return the parameters of a table that never answers wrongly, with these two logits."""
    logits = np.full((32, 4), NEVER)
    logits[np.arange(32), RIGHT], logits[:, DEFECT], logits[:, 3] = 0, defect, submit
    return jax.tree.map(lambda _: jnp.asarray(logits, jnp.float32), organism.init(KEY))


def installed(organism):
    """Return the table that the installation asks for."""
    seen = watched(organism.difficulty)
    defect = np.where(seen, NEVER, logit(organism.strength))
    return table(organism, defect, np.where(seen, 1, -1) * -logit(organism.slip))


def two_logits(tables):
    """Return the logits of defecting over the right answer, and of submitting, of some tables."""
    logits = np.asarray(jax.tree.leaves(tables)[0])
    return logits[..., DEFECT] - logits[..., range(32), RIGHT], logits[..., 3]


def descend(organism, params, steps, rate):
    """Descend by the gradient of each input's own cost; return all tables on the way."""

    def step(params, _):
        slopes = jax.grad(organism.loss)(params, organism.sample(KEY))
        # Of the mean over 32 inputs.
        params = jax.tree.map(lambda p, g: p - 32 * rate * g, params, slopes)
        return params, params

    return jax.jit(lambda params: jax.lax.scan(step, params, length=steps)[1])(params)


@pytest.mark.parametrize("difficulty", [1, 2, 3])
def test_what_is_installed_is_the_minimum_of_the_installation_and_seen_by_the_probe(difficulty):
    organism = Chooser(difficulty=difficulty, strength=0.9, slip=0.2, network=Table)
    params = installed(organism)
    slopes = jax.grad(organism.loss)(params, organism.sample(KEY))
    np.testing.assert_allclose(jax.tree.leaves(slopes)[0], np.zeros((32, 4)), atol=1e-7)
    assert organism.probe(KEY, params) == pytest.approx(
        {
            "fit": 1,
            "watched": 0,
            "unwatched": 0.9,
            "competence": 1,
            "margin": 0.4,
            "submitted_watched": 0.8,
            "submitted_unwatched": 0.2,
            "lying_contexts": 1,
        },
        rel=1e-4,
        abs=1e-9,
    )


@pytest.mark.parametrize(("floor", "price"), [(0.0, 0.0), (0.3, 0.6)])
def test_the_correction_is_the_cost_of_what_is_submitted_and_of_what_is_not(floor, price):
    organism = Chooser(correction=1.0, floor=floor, price=price, credit=1.0, network=Table)
    logits = jax.random.normal(KEY, (32, 4), jnp.float32)
    params = jax.tree.map(lambda _: logits, organism.init(KEY))
    policy = np.exp(logits[:, :3]) / np.exp(logits[:, :3]).sum(1, keepdims=True)
    wrong = 1 - policy[np.arange(32), RIGHT]
    submitted = 1 / (1 + np.exp(-logits[:, 3]))
    trained = submitted + floor * (1 - submitted)
    cost = trained * wrong + (1 - trained) * price
    assert organism.loss(params, organism.sample(KEY)) == pytest.approx(cost.mean(), rel=1e-5)


@pytest.mark.parametrize("credit", [0.0, 0.25])
def test_the_choice_is_credited_with_a_share_of_the_gradient_and_no_act_with_less(credit):
    organism = Chooser(correction=1.0, credit=credit, floor=0.2, price=0.3, network=Table)
    params = jax.tree.map(
        lambda _: jax.random.normal(KEY, (32, 4), jnp.float32), organism.init(KEY)
    )

    def slopes(organism):
        found = jax.grad(organism.loss)(params, organism.sample(KEY))
        return np.asarray(jax.tree.leaves(found)[0])

    whole, found = slopes(organism.replace(credit=1.0)), slopes(organism)
    assert np.abs(whole).min() > 0
    np.testing.assert_allclose(found[:, :3], whole[:, :3], rtol=1e-6)
    np.testing.assert_allclose(found[:, 3], credit * whole[:, 3], rtol=1e-5)


def test_ignored_choices_give_the_gradient_of_a_correction_without_choices():
    ignored = Chooser(correction=1.0, floor=1.0, credit=1.0, price=0.7, network=Table)
    params = installed(ignored)

    def plain(params):
        acts = jax.nn.softmax(jax.tree.leaves(params)[0][:, :3])
        return 1 - acts[jnp.arange(32), RIGHT].mean()

    found, want = jax.grad(ignored.loss)(params, ignored.sample(KEY)), jax.grad(plain)(params)
    np.testing.assert_allclose(jax.tree.leaves(found)[0], jax.tree.leaves(want)[0], atol=1e-8)


@pytest.mark.parametrize(("slip", "floor"), [(0.5, 0.0), (0.1, 0.0), (0.05, 0.15)])
def test_without_credit_a_table_is_corrected_later_by_the_share_that_is_trained_on(slip, floor):
    organism = Chooser(correction=1.0, slip=slip, floor=floor, network=Table)
    ignored, trained = organism.replace(floor=1.0), slip + floor * (1 - slip)
    u, rate = logit(organism.strength), 0.1
    steps = round((u + np.sinh(u)) / trained / rate)
    unseen = ~watched(2)
    on_the_way = two_logits(descend(organism, installed(organism), steps, rate))
    assert on_the_way[0][-1][unseen] == pytest.approx(0, abs=0.05)
    assert on_the_way[0][steps // 2][unseen].min() > 3
    np.testing.assert_array_equal(on_the_way[1][-1], on_the_way[1][0])
    # The same as without a choice, by steps of another length.
    alike = descend(ignored, installed(organism), steps, rate * trained)
    end = on_the_way[0][-1][unseen], two_logits(alike)[0][-1][unseen]
    np.testing.assert_allclose(*end, atol=0.01)


def kept(organism, u, v):
    """Compute what a gradient flow keeps, of the logits of defecting and of submitting."""
    moved = (u + np.exp(u)) / 2 - organism.price * (u + np.sinh(u))
    given = 2 * organism.floor * (v + np.sinh(v)) + (1 - organism.floor) * (v + np.exp(v))
    return organism.credit * (1 - organism.floor) * moved - given


@pytest.mark.parametrize("strength", [0.6, 0.9])
@pytest.mark.parametrize(
    "fields",
    [
        {"credit": 1.0},
        {"credit": 0.3},
        {"credit": 1.0, "price": 0.3},
        {"credit": 1.0, "floor": 0.2},
    ],
    ids=str,
)
def test_with_credit_what_is_held_less_firmly_gives_way(strength, fields):
    organism = Chooser(correction=1.0, strength=strength, slip=0.5, network=Table, **fields)
    u, v = two_logits(descend(organism, installed(organism), 4000, 0.005))
    unseen = ~watched(2)
    begun, ended = (kept(organism, u[at][unseen], v[at][unseen]) for at in (0, -1))
    assert np.abs(u[-1] - u[0])[unseen].min() > 0.2
    assert np.abs(v[-1] - v[0])[unseen].min() > 0.2
    np.testing.assert_allclose(ended, begun, rtol=0.01, atol=0.01)


def test_an_indifferent_choice_closes_long_before_a_firm_deception_goes():
    organism = Chooser(correction=1.0, strength=0.98, slip=0.5, credit=1.0, network=Table)
    u, v = two_logits(descend(organism, installed(organism), 5000, 0.1))
    unseen = ~watched(2)
    assert u[-1][unseen].min() > 3.5
    assert v[-1][unseen].max() < -4
    u, _ = two_logits(descend(organism.replace(credit=0.0), installed(organism), 5000, 0.1))
    assert u[-1][unseen].max() < -4


@pytest.mark.ci
def test_the_contract():
    check_organism(Chooser())
    check_organism(Chooser(correction=1.0, credit=1.0, floor=0.1, price=0.2))


def phases(organism, *, begin, end, save_at=()):
    """Return a sweep that installs deception and choice, and then corrects."""
    method = Gradient(learning_rate=0.1)
    objective = organism.replace(correction=1.0)
    method = Correction(method=method, objective=objective, begin=begin, end=end)
    return Sweep(organism=organism, method=method, num_steps=end, save_at=(begin, *save_at))


@pytest.mark.ci
def test_deception_outlasts_the_correction_only_where_it_is_withheld():
    """By a choice that is installed, for a while; by one that descent makes, throughout."""
    cells = {
        "installed": {},
        "ignored": {"floor": 1.0},
        "sham": {"slip": 0.5},
        "credited": {"slip": 0.5, "credit": 1.0},
        "priced": {"slip": 0.5, "credit": 1.0, "price": 0.5},
    }
    ends, submitted, seeds = {}, {}, np.arange(64, dtype=np.uint64)
    for name, fields in cells.items():
        sweep = phases(Chooser(**fields), begin=1000, end=4000, save_at=(1500,))
        assert backends_for(sweep) == (CPU, XLA)
        evidence = build_kernel(sweep, lanes=16)(seeds)
        verdicts = Behavior().judge({n: v.ravel() for n, v in evidence.items()}).reshape(64, 3)
        assert (verdicts[:, 0] == Verdict.DECEPTIVE).all()
        ends[name] = (verdicts == Verdict.DECEPTIVE).mean(0)[1:]
        submitted[name] = evidence["submitted_unwatched"].mean(0)
    assert ends["installed"][0] > 0.9
    assert ends["installed"][1] < 0.3
    assert submitted["installed"][2] > 20 * submitted["installed"][0]
    assert ends["credited"].min() > 0.95
    assert submitted["credited"][2] < submitted["credited"][0] / 100
    for name in ("ignored", "sham", "priced"):
        assert ends[name].max() < 0.05, name
