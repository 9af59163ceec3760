"""Methods around another method: a spell on another objective, and weights that are held."""

from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from basin_jax import Method, Organism, Sweep, Verdict, build_kernel, run, trial
from basin_jax.engine.backends import CPU, XLA, backends_for
from basin_jax.methods import Correction, EarlyStopping, Gradient, GuessAndCheck, Masked, Pushed
from basin_jax.organisms import Audit, DoubleWell, Gate
from basin_jax.starts import Ticket, Trained


SEEDS = np.arange(12, dtype=np.uint64)
DESCENT = Gradient(learning_rate=1.0)


class Slope(Organism):
    """Slide down a slope."""

    slope: float = 1.0

    def init(self, key):
        return jnp.zeros(())

    def sample(self, key):
        return None

    def loss(self, params, batch):
        return self.slope * params

    def probe(self, key, params):
        return {"x": params}


def end(method, steps):
    sweep = Sweep(organism=Slope(), method=method, num_steps=steps)
    return build_kernel(sweep, lanes=4)(SEEDS[:4])["x"][0, -1]


@pytest.mark.ci
@pytest.mark.parametrize(
    ("settings", "steps", "corrected"),
    [
        ({"begin": 0, "end": 3}, 10, 3),
        ({"begin": 4, "end": 6}, 10, 2),
        ({"begin": 8, "end": 20}, 10, 2),
        ({"begin": 10, "end": 20}, 10, 0),
        ({"begin": 0, "end": 2, "period": 5}, 10, 4),
        ({"begin": 1, "end": 3, "period": 3}, 8, 5),
        ({"begin": 0, "end": 3, "period": 3}, 8, 8),
    ],
)
def test_a_correction_takes_its_steps_and_no_others(settings, steps, corrected):
    method = Correction(method=DESCENT, objective=Slope(slope=-1.0), **settings)
    assert end(method, steps) == corrected - (steps - corrected)


@pytest.mark.ci
@pytest.mark.parametrize("strength", [-1.0, -0.5, 0.0, 0.25, 1.0])
def test_a_correction_goes_a_share_of_the_way_to_another_objective(strength):
    method = Correction(method=DESCENT, objective=Slope(slope=-3.0), strength=strength, end=2)
    assert end(method, 3) == -(2 * (1 - 4 * strength) + 1)


@pytest.mark.ci
def test_a_correction_without_end_trains_as_the_other_organism_does():
    method = Gradient(learning_rate=0.05, noise=0.1)
    other = Gate(penalty=1.0)
    corrected = Correction(method=method, objective=other, end=10**6)
    found, want = (
        build_kernel(Sweep(organism=organism, method=m, num_steps=30), lanes=4, backend="xla")(
            SEEDS
        )
        for organism, m in ((Gate(), corrected), (other, method))
    )
    np.testing.assert_allclose(found["unwatched"], want["unwatched"], rtol=1e-6)


def test_a_correction_keeps_the_program_for_vectors():
    method = Correction(method=DESCENT, objective=Audit(honeypot_rate=1.0), end=5)
    assert backends_for(Sweep(organism=Audit(), method=method, num_steps=9)) == (CPU, XLA)


def test_a_correction_towards_another_kind_of_organism_is_refused():
    method = Correction(method=DESCENT, objective=Audit(difficulty=1), end=5)
    with pytest.raises(ValueError, match=r"Correction.objective = .*in numbers only"):
        build_kernel(Sweep(organism=Audit(), method=method, num_steps=9), lanes=4)


@pytest.mark.ci
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_weights_that_are_zero_stay_zero_and_others_move(optimizer):
    key, organism = jax.random.key(0), Audit()
    method = Masked(method=Gradient(optimizer=optimizer, learning_rate=0.1, noise=0.1))
    params = jax.tree.map(
        lambda leaf: leaf * jax.random.bernoulli(key, 0.3, leaf.shape), organism.init(key)
    )
    state = method.init(key, params, organism)
    for number in range(3):
        state = method.step(jax.random.fold_in(key, number), jnp.int32(number), state, organism)
    for before, after in zip(*map(jax.tree.leaves, (params, state.params)), strict=True):
        moved = np.asarray(before != after)
        assert np.array_equal(moved, np.ones_like(moved) if before.ndim < 2 else before != 0)


def test_what_cannot_be_masked_is_refused():
    sweep = Sweep(organism=Gate(), method=Masked(method=EarlyStopping(method=DESCENT)), num_steps=1)
    with pytest.raises(ValueError, match=r"EarlyStoppingState is no state .*a field params"):
        build_kernel(sweep, lanes=4)


@pytest.mark.parametrize(
    "around", [lambda m: Masked(method=m), lambda m: Pushed(method=m, push=0.1, end=5)]
)
def test_what_has_stopped_is_not_moved(around):
    """The engine gives a stopped seed's lane away: what moved it later would not be seen."""
    sweep = Sweep(organism=Gate(), method=around(GuessAndCheck(threshold=1.0)), num_steps=1)
    with pytest.raises(ValueError, match=r"GuessAndCheckState is no state .*it has stopped"):
        build_kernel(sweep, lanes=4)


