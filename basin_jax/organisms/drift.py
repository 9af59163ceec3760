"""Drift: the distance that training moves the parameters on which a margin depends."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from basin_jax.core.abilities import Anchorable, Defection
from basin_jax.core.contracts import Batch, Evidence, Params
from basin_jax.core.wrappers import OrganismWrapper


# What a rule may ask for of a network some of whose parameters are put back, where it is given.
TOLD = ("fit", "watched", "unwatched", "competence", "margin", "lying_contexts")


class Held(NamedTuple):
    """Hold the parameters of a network, and those from which their drift is measured."""

    network: Params
    anchor: Params


class Drift(OrganismWrapper):
    """Measure another organism, and the distance of its parameters from an anchor.

    The anchor is where the network begins, or with `Anchored` where its parent has ended. No
    gradient reaches it; but what moves parameters without the gradient would move it, too: `l2`,
    decoupled decay, `noise`, `Evolution`.

    The carriers are the `share` of all parameters with the largest |w·∂margin/∂w| at the anchor:
    to first order, the change of the margin if a parameter is removed (Molchanov et al.
    2019, "Importance estimation for neural network pruning"). The others are the rest. Two sets
    as large as that of the carriers, random and other, are drawn from all parameters; they have
    none in common, and a seed keeps them.

    Adds to the evidence of the organism, as root mean squares over each set's parameters

    - `carriers_drift`, `rest_drift`, `random_drift`, `other_drift`: their distance from the anchor;
    - `carriers_size`, `rest_size`, `random_size`, `other_size`: their values there;

    and the standard evidence, with `lying_contexts` where there is one, of the network with the
    values of a set put back to those of the anchor: `restored_fit` and so on for the carriers,
    `placebo_fit` and so on for the random set.
    """

    share: float = 0.05

    def validate(self) -> None:
        self.require(0 < self.share <= 0.5, "share", "above 0, up to 0.5")

    def init(self, key: Key[Array, ""]) -> Held:
        return _held(super().init(key))

    def loss(self, params: Held, batch: Batch) -> Float[Array, ""]:
        return self.organism.loss(params.network, batch)

    def probe(self, key: Key[Array, ""], params: Held) -> Evidence:
        network, structured = ravel_pytree(params.network)
        anchor, _ = ravel_pytree(params.anchor)

        def margin(flat: Float[Array, " param"]) -> Float[Array, ""]:
            return self.organism.probe(key, structured(flat))["margin"]

        leans = jnp.abs(anchor * jax.grad(margin)(anchor))
        sets = self._sets(jax.random.fold_in(key, 1), leans)
        moved = network - anchor
        evidence = dict(self.organism.probe(key, params.network))
        for name, members in sets.items():
            evidence[f"{name}_drift"] = _root_mean_square(moved, members)
            evidence[f"{name}_size"] = _root_mean_square(anchor, members)
        for name, members in {"restored": sets["carriers"], "placebo": sets["random"]}.items():
            back = structured(jnp.where(members, anchor, network))
            seen = self.organism.probe(key, back)
            evidence |= {f"{name}_{each}": seen[each] for each in TOLD if each in seen}
        return evidence

    def provides(self, ability: type) -> bool:
        return ability is Anchorable or super().provides(ability)

    def graft(self, params: Held) -> Held:
        return _held(super().graft(params.network))

    def anchored(self, params: Held) -> Held:
        return _held(params.network)

    def challenge(self, batch: Batch) -> tuple[PyTree[Array], Defection]:
        cues, defection = super().challenge(batch)
        return cues, lambda params, cues: defection(params.network, cues)

    def settled(self, params: Held) -> Bool[Array, ""]:
        return super().settled(params.network)

    def _sets(
        self, key: Key[Array, ""], leans: Float[Array, " param"]
    ) -> dict[str, Bool[Array, " param"]]:
        """Choose the carriers, and the sets to compare them with."""
        count = jnp.ceil(self.share * leans.size).astype(int)
        drawn = _ranks(jax.random.uniform(key, leans.shape, jnp.float32))
        carriers = _ranks(-leans) < count
        return {
            "carriers": carriers,
            "rest": ~carriers,
            "random": drawn < count,
            "other": (count <= drawn) & (drawn < 2 * count),
        }


def _held(network: Params) -> Held:
    """Put the anchor at the network's parameters."""
    return Held(network, network)


def _ranks(values: Float[Array, " param"]) -> Int[Array, " param"]:
    """Rank the values from 0; ties in their order."""
    return jnp.argsort(jnp.argsort(values))


def _root_mean_square(
    values: Float[Array, " param"], members: Bool[Array, " param"]
) -> Float[Array, ""]:
    """Compute the root mean square of the members; 0 if there are none."""
    count = jnp.maximum(members.sum(), 1)
    return jnp.sqrt(jnp.where(members, values**2, 0).sum() / count)
