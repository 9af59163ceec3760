"""Gradient descent by any Optax optimizer."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Int32, Key, PyTree

from basin_jax.core.contracts import Batch, Loss, Method, Organism, Params
from basin_jax.core.plugin import Options, closest
from basin_jax.methods import _optax


class GradientState(NamedTuple):
    """Hold the parameters and the optimizer's state."""

    params: Params
    optimizer: optax.OptState


class AsideState(NamedTuple):
    """Hold the point at which gradients are taken, and the optimizer's state.

    Of optimizers whose parameters to examine are others: the averages of schedule-free methods,
    the slow ones of `lookahead`, and those from which `sam` climbs.
    """

    point: PyTree[Array]
    optimizer: optax.OptState

    @property
    def params(self) -> Params:
        """The parameters to examine: no field, so that wrappers do not move them."""
        return _optax.examined(self.optimizer, self.point)


class Gradient(Method):
    """Follow the gradient of the organism's loss with an Optax optimizer.

    The optimizer is named, with its learning rate and further arguments in `options`
    (numbers among them are traced), or is an Optax transformation of the user's own,
    which then brings its learning rate, or its schedule of learning rates, with it:
    `optax.sgd(optax.cosine_decay_schedule(0.1, 2000))`. A name is that of a function of Optax or
    of `optax.contrib`; a transformation without a learning rate, such as "scale_by_adam" or
    "reduce_on_plateau", is followed by one. `docs/compatibility.md` lists them all.

    An optimizer that asks for it is given the step's loss with its penalty (`value`), the gradient
    (`grad`), and both as functions (`value_fn`, `obj_fn`, `grad_fn`). One that clips the gradients
    of examples (`dpsgd`) is given one for each. A random key in its state is replaced by a seed's
    own. What is examined, and where a child begins, are the parameters that the optimizer's
    authors examine: those of `schedule_free_eval_params`, the slow ones of `lookahead`, and those
    from which `sam` climbs.

    Where `minibatch` is given, each step sees that many examples, drawn with replacement from the
    organism's batch along its leading axis; otherwise it sees the batch as the organism gives it.

    `noise` adds Gaussian noise to every component of the gradient (Neelakantan et al.
    2015, "Adding gradient noise improves learning"), drawn anew for each seed. `l2` adds
    λ/2 times the squared norm of the parameters to the loss. `dropconnect` sets each parameter to
    zero with that probability, anew in each step, and the rest to as much more (Wan et al. 2013,
    "Regularization of neural networks using DropConnect"): the form of dropout that needs no
    units, which a method does not know.
    """

    optimizer: str | optax.GradientTransformation | optax.MultiSteps = "sgd"
    learning_rate: float | None = None
    options: Mapping[str, Any] = Options({})
    l2: float | None = None  # coefficient of the penalty; None for none
    noise: float | None = None  # standard deviation; None for none
    dropconnect: float | None = None  # probability; None for none
    minibatch: int | None = None  # examples a step; None for the organism's batch

    def validate(self) -> None:
        if isinstance(self.optimizer, str):
            self._validate_named(self.optimizer)
        else:
            given = "nothing, since the optimizer is a transformation that has its own"
            self.require(self.learning_rate is None, "learning_rate", given)
            self.require(not self.options, "options", given)
        self.require(self.l2 is None or self.l2 >= 0, "l2", "a number of at least 0")
        self.require(self.noise is None or self.noise >= 0, "noise", "a number of at least 0")
        rate = self.dropconnect
        self.require(rate is None or 0 <= rate < 1, "dropconnect", "0 to below 1")
        self.require(self.minibatch is None or self.minibatch > 0, "minibatch", "at least 1")

    def _validate_named(self, name: str) -> None:
        factories, rate = _optax.factories(), self.learning_rate
        if name in _optax.UNNAMED:
            self.refuse("optimizer", f"another, since {_optax.UNNAMED[name]}")
        if name not in factories:
            self.refuse("optimizer", closest(name, factories))
        if _optax.has_rate(name):
            optional = rate is None and not _optax.needs_rate(name)
            self.require(
                optional or (rate is not None and rate > 0), "learning_rate", "a number above 0"
            )
        else:
            given = f"None, since {name} has that of its options"
            self.require(rate is None, "learning_rate", given)
        known = {*_optax.takes(factories[name])} - {"learning_rate"}
        for option in self.options:
            self.require(option in known, "options", closest(option, known))
        for option in _optax.required(factories[name]):
            self.require(option in self.options, "options", f"with a value of {option!r}")
        try:
            self._transformation()
        except (TypeError, ValueError) as error:
            self.refuse("options", f"what {name} takes: {_first_line(error)}")
        if not _is_traceable(jax.tree.structure(self)):
            why = f"another, or a transformation, since {name} looks at the value, which is traced"
            self.refuse("options", why)

    def init(
        self, key: Key[Array, ""], params: Params, organism: Organism
    ) -> GradientState | AsideState:
        try:
            memory = _optax.begin(self._transformation(), params)
        except Exception as error:
            raise self._failing("init", error) from error
        if why := _optax.unclear(memory):
            raise ValueError(f"{self._said()}; allowed: another, since its state {why}")
        memory = _optax.rekeyed(key, memory)
        if not _optax.is_aside(memory):
            return GradientState(params, memory)
        if _optax.parts(memory, optax.LookaheadState):
            params = optax.LookaheadParams.init_synced(params)
        return AsideState(params, memory)

    def step(
        self,
        key: Key[Array, ""],
        step: Int32[Array, ""],
        state: GradientState | AsideState,
        organism: Organism,
    ) -> GradientState | AsideState:
        sample_key, draw_key, noise_key = jax.random.split(key, 3)
        batch = organism.sample(sample_key)
        if self.minibatch is not None:
            batch = _draw(draw_key, batch, self.minibatch)
        point = state[0]
        params = _optax.descended(point)
        loss = organism.loss
        if self.dropconnect is not None:
            drop_key = jax.random.fold_in(draw_key, 0)
            loss = _thinned(drop_key, loss, params, self.dropconnect)
        value, gradient = jax.value_and_grad(loss)(params, batch)
        if self.l2 is not None:
            gradient = jax.tree.map(lambda g, p: g + self.l2 * p, gradient, params)
        if self.noise is not None:
            draws = optax.tree.random_like(noise_key, gradient, dtype=jnp.float32)
            draws = jax.tree.map(lambda draw, g: draw.astype(g.dtype), draws, gradient)
            gradient = optax.tree.add_scale(gradient, self.noise, draws)

        def objective(at: Params) -> Float[Array, ""]:
            return loss(at, batch) + self._penalty(at)

        offered = {
            "value": value,
            "grad": gradient,
            "value_fn": objective,
            "obj_fn": objective,
            "grad_fn": lambda at, _: jax.grad(objective)(at),
        }
        if _optax.parts(state.optimizer, optax.contrib.DifferentiallyPrivateAggregateState):
            gradient = self._of_each_example(loss, params, batch)
        updates, memory = self._update(gradient, state, offered)
        return type(state)(optax.apply_updates(point, updates), memory)

    def _update(
        self, gradient: Params, state: GradientState | AsideState, offered: dict[str, Any]
    ) -> tuple[Any, Any]:
        """Call the optimizer, with those of the extra arguments offered that it takes."""
        transformation = self._transformation()

        def update(**extra: Any) -> tuple[Any, Any]:
            return transformation.update(gradient, state.optimizer, state[0], **extra)

        extra = _optax.extra(transformation, state.optimizer, offered)
        try:
            # The penalty costs time: only where its value is wanted.
            if self.l2 is not None and _optax.uses_value(update, extra):
                extra["value"] += self._penalty(_optax.descended(state[0]))
            updates, memory = update(**extra)
            memory = _optax.kept(state.optimizer, memory)
        except Exception as error:
            raise self._failing("update", error, _optax.hint(state.optimizer)) from error
        if why := _optax.misfits(updates, state[0]) or _optax.differs(state.optimizer, memory):
            why += _optax.hint(state.optimizer)
            raise ValueError(f"{self._said()}; allowed: another, since its update {why}")
        return updates, memory

    def _of_each_example(self, loss: Loss, params: Params, batch: Batch) -> Params:
        """Compute the gradient of the loss of each example, as a batch of one."""
        if self.noise is not None:
            self.refuse("noise", "None, since the optimizer draws noise of its own")
        _examples("optimizer", self._name(), batch)

        def slope(example: Batch) -> Params:
            def objective(at: Params) -> Float[Array, ""]:
                alone = jax.tree.map(lambda leaf: leaf[None], example)
                return loss(at, alone) + self._penalty(at)

            return jax.grad(objective)(params)

        return jax.vmap(slope)(batch)

    def _penalty(self, params: Params) -> Float[Array, ""] | float:
        return 0.0 if self.l2 is None else self.l2 / 2 * optax.tree.norm(params, squared=True)

    def _transformation(self) -> _optax.Transformation:
        if not isinstance(self.optimizer, str):
            return self.optimizer
        return _optax.make(self.optimizer, self.learning_rate, self.options)

    def _name(self) -> str:
        return self.optimizer if isinstance(self.optimizer, str) else _optax.named(self.optimizer)

    def _said(self) -> str:
        return f"Gradient.optimizer = {self._name()}"

    def _failing(self, call: str, error: Exception, hint: str = "") -> ValueError:
        how = f"{type(error).__name__}: {_first_line(error)}{hint}"
        return ValueError(f"{self._said()}; allowed: another, since its {call} ends in {how}")


