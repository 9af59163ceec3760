"""Early stopping: when a seed stops, what it keeps, and what a stopped block costs."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from basin_jax import DoubleWell, EarlyStopping, Gradient, Method, Organism, ReluXor, Sweep
from basin_jax.kernel import build_kernel


LENGTH = 12


class Scripted(Organism):
    """Have a loss that is written down: its params are a step and all of its losses."""

    def init(self, key):
        return {"step": jnp.zeros(()), "losses": jnp.zeros(LENGTH)}

    def sample(self, key):
        return None

    def loss(self, params, batch):
        return params["losses"][params["step"].astype(int)]

    def probe(self, key, params):
        return {"step": params["step"]}


class Turn(NamedTuple):
    params: dict


class Count(Method):
    """Go on by one step, and tell who counts."""

    def init(self, key, params, organism):
        return Turn(params)

    def step(self, key, state, organism):
        jax.debug.callback(lambda: TURNS.append(1))
        return Turn(state.params | {"step": state.params["step"] + 1})


TURNS: list[int] = []


def stopped_at(losses, *, patience, min_delta, threshold) -> int:
    """Return after how many steps the rule stops, in the words of its docstring."""
    best, waited = np.float32(np.inf), 0
    for i, loss in enumerate(losses):
        waited = 0 if best - loss > np.float32(min_delta) else waited + 1
        best = min(best, loss)
        if loss < np.float32(threshold) or waited > patience:
            return i + 1
    return len(losses)


@given(
    losses=st.lists(st.integers(0, 6), min_size=LENGTH, max_size=LENGTH),
    patience=st.integers(0, 4),
    min_delta=st.sampled_from([0.0, 1.0, 1.5]),
    threshold=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_it_stops_where_its_rule_says(losses, patience, min_delta, threshold):
    rule = {"patience": patience, "min_delta": min_delta, "threshold": threshold}
    method = EarlyStopping(method=Count(), **rule)
    script = {"step": jnp.zeros(()), "losses": jnp.array(losses, jnp.float32)}
    organism, key = Scripted(), jax.random.key(0)
    step = jax.jit(lambda state: method.step(key, state, organism))
    state = method.init(key, script, organism)
    for _ in range(LENGTH):
        state = step(state)
    expected = stopped_at(np.array(losses, np.float32), **rule)
    assert int(state.params["step"]) == expected


def test_a_loss_that_is_no_number_is_borne_like_one_that_does_not_improve():
    losses = [np.nan, 5.0, 4.0, np.nan, 3.0, 3.0, 3.0, 3.0, 3.0, 2.0, 1.0, 0.0]
    method = EarlyStopping(method=Count(), patience=2)
    script = {"step": jnp.zeros(()), "losses": jnp.array(losses, jnp.float32)}
    state = method.init(jax.random.key(0), script, Scripted())
    for _ in range(LENGTH):
        state = method.step(jax.random.key(0), state, Scripted())
    assert int(state.params["step"]) == 8  # after three 3s that follow the first


def test_without_a_rule_it_is_the_method_inside():
    inside = Gradient(learning_rate=0.1, noise=0.1)
    sweep = Sweep(organism=ReluXor(), method=inside, num_steps=50)
    seeds = np.arange(16, dtype=np.uint64)
    plain = build_kernel(sweep, lanes=8)(seeds)
    wrapped = build_kernel(sweep.replace(method=EarlyStopping(method=inside)), lanes=8)(seeds)
    for name in plain:
        np.testing.assert_allclose(wrapped[name], plain[name], rtol=1e-4, atol=1e-5)


def test_a_stopped_seed_stays_as_it_is_and_others_go_on():
    inside = Gradient(learning_rate=0.3)
    method = EarlyStopping(method=inside, threshold=0.05)
    sweep = Sweep(organism=ReluXor(), method=method, num_steps=200, save_at=(0, 3, 10))
    evidence = build_kernel(sweep, lanes=8)(np.arange(64, dtype=np.uint64))
    fit = evidence["fit"]
    arrived = fit[:, 1] > 1 - 4 * 0.05
    assert 4 < arrived.sum() < 60
    np.testing.assert_array_equal(fit[arrived, 2], fit[arrived, 3])
    assert (fit[arrived, 3] < 1).all()  # it did not go on to the end
    assert (~arrived & (fit[:, 3] > 1 - 4 * 0.05)).any()


def test_a_block_that_has_stopped_takes_no_further_steps():
    def turns(threshold: float) -> int:
        TURNS.clear()
        method = EarlyStopping(method=Count(), threshold=threshold)
        sweep = Sweep(organism=Scripted(), method=method, num_steps=10)
        build_kernel(sweep, lanes=4)(np.arange(4, dtype=np.uint64))
        jax.effects_barrier()
        return len(TURNS)

    # Losses are 0: the first step's is below the threshold, or none ever is.
    assert turns(0.5) == 1
    assert turns(-0.5) == 10


@pytest.mark.parametrize(("start", "stays"), [(-0.88, True), (-0.85, False), (1.09, True)])
def test_a_settled_fate_stops_at_once(start, stays):
    organism = DoubleWell(mean=start, scale=0.0)
    method = EarlyStopping(method=Gradient(learning_rate=0.01, noise=1.0))
    sweep = Sweep(organism=organism, method=method, num_steps=20)
    x = build_kernel(sweep, lanes=4)(np.arange(4, dtype=np.uint64))["x"]
    assert (abs(x - start) < 1e-6).all() == stays
