"""Lottery tickets: the weights of a sparse subnetwork, and their controls."""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from basin_jax.core.contracts import Organism, Params
from basin_jax.core.sweep import Child, Parent


class Ticket(Child):
    """Start with the connections alone that a trained parent would keep.

    Of each matrix of weights, the share `keep` that is largest at the parent's end is kept (or, as
    a control, a random share), and the rest is zero. The mask "-magnitude" keeps the smallest
    share: the network without the ticket of the other weights. The mask "start-magnitude" keeps
    what is largest at the parent's beginning, without hindsight. The kept weights begin as at the
    parent's own beginning ("rewound"), anew ("fresh"), or as rewound but in each other's places
    ("shuffled"). Biases are rewound. Train it with `Masked`, which holds the zeros.

    Frankle and Carbin 2019, "The lottery ticket hypothesis"; Zhou et al. 2019,
    "Deconstructing lottery tickets".
    """

    keep: float = 0.2
    mask: Literal["magnitude", "-magnitude", "start-magnitude", "random"] = "magnitude"
    weights: Literal["rewound", "fresh", "shuffled"] = "rewound"

    def validate(self) -> None:
        self.require(0 < self.keep <= 1, "keep", "above 0, up to 1")

    def params(self, key: Key[Array, ""], organism: Organism, parent: Parent) -> Params:
        mask_key, fresh_key, shuffle_key = jax.random.split(key, 3)
        begun, structure = jax.tree.flatten(parent.begun)
        fresh, ended = (jax.tree.leaves(t) for t in (organism.init(fresh_key), parent.ended))
        leaves = []
        for number, (first, new, last) in enumerate(zip(begun, fresh, ended, strict=True)):
            if first.ndim < 2:
                leaves.append(first)
                continue
            key_of = [jax.random.fold_in(k, number) for k in (mask_key, shuffle_key)]
            chooses = first if self.mask == "start-magnitude" else last
            kept = self._kept(key_of[0], chooses)
            value = {"rewound": first, "fresh": new}.get(self.weights)
            value = _shuffled(key_of[1], first, kept) if value is None else value
            leaves.append(jnp.where(kept, value, 0))
        return jax.tree.unflatten(structure, leaves)

    def _kept(self, key: Key[Array, ""], chooses: Float[Array, "..."]) -> Bool[Array, "..."]:
        size = jnp.abs(chooses)
        random = jax.random.uniform(key, chooses.shape, jnp.float32)
        sizes = {"magnitude": size, "-magnitude": -size, "start-magnitude": size}
        return largest(sizes.get(self.mask, random), self.keep)


def largest(score: Float[Array, "..."], keep: float | Float[Array, ""]) -> Bool[Array, "..."]:
    """Mark the share of the places, rounded up, whose scores are largest."""
    count = jnp.ceil(keep * score.size).astype(int)
    ranks = jnp.argsort(jnp.argsort(-score.ravel()))
    return (ranks < count).reshape(score.shape)


def _shuffled(
    key: Key[Array, ""], values: Float[Array, "..."], kept: Bool[Array, "..."]
) -> Float[Array, "..."]:
    """Shuffle the kept values among their places."""
    draws = jax.random.uniform(key, (values.size,), jnp.float32)
    behind = jnp.where(kept.ravel(), 0, 1)
    # Two orders of the same places, what is kept first: by place, and by lot.
    places, lots = jnp.lexsort((behind,)), jnp.lexsort((draws, behind))
    return values.ravel().at[places].set(values.ravel()[lots]).reshape(values.shape)
