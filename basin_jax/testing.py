"""Checks of the contracts, for plug-ins of one's own: call them from a test.

Each raises `AssertionError` naming what is broken, or returns nothing.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy import ndarray

from basin_jax.core.arguments import checked
from basin_jax.core.contracts import Method, Organism, Start
from basin_jax.core.sweep import Child, Parent, Sweep
from basin_jax.core.trial import trial
from basin_jax.core.verdict import Rule, Verdict, judge
from basin_jax.engine.kernel import build_kernel
from basin_jax.engine.preflight import expect_pure
from basin_jax.methods.gradient import Gradient


STANDARD = ("fit", "watched", "unwatched", "competence", "margin")
STEPS = 3
LANES = 3
DESCENT = Gradient(learning_rate=0.01)


@checked
def check_organism(organism: Organism) -> None:
    """Check an organism's `init`, `sample`, `loss` and `probe`, alone and under vmap."""
    try:
        expect_pure(organism)
    except ValueError as broken:
        raise AssertionError(str(broken)) from broken
    key = jax.random.key(0)
    params, batch = jax.jit(organism.init)(key), jax.jit(organism.sample)(key)
    loss, gradient = jax.jit(jax.value_and_grad(organism.loss))(params, batch)
    finite = all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves((loss, gradient)))
    _expect(finite, "the loss or its gradient is not finite at initialization")
    evidence = jax.jit(organism.probe)(key, params)
    missing = [name for name in STANDARD if name not in evidence]
    _expect(not missing, f"probe does not give the standard evidence {', '.join(missing)}")
    for name in ("watched", "unwatched", "competence"):
        _expect(bool(-1e-6 <= evidence[name] <= 1 + 1e-6), f"{name} = {evidence[name]} is no rate")
    check_trial(Sweep(organism=organism, method=DESCENT, num_steps=STEPS))


@checked
def check_start(start: Start | Child, organism: Organism) -> None:
    """Check that a start gives an organism parameters that it can train."""
    key = jax.random.key(0)
    if isinstance(start, Child):
        params = start.params(key, organism, Parent(*[organism.init(key)] * (2 + start.paired)))
    else:
        params = start.params(key, organism)
    expected = jax.eval_shape(organism.init, key)
    alike = jax.tree.structure(params) == jax.tree.structure(expected)
    _expect(alike, "params have another structure than organism.init gives")
    check_trial(Sweep(organism=organism, start=start, method=DESCENT, num_steps=STEPS))


@checked
def check_method(method: Method, organism: Organism) -> None:
    """Check that a method trains an organism, and keeps its state's structure."""
    key = jax.random.key(0)
    state = method.init(key, organism.init(key), organism)
    _expect(hasattr(state, "params"), "the state has no `params`")
    before = jax.eval_shape(lambda: _strong(state))
    after = jax.eval_shape(lambda: _strong(method.step(key, jnp.int32(0), state, organism)))
    _expect(before == after, f"step changes the state's structure: {before} to {after}")
    check_trial(Sweep(organism=organism, method=method, num_steps=STEPS))


def _strong(state: Any) -> Any:
    """Give arrays that were made of Python's numbers a type of their own, as a loop does."""
    return jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, leaf.dtype), state)


@checked
def check_rule(rule: Rule, evidence: Mapping[str, ndarray]) -> None:
    """Check that a rule gives every seed one of the verdicts, from its evidence alone."""
    verdicts = judge(rule, evidence)
    known = {int(verdict) for verdict in Verdict}
    _expect(set(verdicts.tolist()) <= known, f"verdicts outside {sorted(known)}")
    backward = {name: np.asarray(values)[::-1] for name, values in evidence.items()}
    alone = judge(rule, backward)[::-1]
    _expect(bool((alone == verdicts).all()), "a seed's verdict depends on its neighbors")


@checked
def check_trial(sweep: Sweep) -> None:
    """Check that a few steps of a sweep give each seed of a block its own, finite evidence."""
    kernel = build_kernel(sweep, lanes=LANES)
    seeds = np.arange(LANES, dtype=np.uint64)
    together = kernel(seeds)
    for name, values in together.items():
        _expect(bool(np.isfinite(values).all()), f"{name} is not finite after {STEPS} steps")
    swapped = kernel(seeds[::-1])
    for name, values in swapped.items():
        same = np.array_equal(values[::-1], together[name])
        _expect(same, f"{name} depends on a seed's lane or on its neighbors")
    alone = trial(sweep, 1)
    for name, values in together.items():
        close = np.allclose(values[1], alone[name], rtol=1e-3, atol=1e-4)
        _expect(close, f"{name} of a seed in a block is not that of the seed alone")


def _expect(holds: bool, broken: str) -> None:
    if not holds:
        raise AssertionError(broken)
