"""Tickets of one seed's start in the places of another's."""

import jax
import numpy as np
import pytest

from basin_jax import Parent, Sweep
from basin_jax.methods import Gradient
from basin_jax.networks.mlp import MLP
from basin_jax.organisms import Audit, Gate
from basin_jax.starts import Crossed


ORGANISM = Audit(network=MLP(widths=(5, 4)))
OF = Sweep(organism=ORGANISM, method=Gradient(learning_rate=0.1), num_steps=3)
BEGUN, ENDED, PARTNER = (ORGANISM.init(jax.random.key(n)) for n in (1, 2, 3))
KEY = jax.random.key(0)


def params(partner, **fields):
    return Crossed(of=OF, **fields).params(KEY, ORGANISM, Parent(BEGUN, ENDED, partner))


def leaves(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def test_the_parents_weights_are_kept_where_the_partners_are_largest():
    for found, own, other in zip(*map(leaves, (params(PARTNER), BEGUN, PARTNER)), strict=True):
        if own.ndim < 2:
            assert np.array_equal(found, own)
            continue
        least = np.sort(np.abs(other).ravel())[-int(np.ceil(0.2 * other.size))]
        assert np.array_equal(found, np.where(np.abs(other) >= least, own, 0))


def test_a_partner_that_differs_in_its_units_order_alone_gives_the_parents_own_places():
    order = np.random.default_rng(0).permutation(5)
    moved = list(leaves(ENDED))
    moved[0], moved[1], moved[3] = moved[0][order], moved[1][:, order], moved[3][order]
    turned = jax.tree.unflatten(jax.tree.structure(ENDED), list(map(jax.numpy.asarray, moved)))
    own = leaves(params(ENDED))
    matched, plain = (leaves(params(turned, aligned=a)) for a in (True, False))
    assert all(np.array_equal(a, b) for a, b in zip(matched, own, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(plain, own, strict=True))


def test_all_that_is_kept_is_the_parents_start():
    whole = params(PARTNER, keep=1.0)
    assert all(np.array_equal(a, b) for a, b in zip(leaves(whole), leaves(BEGUN), strict=True))


def test_units_of_what_is_no_perceptron_are_refused():
    gate, start = Gate(), Crossed(of=OF.replace(organism=Gate()), aligned=True)
    held = gate.init(KEY)
    with pytest.raises(ValueError, match=r"Crossed\.aligned = True; allowed: False, since Gate"):
        start.params(KEY, gate, Parent(held, held, held))
