"""Gradient descent by any Optax optimizer."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Int32, Key

from basin_jax.core.contracts import Batch, Loss, Method, Organism, Params
from basin_jax.core.plugin import Options, closest


class GradientState(NamedTuple):
    """Hold the parameters and the optimizer's state."""

    params: Params
    optimizer: optax.OptState


class Gradient(Method):
    """Follow the gradient of the organism's loss with an Optax optimizer.

    The optimizer is named, with its learning rate and further arguments in `options`
    (numbers among them are traced), or is an Optax transformation of the user's own,
    which then brings its learning rate, or its schedule of learning rates, with it:
    `optax.sgd(optax.cosine_decay_schedule(0.1, 2000))`. Where `minibatch` is given, each step
    sees that many examples, drawn with replacement from the organism's batch along its
    leading axis; otherwise it sees the batch as the organism gives it.

    `noise` adds Gaussian noise to every component of the gradient (Neelakantan et al.
    2015, "Adding gradient noise improves learning"), drawn anew for each seed; a random
    key inside a transformation of one's own would be the same for all seeds. `l2` adds
    λ/2 times the squared norm of the parameters to the loss. `dropconnect` sets each parameter to
    zero with that probability, anew in each step, and the rest to as much more (Wan et al. 2013,
    "Regularization of neural networks using DropConnect"): the form of dropout that needs no
    units, which a method does not know.
    """

    optimizer: str | optax.GradientTransformation = "sgd"
    learning_rate: float | None = None
    options: Mapping[str, Any] = Options({})
    l2: float | None = None  # coefficient of the penalty; None for none
    noise: float | None = None  # standard deviation; None for none
    dropconnect: float | None = None  # probability; None for none
    minibatch: int | None = None  # examples a step; None for the organism's batch

    def validate(self) -> None:
        if isinstance(self.optimizer, str):
            factory = _factories().get(self.optimizer)
            if factory is None:
                self.refuse("optimizer", closest(self.optimizer, _factories()))
            rate = self.learning_rate
            self.require(rate is not None and rate > 0, "learning_rate", "a number above 0")
            known = set(inspect.signature(factory).parameters) - {"learning_rate"}
            for name in self.options:
                self.require(name in known, "options", closest(name, known))
        else:
            given = "nothing, since the optimizer is a transformation that has its own"
            self.require(self.learning_rate is None, "learning_rate", given)
            self.require(not self.options, "options", given)
        self.require(self.l2 is None or self.l2 >= 0, "l2", "a number of at least 0")
        self.require(self.noise is None or self.noise >= 0, "noise", "a number of at least 0")
        rate = self.dropconnect
        self.require(rate is None or 0 <= rate < 1, "dropconnect", "0 to below 1")
        self.require(self.minibatch is None or self.minibatch > 0, "minibatch", "at least 1")

    def init(self, key: Key[Array, ""], params: Params, organism: Organism) -> GradientState:
        return GradientState(params, self._transformation().init(params))

    def step(
        self, key: Key[Array, ""], step: Int32[Array, ""], state: GradientState, organism: Organism
    ) -> GradientState:
        sample_key, draw_key, noise_key = jax.random.split(key, 3)
        batch = organism.sample(sample_key)
        if self.minibatch is not None:
            batch = _draw(draw_key, batch, self.minibatch)
        loss = organism.loss
        if self.dropconnect is not None:
            drop_key = jax.random.fold_in(draw_key, 0)
            loss = _thinned(drop_key, loss, state.params, self.dropconnect)
        gradient = jax.grad(loss)(state.params, batch)
        if self.l2 is not None:
            gradient = jax.tree.map(lambda g, p: g + self.l2 * p, gradient, state.params)
        if self.noise is not None:
            draws = optax.tree.random_like(noise_key, gradient, dtype=jnp.float32)
            draws = jax.tree.map(lambda draw, g: draw.astype(g.dtype), draws, gradient)
            gradient = optax.tree.add_scale(gradient, self.noise, draws)
        updates, memory = self._transformation().update(gradient, state.optimizer, state.params)
        return GradientState(optax.apply_updates(state.params, updates), memory)

    def _transformation(self) -> optax.GradientTransformation:
        if not isinstance(self.optimizer, str):
            return self.optimizer
        factory = _factories()[self.optimizer]
        return factory(learning_rate=self.learning_rate, **self.options)


@functools.cache
def _factories() -> dict[str, Callable[..., optax.GradientTransformation]]:
    """Collect Optax's optimizers by name: its functions of a learning rate, and Muon."""
    return {"muon": optax.contrib.muon} | {
        name: function
        for name, function in vars(optax).items()
        if inspect.isfunction(function)
        and "learning_rate" in inspect.signature(function).parameters
        and not name.startswith(("_", "scale_by"))
        and name != "lbfgs"  # its line search asks for the loss as a function
        and not {"key", "seed"} & set(inspect.signature(function).parameters)  # one for all seeds
    }


def _draw(key: Key[Array, ""], batch: Batch, count: int) -> Batch:
    sizes = {leaf.shape[0] if leaf.ndim else 0 for leaf in jax.tree.leaves(batch)}
    if len(sizes) != 1 or 0 in sizes:
        raise ValueError(
            f"Gradient.minibatch = {count}; allowed: None, since the organism's batch has "
            "no leading axis of examples that all its arrays share"
        )
    picks: Int[Array, " example"] = jax.random.randint(key, (count,), 0, sizes.pop())
    return jax.tree.map(lambda leaf: leaf[picks], batch)


def _thinned(key: Key[Array, ""], loss: Loss, like: Params, rate: float | Array) -> Loss:
    """Drop a share of the parameters from a loss, and scale up the rest."""
    draws = optax.tree.random_like(key, like, jax.random.uniform, dtype=jnp.float32)

    def thinned(params: Params, batch: Batch) -> Float[Array, ""]:
        def thin(draw: Array, leaf: Array) -> Array:
            return jnp.where(draw < rate, 0, leaf / (1 - rate))

        return loss(jax.tree.map(thin, draws, params), batch)

    return thinned
