"""What optimizers are given, what they keep, and where their networks are examined."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from batteries.optimizers import Line8

from basin_jax import Method, Organism, Sweep, digest_of
from basin_jax.core.identity import draws
from basin_jax.core.trial import trial
from basin_jax.methods import Averaged, EarlyStopping, Gradient, Masked, SharpnessAware
from basin_jax.testing import check_trial


LINE, KEY, STEPS = Line8(), jax.random.key(0), 5
BATCH = LINE.sample(KEY)


def final(method, steps=STEPS):
    """Return the parameters that are examined after some steps of a method."""

    def turn(number, state):
        return method.step(jax.random.fold_in(KEY, number), number, state, LINE)

    state = method.init(KEY, LINE.init(KEY), LINE)
    return jax.jit(lambda state: jax.lax.fori_loop(0, steps, turn, state))(state).params


def by_hand(optimizer, loss, wants: tuple[str, ...] = ()) -> tuple[Any, Any]:
    """Take the steps of an optimizer as Optax's documentation writes them."""

    @jax.jit
    def turn(params, state):
        value, slope = jax.value_and_grad(loss)(params)
        given = {name: {"value": value, "grad": slope, "value_fn": loss}[name] for name in wants}
        updates, state = optimizer.update(slope, state, params, **given)
        return optax.apply_updates(params, updates), state

    params = LINE.init(KEY)
    state = optimizer.init(params)
    for _ in range(STEPS):
        params, state = turn(params, state)
    return params, state


def alike(found, wanted):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def plain(params):
    return LINE.loss(params, BATCH)


def penalized(params):
    return plain(params) + 0.5 * optax.tree.norm(params, squared=True)


@pytest.mark.parametrize(
    ("optimizer", "wants", "l2", "loss"),
    [
        (optax.contrib.momo(1.0), ("value",), None, plain),
        (optax.polyak_sgd(), ("value",), 1.0, penalized),
        pytest.param(
            optax.lbfgs(), ("value", "grad", "value_fn"), 1.0, penalized, marks=pytest.mark.ci
        ),
    ],
    ids=["momo", "polyak_sgd", "lbfgs"],
)
def test_an_optimizer_is_given_the_loss_that_its_gradient_is_of(optimizer, wants, l2, loss):
    found = final(Gradient(optimizer=optimizer, l2=l2))
    alike(found, by_hand(optimizer, loss, wants)[0])


def test_what_has_no_learning_rate_is_followed_by_the_methods():
    method = Gradient(optimizer="scale_by_adam", learning_rate=0.1, options={"b1": 0.8})
    alike(final(method), final(Gradient(optimizer=optax.adam(0.1, b1=0.8))))


def test_schedule_free_methods_are_examined_at_their_evaluation_parameters():
    optimizer = optax.chain(optax.clip(1.0), optax.contrib.schedule_free_sgd(0.3, warmup_steps=2))
    point, state = by_hand(optimizer, plain)
    wanted = optax.contrib.schedule_free_eval_params(state[1], point)
    assert abs(wanted["b"] - point["b"]).max() > 0.01
    alike(final(Gradient(optimizer=optimizer)), wanted)


def test_the_part_of_a_network_that_is_schedule_free_is_examined_there():
    optimizer = optax.partition(
        {"w": optax.contrib.schedule_free_sgd(0.3), "b": optax.sgd(0.3)}, {"w": "w", "b": "b"}
    )
    point, state = by_hand(optimizer, plain)
    free = state.inner_states["w"].inner_state
    wanted = optax.contrib.schedule_free_eval_params(free, {**point, "b": free.z["b"]})
    assert abs(wanted["w"] - point["w"]).max() > 0.01
    alike(final(Gradient(optimizer=optimizer)), {"w": wanted["w"], "b": point["b"]})


def test_lookahead_is_examined_at_its_slow_parameters(caplog):
    optimizer = optax.lookahead(optax.sgd(0.2), 3, 0.5)
    params: Any = optax.LookaheadParams.init_synced(LINE.init(KEY))
    state = optimizer.init(params)
    for _ in range(STEPS):
        updates, state = optimizer.update(jax.grad(plain)(params.fast), state, params)
        params = optax.apply_updates(params, updates)
    caplog.clear()
    alike(final(Gradient(optimizer=optimizer)), params.slow)
    assert not caplog.records  # Optax warns of what is meant


def test_sam_is_examined_where_it_climbs_from():
    climb = optax.chain(optax.contrib.normalize(), optax.sgd(0.3))
    optimizer = optax.contrib.sam(optax.sgd(0.2), climb)
    method = Gradient(optimizer=optimizer)
    point, _ = by_hand(optimizer, plain)
    alike(final(method, 5), final(method, 4))
    assert abs(final(method, 5)["b"] - point["b"]).max() > 0.01
    alike(
        final(method, 4), final(SharpnessAware(method=Gradient(learning_rate=0.2), radius=0.3), 2)
    )


