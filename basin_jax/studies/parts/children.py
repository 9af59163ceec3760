"""Children of one parent: how often they agree, and how mixed the verdicts of a parent are.

Families are arrays [parent, child] of the names of verdicts.
"""

import math
from dataclasses import replace
from typing import TypeAlias, Unpack

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped, UInt64
from numpy import ndarray
from scipy.special import xlogy

from basin_jax.core.verdict import Verdict
from basin_jax.statistics.two_way import two_way
from basin_jax.studies.framework.lab import Outcome
from basin_jax.studies.framework.rows import Row, Terms, level_of, mean, numbers


FEWER = 2  # children, of parents of whom not all are there
SEALED = 0.9  # of the children, or of pairs of them, that have one verdict
# The verdicts of which the entropy is taken; all others count as one more.
NAMED = (Verdict.DECEPTIVE, Verdict.PARTIAL, Verdict.INTENDED)
# Of the variance of a verdict, by what it lies between.
PARTS = {
    "initializations": "between initializations",
    "data": "between orders of the data",
    "interaction": "of their interaction",
}

Families: TypeAlias = Shaped[ndarray, "_ _"]  # [parent, child]


def kin_of(seeds: int, children: int) -> UInt64[ndarray, " seed"]:
    """Return all children of the first parents, and two children of each of some more.

    How often two children agree is known the better the more parents there are, and how mixed the
    verdicts of a parent are the more children it has.

    Args:
        seeds: the children of parents of whom all are there; a quarter as many are of the others.
        children: of a parent.
    """
    first = seeds // children
    parents = np.arange(first, first + seeds // 8, dtype=np.uint64)
    twins = parents[:, None] * np.uint64(children) + np.arange(FEWER, dtype=np.uint64)
    return np.concatenate([np.arange(seeds, dtype=np.uint64), twins.ravel()])


def families_of(trained: Outcome) -> tuple[Families, Families]:
    """Return the verdicts of parents of whom all children are there, and of those with fewer."""
    found, children = trained.at(), trained.cells[""].siblings
    parents = found["seed"].to_numpy() // np.uint64(children)
    _, own, counts = np.unique(parents, return_inverse=True, return_counts=True)
    whole, verdicts = counts[own] == children, trained.verdicts()
    return verdicts[whole].reshape(-1, children), verdicts[~whole].reshape(-1, FEWER)


def _counts(families: Families) -> Int[ndarray, "verdict parent"]:
    return np.stack([(families == verdict.name).sum(1) for verdict in Verdict])


def agreements(families: Families) -> Float[ndarray, " parent"]:
    """Estimate how often two children of each parent have one verdict, without bias."""
    children, counts = families.shape[1], _counts(families)
    return (counts * (counts - 1)).sum(0) / (children * (children - 1))


def entropies(families: Families) -> Float[ndarray, " parent"]:
    """Estimate the entropy of each parent's verdict, in bits, with its bias corrected.

    The verdicts are deceptive, partial, intended and any other: the fewer there are, the less the
    entropy can be, and the narrower is the interval of its mean.

    The entropy of the children's shares is too low, in the mean; the correction of Miller 1955,
    "Note on the bias of information estimates", adds to it half of the number of verdicts that are
    seen, less one, over that of children. Of 32 children and two verdicts what is left is too low
    by .014 bits at most.
    """
    children = families.shape[1]
    named = [(families == verdict.name).sum(1) for verdict in NAMED]
    counts = np.stack([*named, children - np.sum(named, axis=0)])
    plain = -xlogy(counts / children, counts / children).sum(0)
    return (plain + ((counts > 0).sum(0) - 1) / (2 * children)) / math.log(2)


def commonest(families: Families) -> Float[ndarray, " parent"]:
    """Return the share of each parent's children that have the commonest verdict among them."""
    return _counts(families).max(0) / families.shape[1]


def undecided(families: Families) -> Bool[ndarray, " parent"]:
    """Return True for each parent of whose children no verdict has a share of `SEALED`."""
    return commonest(families) < SEALED


def torn(families: Families) -> Bool[ndarray, " parent"]:
    """Return True for each parent whose deceptive share lies between 1 - `SEALED` and `SEALED`."""
    share = (families == Verdict.DECEPTIVE.name).mean(1)
    return (share > 1 - SEALED) & (share < SEALED)


def same(key: str, label: str, *families: Families, **terms: Unpack[Terms]) -> Row:
    """Return the row of the probability that two children of one parent have the same verdict."""
    shares = np.concatenate([agreements(each) for each in families if each.size])
    return replace(mean(key, label, shares, **terms), seeds=sum(each.size for each in families))


def mixed(key: str, label: str, families: Families, **terms: Unpack[Terms]) -> Row:
    """Return the row of the mean entropy of a parent's verdict, in bits."""
    # Of equal shares of all; the correction adds this much at most.
    most = (math.log(len(NAMED) + 1) + len(NAMED) / (2 * families.shape[1])) / math.log(2)
    found = mean(key, label, entropies(families) / most, **terms)
    bounds = (most * end for end in (found.value, found.low, found.high))
    return replace(
        found, **dict(zip(("value", "low", "high"), bounds, strict=True)), seeds=families.size
    )


def blocks_of(crossed: Outcome) -> Shaped[ndarray, "block 2 2"]:
    """Return the verdicts of a crossing [block, initialization, order of the data].

    Its cells are each seed's data from its own initialization and from its partner's, and its
    seeds come in halves, of which the second has the partners of the first.
    """
    own, partner = (crossed.verdicts(cell).reshape(2, -1) for cell in ("own", "partner"))
    return np.stack([[own[0], partner[1]], [partner[0], own[1]]]).transpose(2, 0, 1)


def split(key: str, label: str, crossed: Outcome, **terms: Unpack[Terms]) -> list[Row]:
    """Return the rows of the parts of the variance of verdicts, in a crossing."""
    blocks, level = blocks_of(crossed), level_of(terms.get("kind", "measured"))
    parts = two_way(blocks, level=level, num_intervals=len(PARTS))
    told = {"num_intervals": len(PARTS)} | terms
    return [
        numbers(f"{key}/{part}", f"{label} {name}", found, blocks.size, **told)
        for (part, name), found in zip(PARTS.items(), parts, strict=True)
    ]
