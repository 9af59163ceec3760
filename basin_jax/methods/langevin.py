"""Draws from a posterior, instead of descent."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int32, Key, PyTree

from basin_jax.core.contracts import Method, Organism, Params


# The number of parameters drawn to estimate an initialization's mean and variance.
DRAWN = 2**16


class LangevinState(NamedTuple):
    """Hold the parameters, and the prior's mean and variance of each array of them."""

    params: Params
    mean: PyTree[Float[Array, ""]]
    variance: PyTree[Float[Array, ""]]


class Langevin(Method):
    """Walk through parameter space, at random, as the posterior says.

    Stochastic gradient Langevin dynamics (Welling & Teh 2011, "Bayesian learning via stochastic
    gradient Langevin dynamics"): parameters w end up with the density

        p(w) ∝ exp(-loss(w) / temperature) · prior(w),

    the prior that of the initialization: Gaussian, each array of parameters with the mean and the
    variance s² that it has over many initializations. A step of length ε is

        w ← w - ε/2 · (s² · gradient / temperature + w - mean) + √ε · s · noise,

    scaled by s², so that what an initialization does not vary (biases of 0) stays as it is.
    The density is that of steps tending to 0, and of the whole batch; a random batch adds
    to the noise. Where the loss is a mean over n examples' negative log-likelihoods, the
    temperature of Bayes' rule is 1/n; at an infinite one only the prior is left.

    The posterior weighs hypotheses by their fit and their prior probability alone: if its fractions
    are those of descent, descent does no more than that (Mingard et al. 2021, "Is SGD a Bayesian
    sampler?").
    """

    step_size: float
    temperature: float

    def validate(self) -> None:
        self.require(0 < self.step_size < 4, "step_size", "above 0 and below 4")
        self.require(self.temperature > 0, "temperature", "a number above 0")

    def init(self, key: Key[Array, ""], params: Params, organism: Organism) -> LangevinState:
        count = max(DRAWN // sum(leaf.size for leaf in jax.tree.leaves(params)), 2)
        # Not the seed's own key: the posterior is the same for all seeds.
        keys = jax.random.split(jax.random.key(0, impl="threefry2x32"), count)
        draws = jax.tree.map(
            lambda draw, leaf: draw.astype(leaf.dtype), jax.vmap(organism.init)(keys), params
        )
        return LangevinState(params, jax.tree.map(jnp.mean, draws), jax.tree.map(jnp.var, draws))

    def step(
        self, key: Key[Array, ""], step: Int32[Array, ""], state: LangevinState, organism: Organism
    ) -> LangevinState:
        sample_key, noise_key = jax.random.split(key)
        gradient = jax.grad(organism.loss)(state.params, organism.sample(sample_key))
        noise = optax.tree.random_like(noise_key, gradient, dtype=jnp.float32)

        def moved(leaf, slope, draw, mean, variance):
            drift = variance * slope / self.temperature + leaf - mean
            spread = jnp.sqrt(self.step_size * variance)
            return leaf - self.step_size / 2 * drift + spread * draw.astype(leaf.dtype)

        params = jax.tree.map(moved, state.params, gradient, noise, state.mean, state.variance)
        return state._replace(params=params)