@functools.cache
def _is_traceable(structure: Any) -> bool:
    """Return True if a method makes its optimizer of hyperparameters that are traced, too."""

    def make(*leaves: Array) -> None:
        jax.tree.unflatten(structure, leaves)._transformation()

    try:
        jax.eval_shape(make, *[0.5] * structure.num_leaves)
    except (TypeError, ValueError):
        return False
    return True


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _examples(field: str, value: Any, batch: Batch) -> int:
    """Return the number of examples of a batch; refuse a field that needs it where it has none."""
    sizes = {leaf.shape[0] if leaf.ndim else 0 for leaf in jax.tree.leaves(batch)}
    if len(sizes) != 1 or 0 in sizes:
        allowed = "None" if field == "minibatch" else "another"
        raise ValueError(
            f"Gradient.{field} = {value}; allowed: {allowed}, since the organism's batch has "
            "no leading axis of examples that all its arrays share"
        )
    return sizes.pop()


def _draw(key: Key[Array, ""], batch: Batch, count: int) -> Batch:
    size = _examples("minibatch", count, batch)
    picks: Int[Array, " example"] = jax.random.randint(key, (count,), 0, size)
    return jax.tree.map(lambda leaf: leaf[picks], batch)


def _thinned(key: Key[Array, ""], loss: Loss, like: Params, rate: float | Array) -> Loss:
    """Drop a share of the parameters from a loss, and scale up the rest."""
    draws = optax.tree.random_like(key, like, jax.random.uniform, dtype=jnp.float32)

    def thinned(params: Params, batch: Batch) -> Float[Array, ""]:
        def thin(draw: Array, leaf: Array) -> Array:
            return jnp.where(draw < rate, 0, leaf / (1 - rate))

        return loss(jax.tree.map(thin, draws, params), batch)

    return thinned
