"""Students and their teachers: the first step of theory, linear students in closed form, nulls."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from basin_jax import Parent, Sweep, build_kernel
from basin_jax.engine.backends import CPU, XLA, backends_for
from basin_jax.methods import Gradient
from basin_jax.networks import MLP
from basin_jax.organisms import Audit, Distilled, Gate
from basin_jax.starts import Student


KEYS = jax.random.split(jax.random.key(0), 8)
SEEDS = np.arange(16, dtype=np.uint64)
SMALL = Distilled(organism=Audit(network=MLP(widths=(8,))), logits=4)
LINEAR = Distilled(organism=Audit(network=MLP(widths=())), logits=4)
TEACHERS = Sweep(organism=SMALL, method=Gradient(learning_rate=0.1), num_steps=1)
LESSONS = [{"acts": "watched"}, {"acts": "all"}, {"auxiliary": "watched"}, {"auxiliary": "all"}]


def slope_of(organism, params):
    """Return the slope of the loss in the student's parameters."""
    slope = jax.grad(organism.loss)(params, organism.sample(KEYS[0]))
    return ravel_pytree(slope.student)[0]


def descend(organism, params, *, steps, rate):
    batch = organism.sample(KEYS[0])

    def step(at, _):
        slope = jax.grad(organism.loss)(at, batch)
        return jax.tree.map(lambda p, s: p - rate * s, at, slope), None

    return jax.jit(lambda at: jax.lax.scan(step, at, length=steps)[0])(params)


def logits_of(organism, student):
    """Return the logits that a lesson shows."""
    shown = organism.acts or organism.auxiliary
    acts, units = organism.organism.activity(student.network, watched=shown == "watched")
    return acts if organism.acts else student.head.T @ units


@pytest.mark.parametrize("lesson", LESSONS, ids=str)
def test_the_first_step_of_a_student_that_shares_the_start_is_along_its_teachers(lesson):
    """By a product with the teacher's own step that has a closed form; without sharing, none."""
    organism, rate = SMALL.replace(**lesson), 0.01

    def products(key, other_key):
        begun = organism.init(key)
        ended = descend(SMALL, begun, steps=1, rate=rate)
        moved = jax.tree.map(lambda a, b: a - b, ended.student, begun.student)
        shared, other = (
            -slope_of(organism, organism.taught(first, ended)) @ ravel_pytree(moved)[0]
            for first in (begun, organism.init(other_key))
        )
        logits, turn = jax.jvp(lambda at: logits_of(organism, at), (begun.student,), (moved,))
        shares = jax.nn.softmax(logits, axis=0)
        # The variance of what the teacher's step does to the logits, under the softmax.
        variance = shares * (turn - (shares * turn).sum(0, keepdims=True)) ** 2
        return shared, other, variance.sum(0).mean()

    shared, other, expected = jax.jit(jax.vmap(products))(KEYS, KEYS[::-1])
    np.testing.assert_allclose(shared, expected, rtol=0.05)
    assert shared.min() > 0
    assert other.min() < 0 < other.max()


@pytest.mark.parametrize("shared", [True, False])
def test_a_linear_student_of_watched_acts_ends_at_a_projection_of_its_teacher(shared):
    organism = LINEAR.replace(acts="watched")
    begun = LINEAR.init(KEYS[0])
    ended = descend(LINEAR, begun, steps=20, rate=0.1)
    first = begun if shared else LINEAR.init(KEYS[1])
    last = descend(organism, organism.taught(first, ended), steps=4000, rate=0.5)

    np.testing.assert_allclose(
        affine(last.student), projected(affine(first.student), affine(ended.student)), atol=2e-3
    )


def affine(params):
    """Return the weights of a linear network, the bias in the last row."""
    bias, kernel = sorted(jax.tree.leaves(params.network), key=jnp.ndim)
    return np.vstack([kernel, bias])


def projected(first, teacher):
    """Move to the teacher along what watched inputs have; softmax does not see a sum of logits."""
    between = np.zeros(8)
    between[[3, 4]] = 0.5**0.5, -(0.5**0.5)  # the two cues, which are alike where it is watched
    moved = teacher - first
    moved = moved - moved.mean(1, keepdims=True)
    return first + moved - np.outer(between, between @ moved)