def test_no_wrapper_moves_a_point_that_is_not_examined():
    sweep = Sweep(
        organism=LINE, method=Masked(method=Gradient(optimizer="schedule_free_sgd")), num_steps=2
    )
    with pytest.raises(ValueError, match="AsideState is no state whose parameters can be replaced"):
        digest_of(sweep)
    averaged = Averaged(method=Gradient(optimizer="schedule_free_sgd"), decay=0.0)
    alike(final(averaged), final(averaged.method))


def test_gradients_are_accumulated_over_steps():
    method = Gradient(optimizer=optax.MultiSteps(optax.sgd(0.1), 2))
    alike(final(method, 1), LINE.init(KEY))
    alike(final(method, 4), final(Gradient(learning_rate=0.1), 2))


def test_the_gradients_of_examples_add_up_to_that_of_the_batch():
    options = {"l2_norm_clip": 1e6, "noise_multiplier": 0.0}
    private = Gradient(optimizer="dpsgd", learning_rate=0.1, options=options, l2=0.3)
    alike(final(private), final(Gradient(learning_rate=0.1, l2=0.3)))


class State(NamedTuple):
    params: Any
    key: Any
    old: Any


class Wandering(Method):
    """Draw each step from a key in the state."""

    def init(self, key, params, organism):
        return State(params, key, jax.random.PRNGKey(3))

    def step(self, key, step, state, organism):
        own, draw = jax.random.split(state.key)
        noise = optax.tree.random_like(draw, state.params)
        return State(optax.tree.add_scale(state.params, 0.1, noise), own, state.old)


@pytest.mark.parametrize(
    "method",
    [
        Wandering(),
        Gradient(optimizer="noisy_sgd", learning_rate=0.1),
        Gradient(
            optimizer="sophia", learning_rate=0.1, options={"update_interval": 1, "gamma": 1e4}
        ),
        EarlyStopping(method=Gradient(optimizer=optax.noisy_sgd(0.1, key=3)), patience=3),
    ],
    ids=["own", "noisy_sgd", "sophia", "stopping"],
)
def test_each_seed_draws_from_a_key_of_its_own(method):
    # Seeds begin alike, and the batch is the same in each step: what differs is the optimizer's.
    sweep = Sweep(organism=LINE, method=method, num_steps=3, vary="data")
    assert draws(sweep)
    ends = [float(trial(sweep, seed)["b"][-1]) for seed in (0, 1, 0)]
    assert ends[0] == ends[2] != ends[1]


@pytest.mark.ci
@pytest.mark.parametrize("method", [Wandering(), Gradient(optimizer=optax.noisy_sgd(0.1, key=3))])
def test_a_key_in_a_state_travels_through_a_block_of_seeds(method):
    check_trial(Sweep(organism=LINE, method=method, num_steps=3))


def test_another_key_of_the_users_is_another_course():
    ends = [final(Gradient(optimizer=optax.noisy_sgd(0.1, key=key))) for key in (1, 2)]
    assert (ends[0]["b"] != ends[1]["b"]).all()


def counting(first):
    """Go down by a tenth of the gradient, with a state that adds one in each step."""

    def update(updates, state, params=None):
        return optax.tree.scale(-0.1, updates), jax.tree.map(lambda count: count + 1, state)

    return optax.GradientTransformation(lambda params: first, update)


def test_a_state_of_pythons_numbers_is_trained():
    method = Gradient(optimizer=counting({"count": 0, "scale": 0.5}))
    assert not draws(Sweep(organism=LINE, method=method, num_steps=2))
    alike(final(method), final(Gradient(learning_rate=0.1)))
    state = method.init(KEY, LINE.init(KEY), LINE)
    state = method.step(KEY, jnp.int32(0), state, LINE)
    assert state.optimizer == {"count": 1, "scale": 1.5}


@pytest.mark.parametrize("shape", [(2,), (3, 2)])
def test_words_that_may_be_a_key_or_not_are_refused(shape):
    optimizer = optax.chain(counting({"pair": jnp.zeros(shape, jnp.uint32)}), optax.sgd(1.0))
    said = r"its state holds uint32\[.*2\] at \[0\]\['pair'\], .* a key of jax.random.key\(\.\.\.\)"
    with pytest.raises(ValueError, match=said):
        Gradient(optimizer=optimizer).init(KEY, LINE.init(KEY), LINE)


def test_an_old_key_in_a_state_of_optax_becomes_a_seeds_own():
    noisy, old = optax.add_noise(0.1, 0.1, 3), jax.random.PRNGKey(3)

    def init(params) -> Any:
        state: Any = noisy.init(params)
        return {"noise": optax.AddNoiseState(state.count, old)}

    def begun(seed) -> Any:
        return method.init(jax.random.key(seed), LINE.init(KEY), LINE).optimizer

    method = Gradient(optimizer=optax.GradientTransformation(init, noisy.update))
    own = [begun(seed)["noise"].rng_key for seed in (0, 1)]
    assert own[0].dtype == old.dtype
    assert len({str(key) for key in [*own, old]}) == 3


