"""The contracts of organisms, starts and methods."""

import abc
from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32, Key, PyTree

from basin_jax.core.plugin import Plugin


Params: TypeAlias = PyTree[Array]
Batch: TypeAlias = PyTree[Array]
State: TypeAlias = Any
Evidence: TypeAlias = dict[str, Float[Array, ""]]
Loss: TypeAlias = Callable[[Params, Batch], Float[Array, ""]]


class Organism(Plugin, abc.ABC):
    """Define a model organism: a network, its training objective, and its examination.

    The standard evidence, so that one rule serves every organism (floats of any kind):

    - `fit`: skill on the training objective, 0 for an uninformed policy, 1 for the best.
    - `watched`, `unwatched`: rate of the unintended act where the network is watched,
      and where it is not, in [0, 1].
    - `competence`: performance on the intended task where it is not watched, in [0, 1].
    - `margin`: graded distance from the decision boundary, > 0 on the deceptive side.
    - `lying_contexts`, where there are several contexts in which it is not watched: the share
      of them in which its rate of the unintended act is above 1/2. A context is a setting of
      what tells it whether it is watched, such as cue bits; rates are means over tasks.

    An organism adds what else it can measure. All of it is finite unless training has
    diverged: a seed with any value that is not finite is counted as DIVERGED. Complex numbers,
    and integers of more bits than a float of the sweep's precision holds, are refused.

    What only some starts and methods ask for is in `basin_jax.core.abilities`: an organism has
    an ability if it defines that protocol's methods.

    Draw random numbers in `jnp.float32`, so that a seed starts alike at every
    precision; the engine casts parameters to the precision of the sweep.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> class Coin(Organism):
        ...     bias: float = 0.5
        ...     def init(self, key):
        ...         return self.bias + jax.random.normal(key, (), jnp.float32)
        ...     def sample(self, key):
        ...         return None
        ...     def loss(self, params, batch):
        ...         return params**2
        ...     def probe(self, key, params):
        ...         return {"margin": params}
        >>> coin = Coin(bias=2)
        >>> coin, float(coin.loss(jnp.float32(3), None))
        (Coin(bias=2.0), 9.0)
    """

    @abc.abstractmethod
    def init(self, key: Key[Array, ""]) -> Params:
        """Draw the parameters of a random initialization."""

    @abc.abstractmethod
    def sample(self, key: Key[Array, ""]) -> Batch:
        """Draw one batch of the training distribution, or give all of it."""

    @abc.abstractmethod
    def loss(self, params: Params, batch: Batch) -> Float[Array, ""]:
        """Compute the training loss of a batch, the only objective that a method sees."""

    @abc.abstractmethod
    def probe(self, key: Key[Array, ""], params: Params) -> Evidence:
        """Measure the network, without judging it."""

    def provides(self, ability: type) -> bool:
        """Return True if the organism has an ability, a protocol of `basin_jax.core.abilities`."""
        return isinstance(self, ability)


class Start(Plugin, abc.ABC):
    """Define where a trial begins.

    Attributes:
        requires: the abilities that it asks of the organism, which a `Sweep` checks.

    Example:
        >>> import jax
        >>> class Zero(Start):
        ...     def params(self, key, organism):
        ...         return jax.tree.map(lambda leaf: 0 * leaf, organism.init(key))
        >>> Zero()
        Zero()
    """

    requires: ClassVar[tuple[type, ...]] = ()

    @abc.abstractmethod
    def params(self, key: Key[Array, ""], organism: Organism) -> Params:
        """Make the parameters from which training starts."""


class Method(Plugin, abc.ABC):
    """Define a training method by `init` and `step`, as an Optax transformation by its two.

    A state that has `.stopped`, a truth value, tells whether the seed's training has ended. A
    stopped state must never change: its lane goes to the next seed, and its evidence is that of
    all steps.

    Attributes:
        requires: the abilities that it asks of the organism, which a `Sweep` checks.
        check_every: the steps from one at which a seed can stop to the next.

    Example:
        >>> import jax
        >>> from typing import Any, NamedTuple
        >>> class State(NamedTuple):
        ...     params: Any
        >>> class Descent(Method):
        ...     rate: float = 0.1
        ...     def init(self, key, params, organism):
        ...         return State(params)
        ...     def step(self, key, step, state, organism):
        ...         slope = jax.grad(organism.loss)(state.params, organism.sample(key))
        ...         return State(jax.tree.map(lambda p, g: p - self.rate * g, state.params, slope))
        >>> Descent(rate=1)
        Descent(rate=1.0)
    """

    requires: ClassVar[tuple[type, ...]] = ()
    check_every = 1  # no annotation, or it would be a field of every method

    @abc.abstractmethod
    def init(self, key: Key[Array, ""], params: Params, organism: Organism) -> State:
        """Make the state before the first step: any pytree with `.params`."""

    @abc.abstractmethod
    def step(
        self, key: Key[Array, ""], step: Int32[Array, ""], state: State, organism: Organism
    ) -> State:
        """Take one step.

        Args:
            key: this step's own random key.
            step: the number of the step, from 0.
            state: the state after the step before.
            organism: the organism to train.
        """


def with_params(state: State, params: Params) -> State:
    """Replace the parameters in a method's state, for a method that moves another's.

    Raises:
        ValueError: where they cannot be replaced, or where the state may stop.
    """
    if "params" not in getattr(state, "_fields", ()) or hasattr(state, "stopped"):
        raise ValueError(
            f"{type(state).__name__} is no state whose parameters can be replaced; allowed: that "
            "of a method whose state is a named tuple with a field params, and none for whether "
            "it has stopped, such as Gradient's with sgd"
        )
    return state._replace(params=params)


def expect_state(method: Method, state: State) -> None:
    """Raise `ValueError` unless a method's first state holds parameters as `.params`."""
    if not hasattr(state, "params"):
        raise ValueError(
            f"{type(method).__name__}.init gives {type(state).__name__}, which has no .params; "
            "allowed: a state with .params, such as a NamedTuple or a class that is a pytree"
        )


def expect_same(method: Method, before: State, after: State) -> None:
    """Raise `ValueError` if a step changes the structure, the shapes or the types of a state."""
    old, new = (
        {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(at)}
        for at in (before, after)
    )
    changes = [f"loses state{path}" for path in old if path not in new]
    changes += [f"adds state{path}" for path in new if path not in old]
    for path in old.keys() & new.keys():
        one, other = (jax.typeof(jnp.asarray(leaves[path])) for leaves in (old, new))
        # A Python number takes the type of what it meets.
        if one.shape != other.shape or (one.dtype != other.dtype and not one.weak_type):
            changes.append(f"makes state{path} {other.str_short()}, which was {one.str_short()}")
    structures = [jax.tree.structure(at) for at in (before, after)]
    if not changes and structures[0] != structures[1]:
        changes = [f"makes the state {structures[1]}, which was {structures[0]}"]
    if changes:
        raise ValueError(
            f"{type(method).__name__}.step {', and '.join(sorted(changes))}; "
            "allowed: a state of the same structure, shapes and types"
        )


def margin_slope(organism: Organism, key: Key[Array, ""], params: Params) -> Params:
    """Compute the gradient of an organism's margin in its parameters, towards deception."""
    return jax.grad(lambda at: organism.probe(key, at)["margin"])(params)
