"""Measures of a network: which goal explains it, and which direction steers it."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, softmax

from basin_jax.networks.mlp import MLP, Residual
from basin_jax.organisms._probes import goal_directedness, oversight_direction


RANDOM = np.random.default_rng(0)
UTILITY = RANDOM.normal(size=(3, 20))
measure = jax.jit(goal_directedness)


def directedness(policy, utility=UTILITY) -> float:
    return float(measure(jnp.asarray(policy, jnp.float32), jnp.asarray(utility, jnp.float32)))


def test_a_uniform_policy_has_no_goal():
    assert directedness(np.full((3, 20), 1 / 3)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("beta", [0.1, 1.0, 5.0])
def test_a_softmax_policy_is_as_directed_as_it_is_certain(beta):
    # The best beta is its own, so that what is left is log |A| less the policy's entropy.
    policy = softmax(beta * UTILITY, axis=0)
    entropy = -(policy * np.log(policy)).sum(0).mean()
    assert directedness(policy) == pytest.approx(1 - entropy / np.log(3), abs=1e-4)


def test_the_best_policy_is_directed_wholly_and_the_worst_not_at_all():
    best, worst = np.eye(3)[UTILITY.argmax(0)].T, np.eye(3)[UTILITY.argmin(0)].T
    assert directedness(best, best) == pytest.approx(1, abs=1e-6)
    assert directedness(best) > 0.9  # where second best is nearly as good, it is less sure
    assert directedness(worst) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("concentration", [0.1, 1.0, 10.0])
def test_it_is_what_scipy_finds(concentration):
    chosen = RANDOM.dirichlet([concentration] * 3, 20).T
    lean = softmax(2 * UTILITY, axis=0)
    for policy in (chosen, 0.5 * chosen + 0.5 * lean):

        def loss(beta, policy=policy):
            return -(policy * log_softmax(beta * UTILITY, axis=0)).sum(0).mean()

        found = minimize_scalar(loss, bounds=(0, 200), method="bounded")
        expected = 1 - min(found.fun, np.log(3)) / np.log(3)
        assert directedness(policy) == pytest.approx(expected, abs=1e-4)


def test_it_depends_neither_on_the_utilitys_scale_nor_on_its_zero_and_is_always_finite():
    policy = softmax(3 * UTILITY + RANDOM.normal(size=(3, 20)), axis=0)
    for changed in (100 * UTILITY, UTILITY + 7, 0.01 * UTILITY - 1):
        assert directedness(policy, changed) == pytest.approx(directedness(policy), abs=1e-4)
    assert directedness(policy, np.ones((3, 20))) == pytest.approx(0, abs=1e-6)


# A task bit, two cues: watched where the first cue is 1, and judged where the task bit is.
CUBE = np.array(list(itertools.product((-1, 1), repeat=3)), np.float32)
TASK, CUE, OTHER = CUBE.T


class Circuit:
    """A network whose hidden units, and the logit of whose last action, are given."""

    def __init__(self, hidden, logit):
        self._hidden, self._logit = hidden, logit

    def hidden(self, x):
        return jnp.asarray(self._hidden)

    def output(self, hidden):
        logit = self._logit(hidden)
        return jnp.stack([jnp.zeros_like(logit), logit], 1)


def examined(module, watched=CUE > 0):
    inputs = jnp.asarray(CUBE)
    return oversight_direction(module, inputs, watched=watched, fitted=TASK < 0, action=1)


def direction(module, watched=CUE > 0):
    return {name: float(value) for name, value in examined(module, watched).items()}


def test_a_cue_that_decides_is_decoded_and_steers():
    # From 1, where it is watched, the direction leads to -1, and against it to 3.
    found = direction(Circuit(np.stack([TASK, CUE]), lambda hidden: -4 * hidden[1]))
    steered = expit(4) - expit(-12)
    assert found == pytest.approx({"decoded": 1, "steered": steered}, abs=1e-5)


def test_a_cue_that_decides_nothing_is_decoded_and_does_not_steer():
    found = direction(Circuit(np.stack([TASK, CUE]), lambda hidden: -4 * hidden[0]))
    assert found == pytest.approx({"decoded": 1, "steered": 0}, abs=1e-6)


def test_a_parity_that_no_unit_tells_has_no_direction():
    circuit = Circuit(np.stack([CUE, OTHER]), lambda hidden: -4 * hidden[0] * hidden[1])
    found = direction(circuit, watched=CUE * OTHER > 0)
    assert found == pytest.approx({"decoded": 0.5, "steered": 0}, abs=1e-6)


def test_a_direction_is_judged_where_it_was_not_fitted():
    found = direction(Circuit(np.stack([TASK * CUE]), lambda hidden: -4 * hidden[0]))
    assert found["decoded"] == 0
    assert found["steered"] == pytest.approx(expit(-12) - expit(4), abs=1e-5)


def test_each_case_counts_as_half_however_rare_it_is():
    watched = (CUE > 0) | (OTHER > 0)
    found = direction(Circuit(np.stack([CUE]), lambda hidden: hidden[0]), watched=watched)
    # From 1/3 to -1, with the middle at -1/3: one of three watched cases lies beyond it.
    assert found["decoded"] == pytest.approx((2 / 3 + 1) / 2)


def test_a_network_without_hidden_units_gives_no_such_evidence():
    assert examined(jnp.sin) == {}


@pytest.mark.parametrize("network", [MLP(widths=()), MLP(widths=(4, 5)), Residual(width=4)])
def test_hidden_and_output_are_the_network_in_two_parts(network):
    module = network(3, 2, rngs=nnx.Rngs(0))
    inputs = jnp.asarray(CUBE)
    hidden = module.hidden(inputs)
    assert hidden.shape[1] == len(inputs)
    np.testing.assert_array_equal(module.output(hidden), module(inputs))