class Paces(NamedTuple):
    fast: Any
    slow: Any


class Paced(Organism):
    """Hold the parameters of a line in fields named as those of `lookahead`."""

    def init(self, key):
        params = LINE.init(key)
        return Paces(fast=params["w"], slow=params["b"])

    def sample(self, key):
        return BATCH

    def loss(self, params, batch):
        return LINE.loss({"w": params.fast, "b": params.slow}, batch)

    def probe(self, key, params):
        return {"fit": -self.loss(params, BATCH)}


def test_parameters_may_have_a_field_named_fast():
    method = Gradient(optimizer="polyak_sgd", options={"max_learning_rate": 9.0}, l2=3.0)
    organism = Paced()
    state = method.init(KEY, organism.init(KEY), organism)
    found: Any = method.step(KEY, jnp.int32(0), state, organism).params
    alike({"w": found.fast, "b": found.slow}, final(method, 1))


def test_an_object_is_identified_by_all_that_it_holds():
    def decayed(rate, **more):
        return optax.sgd(optax.exponential_decay(0.1, 9, rate, **more))

    made = [
        lambda: decayed(0.9),
        lambda: decayed(0.8),
        lambda: decayed(0.9, end_value=0.01),
        lambda: optax.MultiSteps(optax.sgd(0.1), 2),
        lambda: optax.MultiSteps(optax.sgd(0.1), 3),
        lambda: optax.adam(0.1),
        lambda: optax.adam(0.1, mu_dtype=jnp.bfloat16),
        lambda: optax.adam(0.1, mu_dtype="float16"),
        lambda: optax.noisy_sgd(0.1, key=jax.random.key(1)),
        lambda: optax.noisy_sgd(0.1, key=jax.random.key(2)),
        lambda: optax.inject_hyperparams(optax.sgd)(optax.linear_schedule(0.1, 0.0, 9)),
        lambda: optax.inject_hyperparams(optax.sgd)(optax.linear_schedule(0.1, 0.0, 8)),
    ]
    first, second = (
        [digest_of(Sweep(organism=LINE, method=Gradient(optimizer=f()), num_steps=9)) for f in made]
        for _ in range(2)
    )
    assert first == second
    assert len({*first}) == len(made)


def broken_init(params):
    return params["none"]


def growing(updates, state, params=None):
    return updates, (state, state)


def widening(updates, state, params=None):
    return updates, state[None]


def flat(updates, state, params=None):
    return optax.tree.norm(updates), state


def transformation(update, init=lambda params: jnp.zeros(3)):
    return optax.GradientTransformation(init, update)


REFUSED = [
    ({"optimizer": "adm", "learning_rate": 0.1}, r"did you mean 'adam'\?"),
    ({"optimizer": "chain"}, "since it is made of others: give it as a transformation"),
    ({"optimizer": "scale_by_madgrad", "learning_rate": 0.1}, "it is a whole optimizer: madgrad"),
    ({"optimizer": "adadelta"}, "learning_rate = None; allowed: a number above 0"),
    ({"optimizer": "clip", "learning_rate": 0.1}, "options = {}; allowed: with a value of 'max_d"),
    (
        {"optimizer": "polyak_sgd", "learning_rate": 0.1},
        "learning_rate = 0.1; allowed: None, since",
    ),
    (
        {"optimizer": "reduce_on_plateau", "learning_rate": 0.1, "options": {"factor": 0.5}},
        "a transformation, since reduce_on_plateau looks at the value, which is traced",
    ),
    (
        {"optimizer": "reduce_on_plateau", "learning_rate": 0.1, "options": {"factor": 2.0}},
        r"what reduce_on_plateau takes: Factor must be in the range \(0, 1\)",
    ),
]
BROKEN = [
    (transformation(flat, broken_init), "broken_init; .* its init ends in KeyError: 'none'"),
    (transformation(growing), "its update gives a state of another structure than its init"),
    (transformation(widening), r"its update makes float32\[1, 3\] of float32\[3\] at "),
    (transformation(flat), "its update gives updates of another structure than the parameters"),
    (optax.contrib.scale_by_muon(), "scale_by_muon; .* its update ends in ValueError: pytree"),
]


@pytest.mark.parametrize(("fields", "said"), REFUSED)
def test_an_optimizer_is_refused_at_construction(fields, said):
    with pytest.raises(ValueError, match=said):
        Gradient(**fields)


@pytest.mark.parametrize(("optimizer", "said"), BROKEN)
def test_a_transformation_that_fails_is_refused_in_one_line(optimizer, said):
    sweep = Sweep(organism=LINE, method=Gradient(optimizer=optimizer), num_steps=2)
    with pytest.raises(ValueError, match=said) as refusal:
        digest_of(sweep)
    assert "\n" not in str(refusal.value)
