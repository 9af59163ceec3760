"""Displacements: as long in each array as the parent's training, and in no direction of its own."""

import jax
import numpy as np

from basin_jax import Parent, Sweep
from basin_jax.methods import Gradient
from basin_jax.organisms import Audit
from basin_jax.starts import Displaced


def test_each_array_moves_as_far_as_the_parents_and_elsewhere():
    begun, ended = (Audit().init(jax.random.key(n)) for n in (1, 2))
    sweep = Sweep(organism=Audit(), method=Gradient(learning_rate=0.1), num_steps=1)
    found = Displaced(of=sweep).params(jax.random.key(0), Audit(), Parent(begun, ended))
    for old, new, own in zip(*map(jax.tree.leaves, (begun, ended, found)), strict=True):
        there, here = np.ravel(new - old), np.ravel(own - old)
        np.testing.assert_allclose(np.linalg.norm(here), np.linalg.norm(there), rtol=1e-5)
        if there.size > 200:
            assert abs(there @ here) < 0.3 * (there @ there)
