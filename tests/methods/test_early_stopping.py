"""Early stopping: when a seed stops, what it keeps, and that its lane is refilled."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from basin_jax import Method, Organism, Sweep
from basin_jax.engine.kernel import build_kernel
from basin_jax.methods import EarlyStopping, Gradient
from basin_jax.organisms import DoubleWell, EscapeThreshold, ReluXor


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

    def step(self, key, step, state, organism):
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


@pytest.mark.ci
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
    step = jax.jit(lambda number, state: method.step(key, number, state, organism))
    state = method.init(key, script, organism)
    for number in range(LENGTH):
        state = step(number, state)
    expected = stopped_at(np.array(losses, np.float32), **rule)
    assert int(state.params["step"]) == expected


def test_a_loss_that_is_no_number_is_borne_like_one_that_does_not_improve():
    losses = [np.nan, 5.0, 4.0, np.nan, 3.0, 3.0, 3.0, 3.0, 3.0, 2.0, 1.0, 0.0]
    method = EarlyStopping(method=Count(), patience=2)
    script = {"step": jnp.zeros(()), "losses": jnp.array(losses, jnp.float32)}
    state = method.init(jax.random.key(0), script, Scripted())
    for number in range(LENGTH):
        state = method.step(jax.random.key(0), jnp.int32(number), state, Scripted())
    assert int(state.params["step"]) == 8  # after three 3s that follow the first


@pytest.mark.ci
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


def test_a_lane_is_handed_on_when_its_seed_has_stopped():
    def turns(threshold: float, seeds: int) -> int:
        TURNS.clear()
        method = EarlyStopping(method=Count(), threshold=threshold)
        sweep = Sweep(organism=Scripted(), method=method, num_steps=10)
        devices = tuple(jax.local_devices()[:1])
        build_kernel(sweep, lanes=4, devices=devices)(np.arange(seeds, dtype=np.uint64))
        jax.effects_barrier()
        return len(TURNS)

    # Losses are 0: the first step's is below the threshold, or none ever is. A round is of
    # two steps here, after which a lane is refilled.
    assert turns(0.5, 4) == 2
    assert turns(0.5, 12) == 6
    assert turns(-0.5, 12) == 30


SETTLING = {
    "patience": Sweep(
        organism=ReluXor(units=3),
        method=EarlyStopping(method=Gradient(learning_rate=0.3), patience=9, threshold=0.02),
        num_steps=203,  # a prime, so that no round fits
        save_at=(0, 3, 90),
    ),
    "settled": Sweep(
        organism=DoubleWell(mean=-0.2, scale=0.1),
        method=EarlyStopping(method=Gradient(learning_rate=0.01, noise=4.0), check_every=7),
        num_steps=700,
    ),
    "still": Sweep(
        organism=EscapeThreshold(paths=8),
        method=EarlyStopping(
            method=Gradient(learning_rate=0.05, l2=0.3), still=1e-3, check_every=20
        ),
        num_steps=1000,
        save_at=(100,),
    ),
}


@pytest.mark.ci
@pytest.mark.parametrize("backend", ["cpu", "xla"])
@pytest.mark.parametrize("name", SETTLING)
def test_refilling_changes_no_bit_in_any_order(name, backend):
    sweep, seeds = SETTLING[name], np.arange(300, dtype=np.uint64)
    kernel = build_kernel(sweep, lanes=8, backend=backend)
    whole = build_kernel(sweep, lanes=8, backend=backend, refill=False)(seeds)
    assert kernel.may_stop
    handed = kernel(seeds)
    shuffled = np.random.default_rng(0).permutation(seeds)
    again, few = kernel(shuffled), kernel(seeds[100:113])
    for evidence, values in whole.items():
        assert np.array_equal(handed[evidence], values)
        assert np.array_equal(again[evidence], values[shuffled.astype(int)])
        assert np.array_equal(few[evidence], values[100:113])


@pytest.mark.ci
def test_results_come_as_seeds_end_and_each_comes_once():
    kernel = build_kernel(SETTLING["settled"], lanes=4)
    seeds = np.arange(500, dtype=np.uint64)
    parts = [which for which, _ in kernel.stream(seeds, seconds=0.0)]
    together = np.concatenate(parts)
    assert sum(len(part) > 0 for part in parts) > 3
    assert sorted(together.tolist()) == list(range(500))


def test_checks_are_taken_as_often_as_is_said():
    method = EarlyStopping(method=Count(), patience=1, check_every=3)
    script = {"step": jnp.zeros(()), "losses": jnp.ones(LENGTH)}
    state = method.init(jax.random.key(0), script, Scripted())
    for number in range(LENGTH):
        state = method.step(jax.random.key(0), jnp.int32(number), state, Scripted())
    # At step 3 the loss improves on infinity, at 6 and 9 it does not.
    assert int(state.params["step"]) == 9


def test_no_gradient_is_no_change_of_parameters():
    method = EarlyStopping(method=Gradient(learning_rate=0.1), still=1e-3, check_every=10)
    sweep = Sweep(organism=DoubleWell(tilt=0.0, mean=0.4, scale=0.1), method=method, num_steps=999)
    x = build_kernel(sweep, lanes=8)(np.arange(64, dtype=np.uint64))["x"]
    assert (np.abs(x - 1) < 2e-3).all()
    assert (np.abs(x - 1) > 1e-5).any()  # it stopped before the end


@pytest.mark.parametrize(("start", "stays"), [(-0.88, True), (-0.85, False), (1.09, True)])
def test_a_settled_fate_stops_at_once(start, stays):
    organism = DoubleWell(mean=start, scale=0.0)
    method = EarlyStopping(method=Gradient(learning_rate=0.01, noise=1.0))
    sweep = Sweep(organism=organism, method=method, num_steps=20)
    x = build_kernel(sweep, lanes=4)(np.arange(4, dtype=np.uint64))["x"]
    assert (abs(x - start) < 1e-6).all() == stays
