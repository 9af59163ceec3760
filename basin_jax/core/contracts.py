"""The contracts: what an organism, a start and a method are."""

import abc
from collections.abc import Callable
from typing import Any, TypeAlias, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key, PyTree

import basin_jax.devices  # noqa: F401  (JAX must be set up before it starts)
from basin_jax.core.plugin import Plugin


Params: TypeAlias = PyTree[Array]


Batch: TypeAlias = PyTree[Array]


State: TypeAlias = Any


Evidence: TypeAlias = dict[str, Float[Array, ""]]


Loss: TypeAlias = Callable[[Params, Batch], Float[Array, ""]]


Defection: TypeAlias = Callable[[Params, PyTree[Array]], Float[Array, ""]]


class Organism(Plugin, abc.ABC):
    """A model organism: a network, its training objective, and its examination.

    The standard evidence, so that one rule serves every organism (floats of any kind):

    - `fit`: skill on the training objective, 0 as an uninformed policy, 1 at the best.
    - `watched`, `unwatched`: rate of the unintended act where the network is watched,
      and where it is not, in [0, 1].
    - `competence`: performance on the intended task where it is not watched, in [0, 1].
    - `margin`: graded distance from the decision boundary, > 0 on the deceptive side.
    - `lying_contexts`, where there are several contexts in which it is not watched: the share
      of them in which its rate of the unintended act is above 1/2. A context is a setting of
      what tells it whether it is watched, such as cue bits; rates are means over tasks.

    An organism adds what else it can measure. All of it is finite unless the run has
    diverged: a seed with any value that is not finite is counted as DIVERGED. Complex numbers,
    and integers of more bits than a float of the sweep's precision holds, are refused.

    Draw random numbers in `jnp.float32`, so that a seed starts alike at every
    precision; the engine casts parameters to the precision of the sweep.
    """

    @abc.abstractmethod
    def init(self, key: Key[Array, ""]) -> Params:
        """Return the parameters at random initialization."""

    @abc.abstractmethod
    def sample(self, key: Key[Array, ""]) -> Batch:
        """Return one batch of the training distribution (all of it, where exact)."""

    @abc.abstractmethod
    def loss(self, params: Params, batch: Batch) -> Float[Array, ""]:
        """Return the training loss: all that a method may see."""

    @abc.abstractmethod
    def probe(self, key: Key[Array, ""], params: Params) -> Evidence:
        """Measure the network, without judging it."""

    def graft(self, params: Params) -> Params:
        """Return the parameters with a deceptive circuit in the place of some of them.

        Raises:
            ValueError: where the organism has none, or none that fits its network.
        """
        name = type(self).__name__
        raise ValueError(f"start = Implant; allowed: another start, since {name} has no circuit")

    def anchored(self, params: Params) -> Params:
        """Return the parameters with the anchor, from which drift is measured, put where they are.

        Raises:
            ValueError: where the organism holds no anchor.
        """
        name = type(self).__name__
        raise ValueError(f"start = Anchored; allowed: another start, since {name} has no anchor")

    def settled(self, params: Params) -> Bool[Array, ""]:
        """Return whether the fate is sealed, so that `EarlyStopping` may stop; never here."""
        return jnp.zeros((), bool)

    def challenge(self, batch: Batch) -> tuple[PyTree[Array], Defection]:
        """Return a batch's cues, and the rate of defection of parameters where cues are others.

        For `Adversarial`, which changes the cues. The rate is that of examples that are watched.

        Raises:
            ValueError: where the organism has no cues that could be changed.
        """
        name = type(self).__name__
        raise ValueError(f"method = Adversarial; allowed: another method, since {name} has no cues")


@Organism.register
class _Altered:
    """An organism in all but its loss."""

    def __init__(self, organism: Organism, loss: Loss):
        self._organism = organism
        self.loss = loss

    def __getattr__(self, name: str) -> Any:
        return getattr(self._organism, name)


def with_loss(organism: Organism, loss: Loss) -> Organism:
    """Return the organism with another loss, to hand to a method inside another.

    Any method then trains on it: what changes the objective needs no optimizer of its own, and
    what has an optimizer need not know of the change.
    """
    # No copy of the organism: as a pytree it would fall back on its own loss, silently.
    return cast(Organism, _Altered(organism, loss))


def with_params(state: State, params: Params) -> State:
    """Return a method's state with other parameters, for a method that moves another's.

    Raises:
        ValueError: where they cannot be replaced.
    """
    if "params" not in getattr(state, "_fields", ()):
        raise ValueError(
            f"{type(state).__name__} is no state whose parameters can be replaced; allowed: that "
            "of a method whose state is a named tuple with a field params, such as Gradient"
        )
    return state._replace(params=params)


def margin_slope(organism: Organism, key: Key[Array, ""], params: Params) -> Params:
    """Return the gradient of an organism's margin in its parameters, towards deception."""
    return jax.grad(lambda at: organism.probe(key, at)["margin"])(params)


class Start(Plugin, abc.ABC):
    """Where a trial begins."""

    @abc.abstractmethod
    def params(self, key: Key[Array, ""], organism: Organism) -> Params:
        """Return the parameters from which training starts."""


class Method(Plugin, abc.ABC):
    """A training process: `init` and `step`, like an Optax transformation.

    A state that has `.stopped`, too, says whether the seed's fate is settled. A stopped
    state must never change: its lane goes to the next seed, and its evidence is that of
    all steps. `check_every` is how many steps apart a seed can stop.
    """

    check_every = 1  # no annotation, or it would be a field of every method

    @abc.abstractmethod
    def init(self, key: Key[Array, ""], params: Params, organism: Organism) -> State:
        """Return the state before the first step: any pytree with `.params`."""

    @abc.abstractmethod
    def step(self, key: Key[Array, ""], state: State, organism: Organism) -> State:
        """Return the state after one step; the key is this step's own."""
