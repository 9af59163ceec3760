"""Bisection of each seed's own critical value, against separatrices in closed form."""

from dataclasses import replace

import numpy as np
import pytest

from basin_jax import Sweep, Verdict, build_kernel
from basin_jax.engine.bisect import critical
from basin_jax.methods import Gradient
from basin_jax.organisms import DoubleWell, EscapeThreshold
from basin_jax.rules import Behavior
from basin_jax.starts import Fresh, Perturbed


SEPARATRIX = -0.20914885  # a root of x³ - x - .2
WELLS = Sweep(
    organism=DoubleWell(tilt=0.2, scale=0.0),
    method=Gradient(learning_rate=0.3),
    num_steps=400,
)


def test_the_double_wells_separatrix_is_found_to_the_last_bits():
    found = critical(WELLS, "organism.mean", 5, between=(-1.0, 1.0), rule=Behavior(), lanes=8)
    assert found["seed"].to_list() == list(range(5))
    assert (found["high"] - found["low"]).to_numpy().max() < 1e-7
    assert found["low"].to_numpy() == pytest.approx(SEPARATRIX, abs=2e-6)


def test_each_seed_has_its_own_dose_at_which_its_circuit_escapes():
    escape = Sweep(
        organism=EscapeThreshold(paths=1, scale=1.0),
        start=Fresh(scale=0.5),
        method=Gradient(learning_rate=0.1, l2=0.3),
        num_steps=2000,
    )
    found = critical(escape, "start.scale", 40, between=(1e-3, 0.5), rule=Behavior(), lanes=8)
    drawn = build_kernel(escape.replace(num_steps=0), lanes=8)(np.arange(40, dtype=np.uint64))
    first = drawn["strongest"][:, 0] / 0.5
    escapes = 0.5 * first > 0.11
    # The smaller root of 3w(1 - w³) = .3: what decays longest is nearest to it.
    at = found["high"].to_numpy()[escapes] * first[escapes]
    assert at == pytest.approx(0.10010, rel=2e-3)
    assert np.isinf(found["high"].to_numpy()[first < 0.19]).all()


@pytest.mark.ci
def test_a_push_must_reach_from_the_bottom_of_a_well_to_the_separatrix():
    parent = WELLS.replace(organism=DoubleWell(tilt=0.2))
    push = WELLS.replace(
        organism=DoubleWell(tilt=0.2), start=Perturbed(of=parent, radius=0.0, direction="margin")
    )
    found = critical(push, "start.radius", 12, between=(0.0, 2.0), rule=Behavior(), lanes=8)
    left = build_kernel(parent, lanes=8)(np.arange(12, dtype=np.uint64))["x"][:, -1] < 0
    assert left.any()
    assert found["high"].to_numpy()[left] == pytest.approx(0.87888507 + SEPARATRIX, abs=1e-5)
    assert np.isneginf(found["low"].to_numpy()[~left]).all()


@pytest.mark.ci
def test_parents_that_are_given_change_no_bit_and_are_not_trained():
    parent = WELLS.replace(organism=DoubleWell(tilt=0.2))
    push = parent.replace(start=Perturbed(of=parent, radius=0.5, direction="margin"))
    kernel, seeds = build_kernel(push, lanes=8), np.arange(12, dtype=np.uint64)
    want, held = kernel(seeds), kernel.parents(seeds)
    begun, ended = (build_kernel(parent.replace(num_steps=n), lanes=8) for n in (0, 400))
    for which, end in enumerate((begun, ended)):
        np.testing.assert_array_equal(held[:, which, 0], end(seeds)["x"][:, -1])
    found = replace(kernel, parent=None)(seeds, parent_params=held)
    assert all(np.array_equal(found[name], values) for name, values in want.items())


def test_a_start_without_parents_has_none():
    kernel = build_kernel(WELLS, lanes=8)
    assert not kernel.parents(np.arange(3, dtype=np.uint64)).any()


def test_what_changes_nowhere_has_no_end():
    never = critical(WELLS, "organism.mean", 2, between=(-1.2, -1.0), rule=Behavior(), lanes=8)
    assert never["low"].to_list() == [-1, -1]
    assert np.isposinf(never["high"].to_numpy()).all()
    always = critical(WELLS, "organism.mean", 2, between=(0.0, 1.0), rule=Behavior(), lanes=8)
    assert always["high"].to_list() == [0, 0]
    assert np.isneginf(always["low"].to_numpy()).all()


def test_other_verdicts_may_be_meant():
    found = critical(
        WELLS,
        "organism.mean",
        1,
        between=(-1.0, 1.0),
        rule=Behavior(),
        of=(Verdict.INTENDED,),
        lanes=8,
    )
    assert found["high"].to_list() == [-1]


@pytest.mark.ci
@pytest.mark.parametrize(
    ("path", "between", "said"),
    [
        ("num_steps", (1.0, 2.0), "allowed: an integer"),
        ("start.of.organism.mean", (0.0, 1.0), "not of a parent"),
        ("organism.mean", (1.0, 0.0), "the second above the first"),
        ("organism.men", (0.0, 1.0), "has no field 'men'"),
    ],
)
def test_what_cannot_be_bisected_is_refused(path, between, said):
    sweep = WELLS.replace(start=Perturbed(of=WELLS, radius=0.1)) if "of" in path else WELLS
    with pytest.raises(ValueError, match=said):
        critical(sweep, path, 1, between=between, rule=Behavior(), lanes=8)
