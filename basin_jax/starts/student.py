"""The student of where another sweep's training ends."""

from jaxtyping import Array, Key

from basin_jax.core.abilities import Teachable, able
from basin_jax.core.contracts import Organism, Params
from basin_jax.core.sweep import Child, Parent


class Student(Child):
    """Start as a student whose teacher is a seed of another sweep at its end.

    The organism is one of a student and its teacher: `Distilled`, as the parent's is. If `shared`,
    the student begins with the initialization with which its teacher began, and else with one of
    its own.

    Cloud et al. 2025, "Subliminal learning: language models transmit behavioral traits via hidden
    signals in data".
    """

    shared: bool = True

    requires = (Teachable,)

    def params(self, key: Key[Array, ""], organism: Organism, parent: Parent) -> Params:
        begun = parent.begun if self.shared else organism.init(key)
        return able(organism, Teachable).taught(begun, parent.ended)
