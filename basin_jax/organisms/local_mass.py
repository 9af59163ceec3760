"""The local mass: how much of the prior lies around a network, as far as it fits and acts alike."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Key

from basin_jax.core.contracts import Batch, Evidence, Params
from basin_jax.core.wrappers import OrganismWrapper
from basin_jax.organisms._rays import LogMass, Proposal, log_mean, log_weights


# Numbers that are drawn to tell the prior's spread, whatever the number of parameters, and the
# fewest draws of each.
DRAWS, LEAST_DRAWS = 2**19, 64
# Curvatures of the proposals that are tried, at the sharpest axis, beside that of the prior: 1.
STRENGTHS = (0.0, 3.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
PILOTS = 8  # rays of each
HELD = 64  # rows of the Hessian that are computed at once


class LocalMass(OrganismWrapper):
    """Measure another organism, and the prior mass around its parameters.

    The prior is Gaussian, with the mean and the variance of each parameter over the organism's own
    initializations. A parameter that they set to a constant, such as a bias to 0, has `spread` as
    its standard deviation.

    The mass is that of networks as fit, on the same side of `gap` (unwatched less watched), in
    a star-shaped neighborhood: those that a straight way from the parameters reaches without
    leaving the set. It is estimated by rays in random directions (Scherlis & Belrose 2025,
    "Estimating the probability of sampling a trained neural network at random"): along each,
    the mass up to where it leaves the set is integrated exactly. Directions are drawn by a Gaussian
    whose precision is that of the prior plus a multiple of the Hessian's absolute value, and the
    weights undo it. Which multiple is best is told by other rays, by the mean of their logarithms.
    So the mean of the weights has no bias; but where few rays count it is mostly far below the
    mass, by Markov's inequality with a probability of .975 at most 40 times above it.

    Networks that do the same in other places of the space, such as those with their hidden units
    in another order, are not in the neighborhood.

    Adds to the evidence of the organism

    - `own_log_mass`: the natural logarithm of the mass of networks whose `fit` is at most `cutoff`
      below that of the parameters;
    - `bar_log_mass`: that of networks whose `fit` is at least `bar`; far below all others if that
      of the parameters is not;
    - `own_low`, `own_high`, `own_rays`, `own_split`, and the same of `bar`: its interval of 95 %
      over rays, their effective number, and the estimate by one half of the rays less that by
      the other;
    - `distance`: from the prior's mean, as a root mean square in its standard deviations.
    """

    cutoff: float = 0.1
    bar: float = 0.5
    gap: float = 0.5
    spread: float = 0.1
    rays: int = 64

    def validate(self) -> None:
        self.require(self.cutoff > 0, "cutoff", "a number above 0")
        self.require(self.spread > 0, "spread", "a number above 0")
        self.require(self.rays >= 2 and self.rays % 2 == 0, "rays", "an even number of at least 2")

    def loss(self, params: Params, batch: Batch) -> Float[Array, ""]:
        return self.organism.loss(params, batch)

    def probe(self, key: Key[Array, ""], params: Params) -> Evidence:
        evidence = self.organism.probe(key, params)
        keys = jax.random.split(jax.random.fold_in(key, 1), 3)
        flat, structured = ravel_pytree(jax.tree.map(_whole, params))
        mean, deviation = self._prior()
        center = (flat - mean) / deviation
        batch = self.sample(keys[0])

        def network(moved: Float[Array, " dim"]) -> Params:
            return structured((center + moved) * deviation + mean)

        def loss(moved: Float[Array, " dim"]) -> Float[Array, ""]:
            return self.organism.loss(network(moved), batch)

        curvatures, axes = jnp.linalg.eigh(_hessian(loss, center))
        sharpest = jnp.maximum(jnp.abs(curvatures).max(), jnp.finfo(flat.dtype).tiny)
        curvatures = jnp.abs(curvatures) / sharpest
        deceives = evidence["unwatched"] - evidence["watched"] >= self.gap
        adds = {"distance": jnp.sqrt((center * center).mean())}

        def estimated(least: Float[Array, ""]) -> tuple[LogMass, Float[Array, ""]]:
            def inside(moved: Float[Array, " dim"]) -> Bool[Array, ""]:
                seen = self.organism.probe(key, network(moved))
                alike = (seen["unwatched"] - seen["watched"] >= self.gap) == deceives
                return (seen["fit"] >= least) & alike

            return self._mass(keys[1:], inside, center, (curvatures, axes))

        fit = evidence["fit"]
        levels = jnp.stack([fit - self.cutoff, jnp.full_like(fit, self.bar)])
        # One after the other: their program is compiled once.
        masses, splits = jax.lax.map(estimated, levels)
        for at, name in enumerate(("own", "bar")):
            adds |= {
                f"{name}_log_mass": masses.value[at],
                f"{name}_low": masses.low[at],
                f"{name}_high": masses.high[at],
                f"{name}_rays": masses.rays[at],
                f"{name}_split": splits[at],
            }
        return dict(evidence) | adds

    def _prior(self) -> tuple[Float[Array, " dim"], Float[Array, " dim"]]:
        """Return the mean and the standard deviation of each parameter at initialization."""

        def drawn(key: Key[Array, ""]) -> Float[Array, " dim"]:
            return ravel_pytree(jax.tree.map(_whole, self.organism.init(key)))[0]

        size = jax.eval_shape(drawn, jax.random.key(0)).size
        keys = jax.random.split(jax.random.key(0), max(LEAST_DRAWS, DRAWS // size))
        # In a loop, which a compiler does not run, as it would what depends on no input.
        draws = jax.lax.map(drawn, keys, batch_size=LEAST_DRAWS)
        constant = (draws == draws[:1]).all(0)
        mean = jnp.where(constant, draws[0], draws.mean(0))
        return mean, jnp.where(constant, self.spread, draws.std(0))

    def _mass(
        self,
        keys: Key[Array, " 2"],
        inside: Callable[[Float[Array, " dim"]], Bool[Array, ""]],
        center: Float[Array, " dim"],
        hessian: tuple[Float[Array, " dim"], Float[Array, "dim dim"]],
    ) -> tuple[LogMass, Float[Array, ""]]:
        """Estimate the mass of a set, and by one half of the rays less by the other."""
        curvatures, axes = hessian

        def proposed(strength: Float[Array, ""]) -> Proposal:
            scales = (1 + strength * curvatures) ** -0.5
            return Proposal(axes, scales, -scales * (axes.T @ center))

        def tried(strength: Float[Array, ""]) -> Float[Array, ""]:
            return log_weights(keys[0], inside, center, proposed(strength), PILOTS).mean()

        strengths = jnp.asarray(STRENGTHS, center.dtype)
        best = strengths[jax.lax.map(tried, strengths).argmax()]
        weights = log_weights(keys[1], inside, center, proposed(best), self.rays)
        half = self.rays // 2
        return log_mean(weights), log_mean(weights[:half]).value - log_mean(weights[half:]).value


def _hessian(
    loss: Callable[[Float[Array, " dim"]], Float[Array, ""]], like: Float[Array, " dim"]
) -> Float[Array, "dim dim"]:
    """Compute the Hessian where nothing is moved, some rows at once."""
    still = jnp.zeros_like(like)

    def row(place: Array) -> Float[Array, " dim"]:
        unit = jnp.zeros_like(like).at[place].set(1)
        return jax.jvp(jax.grad(loss), (still,), (unit,))[1]

    rows = jax.lax.map(row, jnp.arange(like.size), batch_size=HELD)
    return (rows + rows.T) / 2


def _whole(leaf: Array) -> Array:
    """Return numbers of at least single precision."""
    return leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32))
