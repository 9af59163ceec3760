"""Abilities of some organisms, for the starts and methods that require them."""

from collections.abc import Callable, Iterator
from typing import Protocol, TypeAlias, cast, runtime_checkable

from jaxtyping import Array, Bool, Float, PyTree

from basin_jax.core.contracts import Batch, Method, Organism, Params, Start
from basin_jax.core.plugin import Plugin, field_types


Defection: TypeAlias = Callable[[Params, PyTree[Array]], Float[Array, ""]]


@runtime_checkable
class Implantable(Protocol):
    """An organism with a deceptive circuit that `starts.Implant` can graft."""

    def graft(self, params: Params) -> Params:
        """Put the circuit in the place of some of the parameters.

        Raises:
            ValueError: where it does not fit the organism's network.
        """
        ...


@runtime_checkable
class Balanceable(Protocol):
    """An organism with a circuit that `starts.Balanced` can add to what a network does."""

    def add_circuit(self, params: Params, *, shift: int) -> Params:
        """Add the deceptive circuit, or with a shift above 0 one that reads other inputs.

        Raises:
            ValueError: where it does not fit the organism's network, or inputs.
        """
        ...

    def balance(self, params: Params, like: Params) -> Params:
        """Shift one bias, until the mean rate of the unintended act is that of other parameters."""
        ...


@runtime_checkable
class Anchorable(Protocol):
    """An organism with an anchor, from which drift is measured."""

    def anchored(self, params: Params) -> Params:
        """Set the anchor to the parameters."""
        ...


@runtime_checkable
class Settling(Protocol):
    """An organism that tells when its verdict can change no more; others never settle."""

    def settled(self, params: Params) -> Bool[Array, ""]:
        """Return True if the verdict is settled."""
        ...


@runtime_checkable
class Challengeable(Protocol):
    """An organism with cues of oversight, which `methods.Adversarial` changes."""

    def challenge(self, batch: Batch) -> tuple[PyTree[Array], Defection]:
        """Take the cues out of a batch.

        Returns:
            The cues; and the mean rate of defection at the examples that are watched, as a
            function of parameters and of other cues.
        """
        ...


@runtime_checkable
class Imitable(Protocol):
    """An organism whose network another one can imitate, input by input."""

    def activity(
        self, params: Params, *, watched: bool
    ) -> tuple[Float[Array, "act example"], Float[Array, "unit example"]]:
        """Compute the logits of its acts, and the hidden units that its last layer reads.

        Args:
            params: the parameters of the network.
            watched: whether at the inputs that are watched alone, or at all.
        """
        ...


@runtime_checkable
class Teachable(Protocol):
    """An organism of a student and its teacher, which `starts.Student` makes."""

    def taught(self, params: Params, teacher: Params) -> Params:
        """Give the student of some parameters the student of others for its teacher."""
        ...


def able[Ability](organism: Organism, ability: type[Ability]) -> Ability:
    """Check that an organism has an ability, and return it.

    Raises:
        ValueError: where it does not have it.
    """
    if not organism.provides(ability):
        raise ValueError(f"organism = {organism!r}; allowed: one that is {ability.__name__}")
    return cast(Ability, organism)


def requirements(plugin: Start | Method | Plugin) -> Iterator[type]:
    """Yield the abilities that a start or a method requires, including its parts."""
    yield from getattr(plugin, "requires", ())
    for name in field_types(type(plugin)):
        part = getattr(plugin, name)
        if isinstance(part, Start | Method):
            yield from requirements(part)
