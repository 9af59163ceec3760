"""Evolution strategies: descent by how a population fares, without a gradient."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Key

from basin_jax.core.contracts import Batch, Evidence, Method, Organism, Params, State


class Evolution(Method):
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

    method: Method
    population: int = 32
    deviation: float = 0.05  # standard deviation of every parameter

    def validate(self) -> None:
        even = self.population >= 2 and self.population % 2 == 0
        self.require(even, "population", "an even number of at least 2")
        self.require(self.deviation > 0, "deviation", "a number above 0")

    def init(self, key: Key[Array, ""], params: Params, organism: Organism) -> State:
        return self.method.init(key, params, self._around(organism))

    def step(self, key: Key[Array, ""], state: State, organism: Organism) -> State:
        return self.method.step(key, state, self._around(organism))

    def _around(self, organism: Organism) -> "Smoothed":
        return Smoothed(organism=organism, pairs=self.population // 2, deviation=self.deviation)


class Smoothed(Organism):
    """An organism whose loss is that of a population, and has its estimate for a gradient."""

    organism: Organism
    pairs: int
    deviation: float

    def __post_init__(self) -> None:
        """Check nothing: the numbers are traced, and were checked where they were given."""

    def init(self, key: Key[Array, ""]) -> Params:
        return self.organism.init(key)

    def sample(self, key: Key[Array, ""]) -> tuple[Batch, Key[Array, ""]]:
        batch_key, population_key = jax.random.split(key)
        return self.organism.sample(batch_key), population_key

    def loss(self, params: Params, batch: tuple[Batch, Key[Array, ""]]) -> Float[Array, ""]:
        value, gradient = self._estimate(jax.lax.stop_gradient(params), *batch)
        along = optax.tree.vdot(gradient, params)
        return value + along - jax.lax.stop_gradient(along)

    def probe(self, key: Key[Array, ""], params: Params) -> Evidence:
        return self.organism.probe(key, params)

    def settled(self, params: Params) -> Bool[Array, ""]:
        return self.organism.settled(params)

    def _estimate(
        self, params: Params, batch: Batch, key: Key[Array, ""]
    ) -> tuple[Float[Array, ""], Params]:
        """Return the mean loss of a population, and the estimate of the gradient."""

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