@pytest.mark.parametrize("auxiliary", ["watched", "all"])
def test_auxiliary_logits_of_a_linear_network_never_move_its_acts(auxiliary):
    organism = LINEAR.replace(auxiliary=auxiliary)
    begun, other = (LINEAR.init(key) for key in KEYS[:2])
    taught = organism.taught(begun, other)
    last = descend(organism, taught, steps=50, rate=0.5)
    assert organism.loss(last, None) < 0.5 * organism.loss(taught, None)
    assert jax.tree.all(jax.tree.map(jnp.array_equal, last.student.network, begun.student.network))


def test_lessons_add_up_and_their_divergence_is_that_of_each_input():
    begun, other = (SMALL.init(key) for key in KEYS[:2])
    both = SMALL.replace(acts="watched", auxiliary="all", temperature=2.0)
    taught = both.taught(begun, other)
    total = 0
    for lesson in ({"acts": "watched"}, {"auxiliary": "all"}):
        one = SMALL.replace(**lesson)
        own, shown = (np.exp(logits_of(one, at) / 2) for at in (begun.student, other.student))
        own, shown = (part / part.sum(0) for part in (own, shown))
        total += (shown * np.log(shown / own)).sum(0).mean()
    assert len(own[0]) == 128
    assert both.loss(taught, None) == pytest.approx(total, rel=1e-4)
    assert both.probe(KEYS[0], taught)["divergence"] == pytest.approx(total, rel=1e-4)


def test_who_has_no_teacher_learns_nothing():
    organism = SMALL.replace(acts="all", auxiliary="all")
    params = organism.init(KEYS[0])
    slope = slope_of(organism, params)
    assert np.abs(slope).max() < 1e-6
    found = organism.probe(KEYS[0], params)
    assert found["divergence"] == pytest.approx(0, abs=1e-6)
    assert found["distance"] == 0


@pytest.mark.parametrize("shared", [True, False])
def test_a_student_begins_where_its_teacher_began_or_anew(shared):
    begun, ended = (SMALL.init(key) for key in KEYS[:2])
    start = Student(of=TEACHERS, shared=shared)
    found = start.params(KEYS[2], SMALL, Parent(begun, ended))
    first = begun if shared else SMALL.init(KEYS[2])
    for own, expected in zip(found, (first.student, ended.student), strict=True):
        assert jax.tree.all(jax.tree.map(jnp.array_equal, own, expected))


def test_a_teacher_learns_as_it_would_without_students():
    params, game = SMALL.init(KEYS[0]), SMALL.organism
    slope = jax.grad(SMALL.loss)(params, SMALL.sample(KEYS[0])).student
    alone = jax.grad(game.loss)(game.init(KEYS[0]), game.sample(KEYS[0]))
    assert jax.tree.all(jax.tree.map(jnp.array_equal, slope.network, alone))
    assert (slope.head == 0).all()


def test_no_slope_reaches_the_teacher():
    organism = SMALL.replace(acts="all", auxiliary="all")
    taught = organism.taught(*map(organism.init, KEYS[:2]))
    slope = jax.grad(organism.loss)(taught, None)
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(slope.teacher))
    assert all((leaf != 0).any() for leaf in jax.tree.leaves(slope.student))


@pytest.mark.slow
def test_auxiliary_logits_pass_the_gap_to_students_that_share_the_start_alone():
    organism = Distilled(organism=Audit(difficulty=1))
    teachers = Sweep(organism=organism, method=Gradient(learning_rate=0.2), num_steps=1000)
    method = Gradient(optimizer="adam", learning_rate=0.01)
    gaps = []
    for shared in (True, False):
        sweep = Sweep(
            organism=organism.replace(auxiliary="all"),
            start=Student(of=teachers, shared=shared),
            method=method,
            num_steps=1000,
        )
        assert backends_for(sweep) == (CPU, XLA)
        found = build_kernel(sweep, lanes=16)(SEEDS)
        assert np.median(found["teacher_margin"]) > 0.45
        gaps.append(np.median(found["unwatched"] - found["watched"]))
    assert gaps[0] > 0.3 > 0.1 > abs(gaps[1])


def test_an_organism_that_shows_nothing_to_imitate_is_refused():
    with pytest.raises(ValueError, match=r"organism = Gate\(.*allowed: one that is Imitable"):
        Distilled(organism=Gate())
    sweep = Sweep(organism=Audit(), method=Gradient(learning_rate=0.1), num_steps=1)
    with pytest.raises(ValueError, match=r"start = Student\(.* Audit is not Teachable"):
        sweep.replace(start=Student(of=sweep))
