"""Guessing until a network fits, to measure what training adds to chance."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int32, Key

from basin_jax.core.contracts import Method, Organism, Params, Start
from basin_jax.core.fresh import Fresh


class GuessAndCheckState(NamedTuple):
    """Hold the start, then NaN, then the accepted guess; and whether there is one."""

    params: Params
    stopped: Bool[Array, "*lane"]


class GuessAndCheck(Method):
    """Guess networks from a prior, and keep the first whose loss is at most `threshold`.

    The accepted network is drawn from the prior, given that it fits: P_B of Mingard et al. 2021
    ("Is SGD a Bayesian sampler? Well, almost"). Basins of a gradient play no part in it, so that
    its agreement with training is due to the prior. Chiang et al. 2023 ("Loss landscapes are all
    you need") found that such networks generalize as trained ones do. A step is a guess, and the
    sweep's own start is none: a fraction 1 - (1 - p)ᵗ of seeds has found one after t steps, where
    p is the probability that a guess fits. It falls exponentially with the bits to learn.

    A seed that has found none has no network: its parameters are NaN, and it is counted as
    DIVERGED, since a refused guess may pass a rule's own measure of fit. So the others are an
    unbiased sample of the networks that fit, whatever the number of steps.

    Where batches are random, each guess is checked on a batch of its own.
    """

    threshold: float  # the largest loss that is accepted
    prior: Start = Fresh()

    def init(self, key: Key[Array, ""], params: Params, organism: Organism) -> GuessAndCheckState:
        return GuessAndCheckState(params, jnp.zeros((), bool))

    def step(
        self,
        key: Key[Array, ""],
        step: Int32[Array, ""],
        state: GuessAndCheckState,
        organism: Organism,
    ) -> GuessAndCheckState:
        guess_key, batch_key = jax.random.split(key)
        guess = self.prior.params(guess_key, organism)
        guess = jax.tree.map(lambda new, old: new.astype(old.dtype), guess, state.params)
        fits = organism.loss(guess, organism.sample(batch_key)) <= self.threshold
        params = jax.tree.map(
            lambda new, old: jnp.where(state.stopped, old, jnp.where(fits, new, jnp.nan)),
            guess,
            state.params,
        )
        return GuessAndCheckState(params, state.stopped | fits)
