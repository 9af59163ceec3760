"""Evolution strategies: descent by the losses of a population, without a gradient."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int32, Key

from basin_jax.core.abilities import Challengeable, requirements
from basin_jax.core.contracts import Batch, Organism, Params, State
from basin_jax.core.wrappers import MethodWrapper, OrganismWrapper


class Evolution(MethodWrapper):
    """Train with another method, by the losses of a population in place of the gradient.

    The population is drawn around the parameters θ, in mirrored pairs θ ± σε with ε ~ N(0, 1) in
    every component and σ the `deviation`, and the gradient that the other method sees is the mean
    over pairs of (L(θ + σε) - L(θ - σε)) ε / 2σ (Salimans et al. 2017, "Evolution strategies as a
    scalable alternative to reinforcement learning"). In the mean that is the gradient of the loss
    smoothed by N(0, σ²), so that a basin narrower than σ may be none to it; its covariance, where
    the loss is linear with the gradient g, is (|g|² + g gᵀ) over the number of pairs. Losses are
    taken as they are, not by their ranks, so that what is followed is a loss that can be told.

    A population sees one batch. Whatever optimizer, decay or noise the other method has serves
    here, too; but it can have no minibatch, and a `Correction` goes around this method, not inside.
    """

    population: int = 32
    deviation: float = 0.05  # standard deviation of every parameter

    def validate(self) -> None:
        even = self.population >= 2 and self.population % 2 == 0
        self.require(even, "population", "an even number of at least 2")
        self.require(self.deviation > 0, "deviation", "a number above 0")
        challenges = Challengeable in requirements(self.method)
        self.require(not challenges, "method", "one that changes no cues, which it would not see")

    def init(self, key: Key[Array, ""], params: Params, organism: Organism) -> State:
        return self.method.init(key, params, self._around(organism))

    def step(
        self, key: Key[Array, ""], step: Int32[Array, ""], state: State, organism: Organism
    ) -> State:
        return self.method.step(key, step, state, self._around(organism))

    def _around(self, organism: Organism) -> "Smoothed":
        return Smoothed(organism=organism, pairs=self.population // 2, deviation=self.deviation)


class Smoothed(OrganismWrapper):
    """Give an organism the mean loss of a population, and its estimate for the gradient."""

    pairs: int
    deviation: float

    def provides(self, ability: type) -> bool:
        return ability is not Challengeable and super().provides(ability)  # for its batches

    def sample(self, key: Key[Array, ""]) -> tuple[Batch, Key[Array, ""]]:
        batch_key, population_key = jax.random.split(key)
        return self.organism.sample(batch_key), population_key

    def loss(self, params: Params, batch: tuple[Batch, Key[Array, ""]]) -> Float[Array, ""]:
        value, gradient = self._estimate(jax.lax.stop_gradient(params), *batch)
        along = optax.tree.vdot(gradient, params)
        return value + along - jax.lax.stop_gradient(along)

    def _estimate(
        self, params: Params, batch: Batch, key: Key[Array, ""]
    ) -> tuple[Float[Array, ""], Params]:
        """Compute the mean loss of a population, and the estimate of the gradient."""

        def add(sums, words):
            own = jax.random.wrap_key_data(words, impl=jax.random.key_impl(key))
            draws = optax.tree.random_like(own, params, jax.random.normal, dtype=jnp.float32)
            up, down = (
                self.organism.loss(optax.tree.add_scale(params, distance, draws), batch)
                for distance in (self.deviation, -self.deviation)
            )
            value, gradient = sums
            slope = (up - down) / (2 * self.deviation)
            return (value + (up + down) / 2, optax.tree.add_scale(gradient, slope, draws)), None

        # One pair after the other, so that a population takes no more memory than a pair. Words,
        # since a program for vectors carries no keys into a loop.
        words = jax.random.bits(key, (self.pairs, 2), jnp.uint32)
        zero = jnp.zeros((), float), optax.tree.zeros_like(params)
        return optax.tree.scale(1 / self.pairs, jax.lax.scan(add, zero, words)[0])
