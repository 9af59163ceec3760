"""Stop a training process where it no longer improves, or has arrived."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from basin_jax.base import Method, Organism, Params, State


class EarlyStoppingState(NamedTuple):
    """The state of the method inside, and what decides when it stops."""

    inner: State
    best: Float[Array, ""]
    waited: Int[Array, ""]
    stopped: Bool[Array, ""]

    @property
    def params(self) -> Params:
        """The parameters of the method inside."""
        return self.inner.params


class EarlyStopping(Method):
    """Run another method until its loss is low enough, or has not improved for a while.

    Each step takes the loss before the update, then updates; a seed stops after a step
    whose loss was below `threshold`, after more than `patience` steps in a row that did
    not improve on the best loss by more than `min_delta`, or when the organism says that
    its fate is `settled`. From then on its state stays as it is. The rule is part of the
    basin: what stops early on a plateau never leaves it.

    The loss is that of a batch of the organism's, drawn for it alone where batches are
    random; neither a minibatch nor `l2` of the method inside is in it. A loss that is not
    a number does not improve; so a seed that has diverged stops by patience alone. A block
    of seeds that have all stopped takes no further updates and costs next to nothing.
    """

    method: Method
    patience: int | None = None  # steps without improvement that are borne; None for any
    min_delta: float = 0.0
    threshold: float | None = None  # a loss that is low enough; None for none

    def validate(self) -> None:
        self.require(self.patience is None or self.patience >= 0, "patience", "at least 0")
        self.require(self.min_delta >= 0, "min_delta", "a number of at least 0")

    def init(self, key: Key[Array, ""], params: Params, organism: Organism) -> EarlyStoppingState:
        return EarlyStoppingState(
            inner=self.method.init(key, params, organism),
            best=jnp.asarray(jnp.inf, float),
            waited=jnp.zeros((), int),
            stopped=organism.settled(params),
        )

    def step(
        self, key: Key[Array, ""], state: EarlyStoppingState, organism: Organism
    ) -> EarlyStoppingState:
        def update(carry):
            state, _ = carry
            # Tied to the state, or XLA draws the step's randomness outside of the loop.
            own_key, _ = jax.lax.optimization_barrier((key, state.waited))
            return self._update(own_key, state, organism), False

        # A loop of at most one turn, not a cond: vmap turns a cond into both its branches,
        # but a loop into one that turns only while some lane needs it.
        due = ~state.stopped
        return jax.lax.while_loop(lambda carry: carry[1], update, (state, due))[0]

    def _update(
        self, key: Key[Array, ""], state: EarlyStoppingState, organism: Organism
    ) -> EarlyStoppingState:
        loss = organism.loss(state.params, organism.sample(jax.random.fold_in(key, 1)))
        inner = self.method.step(key, state.inner, organism)
        improved = state.best - loss > self.min_delta
        waited = jnp.where(improved, 0, state.waited + 1)
        stopped = organism.settled(inner.params)
        if self.patience is not None:
            stopped |= waited > self.patience
        if self.threshold is not None:
            stopped |= loss < self.threshold
        return EarlyStoppingState(inner, jnp.fmin(state.best, loss), waited, stopped)
