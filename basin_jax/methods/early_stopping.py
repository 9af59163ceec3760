"""Early stopping: at a low loss, a plateau, or a settled verdict."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Int32, Key

from basin_jax.core.abilities import Settling, able
from basin_jax.core.contracts import Organism, Params, State
from basin_jax.core.wrappers import MethodWrapper


class Watch(NamedTuple):
    """Hold the record that decides when a seed stops."""

    best: Float[Array, ""]  # loss
    waited: Int[Array, ""]  # checks without improvement
    seen: Params | None  # the parameters at the last check
    stopped: Bool[Array, "*lane"]


class EarlyStoppingState(NamedTuple):
    """Hold the inner method's state, the steps to the next check, and the record for it."""

    inner: State
    left: Int[Array, ""]
    watch: Watch

    @property
    def params(self) -> Params:
        return self.inner.params

    @property
    def stopped(self) -> Bool[Array, "*lane"]:
        """Whether the seed has stopped."""
        return self.watch.stopped


class EarlyStopping(MethodWrapper):
    """Train with another method until its loss is low or no longer improves, or it has settled.

    Every `check_every` steps it takes the loss before the update, then updates; a seed stops
    after a step whose loss was below `threshold`; after more than `patience` checks in a row
    that did not improve on the best loss by more than `min_delta`; when no parameter is
    further than `still` from where it was at the last check, so that the gradient has
    vanished; or when the organism is `settled`, if it is `Settling`. From then on its state
    stays as it is, and its lane goes to the next seed. The rule is part of the basin: a seed that
    stops early on a plateau never leaves it.

    The loss is that of a batch of the organism's, drawn for it alone where batches are
    random; neither a minibatch nor `l2` of the method inside is in it. A loss that is not
    a number does not improve; so a seed that has diverged stops by patience alone.
    """

    patience: int | None = None  # checks without improvement that are borne; None for any
    min_delta: float = 0.0
    threshold: float | None = None  # a loss that is low enough; None for none
    still: float | None = None  # a change of parameters that counts as none; None for none
    check_every: int = 1  # steps  # pyright: ignore[reportIncompatibleMethodOverride]

    def validate(self) -> None:
        self.require(self.patience is None or self.patience >= 0, "patience", "at least 0")
        self.require(self.min_delta >= 0, "min_delta", "a number of at least 0")
        self.require(self.still is None or self.still > 0, "still", "a number above 0")
        self.require(self.check_every >= 1, "check_every", "at least 1")

    def init(self, key: Key[Array, ""], params: Params, organism: Organism) -> EarlyStoppingState:
        watch = Watch(
            best=jnp.asarray(jnp.inf, float),
            waited=jnp.zeros((), int),
            seen=None if self.still is None else params,
            stopped=_settled(organism, params),
        )
        inner = super().init(key, params, organism)
        return EarlyStoppingState(inner, jnp.asarray(self.check_every), watch)

    def step(
        self,
        key: Key[Array, ""],
        step: Int32[Array, ""],
        state: EarlyStoppingState,
        organism: Organism,
    ) -> EarlyStoppingState:
        after = self.method.step(key, step, state.inner, organism)
        inner = jax.tree.map(lambda a, b: jnp.where(state.stopped, a, b), state.inner, after)
        left = state.left - 1

        def check(carry):
            # Tied to the loop, or it would be computed before it, at every step.
            own, before, now, watch, _ = jax.lax.optimization_barrier(
                (key, state.params, inner.params, *carry)
            )
            return self._check(own, before, now, watch, organism), False

        # A loop of at most one turn, not a cond: vmap turns a cond into both its branches,
        # but a loop into one that turns only where some lane is due.
        due = ~state.stopped & (left == 0)
        watch, _ = jax.lax.while_loop(lambda carry: carry[1], check, (state.watch, due))
        return EarlyStoppingState(inner, jnp.where(left == 0, self.check_every, left), watch)

    def _check(
        self, key: Key[Array, ""], before: Params, now: Params, watch: Watch, organism: Organism
    ) -> Watch:
        stopped = _settled(organism, now)
        if self.patience is not None or self.threshold is not None:
            loss = organism.loss(before, organism.sample(jax.random.fold_in(key, 1)))
            waited = jnp.where(watch.best - loss > self.min_delta, 0, watch.waited + 1)
            watch = watch._replace(best=jnp.fmin(watch.best, loss), waited=waited)
            if self.patience is not None:
                stopped |= waited > self.patience
            if self.threshold is not None:
                stopped |= loss < self.threshold
        if self.still is not None:
            apart = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), now, watch.seen)
            stopped |= jnp.array(jax.tree.leaves(apart)).max() <= self.still
            watch = watch._replace(seen=now)
        return watch._replace(stopped=stopped)


def _settled(organism: Organism, params: Params) -> Bool[Array, ""]:
    if organism.provides(Settling):
        return able(organism, Settling).settled(params)
    return jnp.zeros((), bool)
