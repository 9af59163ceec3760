"""Seeds: 64-bit identities, and the keys that are made of them."""

import functools
import operator
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, UInt32
from numpy import ndarray


SEEDS = 2**64


def as_seeds(seeds: int | np.integer | Sequence[int] | ndarray) -> Sequence[int]:
    """Make a sequence of seeds: a number n means the seeds 0 to n - 1.

    Raises:
        ValueError: if there are none, if one is not a 64-bit identity, or if one repeats.
    """
    if isinstance(seeds, bool):
        raise ValueError(f"seeds = {seeds}; allowed: a number of seeds, or the seeds")
    if isinstance(seeds, int | np.integer):
        if not 1 <= seeds <= sys.maxsize:
            raise ValueError(f"seeds = {seeds}; allowed: at least one, at most {sys.maxsize}")
        seeds = range(int(seeds))
    if not isinstance(seeds, range):
        try:
            if any(isinstance(seed, bool) for seed in seeds):
                raise TypeError
            seeds = sorted(operator.index(seed) for seed in seeds)
        except TypeError:
            raise ValueError(f"seeds = {seeds!r}; allowed: whole numbers") from None
        if len(set(seeds)) < len(seeds):
            raise ValueError("seeds repeat; allowed: each seed once")
    if not seeds:
        raise ValueError("seeds is empty; allowed: at least one seed")
    low, high = min(seeds[0], seeds[-1]), max(seeds[0], seeds[-1])
    if low < 0 or high >= SEEDS:
        raise ValueError(f"seeds run from {low} to {high}; allowed: 0 to 2**64 - 1")
    return seeds


# Whatever the user's environment says: a version promises a seed's draws.
PRNG = "threefry2x32"


def seed_bits(seeds: Any) -> UInt32[ndarray, "*seeds 2"]:
    """Split 64-bit seeds into their high and their low 32 bits."""
    seeds = np.asarray(seeds, dtype=np.uint64)
    return np.stack([seeds >> np.uint64(32), seeds & np.uint64(2**32 - 1)], -1).astype(np.uint32)


def fold_in_seed(key: Key[Array, ""], words: UInt32[Array, "2"]) -> Key[Array, ""]:
    """Fold a 64-bit identity into a key. (`jax.random.key(2**32)` equals `key(0)`.)"""
    return jax.random.fold_in(jax.random.fold_in(key, words[0]), words[1])


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["words"], meta_fields=["implementation"]
)
@dataclass(frozen=True)
class KeyWords:
    """The words of a random key, which blocks, files and compiled programs can hold."""

    words: Any
    implementation: str


def stored(tree: Any) -> Any:
    """Replace the random keys in a pytree by their words."""

    def store(leaf: Any) -> Any:
        if not jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.prng_key):
            return leaf
        return KeyWords(jax.random.key_data(leaf), str(jax.random.key_impl(leaf)))

    return jax.tree.map(store, tree)


def restored(tree: Any) -> Any:
    """Make random keys of their words in a pytree again."""

    def restore(leaf: Any) -> Any:
        if not isinstance(leaf, KeyWords):
            return leaf
        return jax.random.wrap_key_data(leaf.words, impl=leaf.implementation)

    return jax.tree.map(restore, tree, is_leaf=lambda leaf: isinstance(leaf, KeyWords))


def holds_keys(tree: Any) -> bool:
    """Return True if a stored pytree holds the words of random keys, with or without their type."""
    return any(map(may_be_key, jax.tree.leaves(tree)))


def may_be_key(leaf: Any) -> bool:
    """Return True if a leaf may be random keys without their type, which are pairs of words."""
    return jnp.result_type(leaf) == jnp.uint32 and jnp.shape(leaf)[-1:] == (2,)