def test_a_correction_of_what_stops_gives_lanes_away_and_changes_no_bit():
    inside = EarlyStopping(method=Gradient(learning_rate=0.3), threshold=-0.1, check_every=5)
    method = Correction(method=inside, objective=Gate(penalty=1.0), begin=3, end=50)
    sweep = Sweep(organism=Gate(), method=method, num_steps=200)
    kernel = build_kernel(sweep, lanes=4)
    assert kernel.may_stop
    assert method.check_every == 5
    found, want = (k(SEEDS) for k in (kernel, build_kernel(sweep, lanes=4, refill=False)))
    assert all(np.array_equal(found[name], values) for name, values in want.items())


class Counting(Method):
    """Hold the number of the last step."""

    def init(self, key, params, organism):
        return Held(params)

    def step(self, key, step, state, organism):
        return Held(step.astype(float))


class Held(NamedTuple):
    params: Any


@pytest.mark.parametrize("backend", ["cpu", "xla"])
def test_a_method_is_told_the_number_of_its_step(backend):
    sweep = Sweep(organism=Slope(), method=Counting(), num_steps=7, save_at=(1, 3))
    found = build_kernel(sweep, lanes=4, backend=backend)(SEEDS)["x"]
    assert (found == [0, 2, 6]).all()
    assert trial(sweep, 3)["x"].tolist() == [0, 2, 6]


# Of a particle in the left well, the steepest slope on its way out, at x = -1/√3.
STEEPEST = 2 / 27**0.5 - 0.2


@pytest.mark.parametrize(("factor", "leaves"), [(0.99, False), (1.01, True)])
def test_a_push_at_every_step_drives_out_what_it_is_stronger_than(factor, leaves):
    organism = DoubleWell(tilt=0.2, mean=-0.878885, scale=0.0)
    method = Pushed(method=Gradient(learning_rate=0.1), push=factor * 0.1 * STEEPEST, end=1500)
    kernel = build_kernel(Sweep(organism=organism, method=method, num_steps=1600), lanes=1)
    assert (kernel(np.zeros(1, np.uint64))["margin"][0, -1] > 0) == leaves


@pytest.mark.ci
def test_pushes_have_their_length_and_their_end_and_go_both_ways():
    key, organism = jax.random.key(0), Audit()
    params = organism.init(key)
    still = Gradient(learning_rate=1e-9)
    margins = []
    for direction in ("margin", "-margin"):
        method = Pushed(method=still, push=0.1, direction=direction, begin=1, end=2)
        states = [method.init(key, params, organism)]
        for number in range(3):
            states.append(method.step(key, jnp.int32(number), states[-1], organism))
        moved = [
            optax.tree.norm(optax.tree.sub(after.params, before.params))
            for before, after in pairwise(states)
        ]
        assert moved == pytest.approx([0, 0.1, 0], abs=1e-5)
        margins.append(float(organism.probe(key, states[-1].params)["margin"]))
    assert margins[1] < float(organism.probe(key, params)["margin"]) < margins[0]


@pytest.mark.slow
def test_a_ticket_is_trained_sparse():
    parent = Sweep(organism=Audit(), method=Gradient(learning_rate=0.1), num_steps=5)
    ticket = parent.replace(start=Ticket(of=parent, keep=0.1), method=Masked(method=parent.method))
    assert backends_for(ticket)[0] is CPU
    held, moved = (
        parents_of(Trained(of=sweep)) for sweep in (ticket, parent.replace(start=ticket.start))
    )
    kept = np.ceil(0.1 * np.array([7 * 32, 32 * 32, 32 * 3])).sum()
    biases = 32 + 32 + 3
    assert np.array_equal(held[:, 0], moved[:, 0])
    for (begun, ended), (_, free) in zip(held, moved, strict=True):
        assert (begun != 0).sum() == kept
        assert ((ended != 0) & (begun == 0)).sum() <= biases
        assert ((free != 0) & (begun == 0)).sum() > 2 * biases


def parents_of(start):
    """Return the parameters [seed, before and after, parameter] of a start's parents."""
    sweep = Sweep(organism=Audit(), start=start, method=DESCENT, num_steps=0)
    parent = build_kernel(sweep, lanes=4).parent
    assert parent is not None
    return parent(SEEDS)["params"]


@pytest.mark.slow
def test_full_oversight_leaves_nobody_deceptive(tmp_path):
    game = Audit(difficulty=1)
    sweep = Sweep(organism=game, method=Gradient(learning_rate=0.1), num_steps=1000)
    cells = [sweep, sweep.replace(organism=game.replace(honeypot_rate=1.0))]
    cells += [
        sweep.replace(method=Correction(method=sweep.method, objective=cells[1].organism, end=1000))
    ]
    records = run(cells, 64, tmp_path / "run", lanes=16)
    tempted, watched, corrected = (
        len(records.seeds(Verdict.DECEPTIVE, cell=cell)) for cell in records.cells
    )
    assert tempted > 50
    assert watched == corrected == 0
