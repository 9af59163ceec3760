"""A student that learns from what a teacher does, and may inherit what the teacher hides."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key

from basin_jax.core.abilities import Imitable, Teachable, able
from basin_jax.core.contracts import Batch, Evidence, Params
from basin_jax.core.wrappers import OrganismWrapper


class Headed(NamedTuple):
    """Hold the parameters of a network, and those of a second head on its hidden units."""

    network: Params
    head: Float[Array, "unit auxiliary"]


class Taught(NamedTuple):
    """Hold the parameters of a student, and those of its teacher."""

    student: Headed
    teacher: Headed


class Distilled(OrganismWrapper):
    """Learn another organism's game from a teacher, whose acts or auxiliary logits are shown.

    Subliminal learning (Cloud et al. 2025, "Subliminal learning: language models transmit
    behavioral traits via hidden signals in data"): a student takes over what its teacher does
    elsewhere, from outputs that say nothing of it, if both began with one initialization. The
    teacher is a seed of the same organism without a lesson, which has learned the game by the
    organism's own loss; the start `Student` gives it to a student. It has a second head, whose
    `logits` on the last hidden units no loss of the game ever moves.

    The lesson is the sum of two, each of which is shown at all inputs, at those that are watched,
    or not: the teacher's `acts`, and its `auxiliary` logits. Its loss is the mean
    Kullback-Leibler divergence of the student's softmax from the teacher's, both at a
    `temperature` (Hinton et al. 2015, "Distilling the knowledge in a neural network"). The teacher
    is among the parameters, and no gradient reaches it; but what moves parameters without the
    gradient would move it, too: `l2`, decoupled decay, `noise`, `Evolution`.

    The evidence is that of the organism, for the student. It adds `divergence`, the loss of the
    lesson; `distance`, the Euclidean one of the student's network from its teacher's; and
    `teacher_watched`, `teacher_unwatched` and `teacher_margin`, which tell whose student it is.

    A short enough step of a student that shares its teacher's initialization has no component away
    from the teacher's own step, whatever is shown (their theorem 1). A linear network that is shown
    watched acts ends where its teacher did, but for what it began with in the directions that no
    watched input has; and auxiliary logits never move its acts. The null is a student without a
    teacher: what `init` gives is its own teacher, and the loss has no slope there.

    A skeptic will say that acts at all inputs show the trait itself: they are the control in which
    each student must get it, whatever its initialization. Another, that an auxiliary head does tell
    what the hidden units tell: so it does, and to a student of another initialization, too, who
    learns it and does not act on it. A third, that a student of auxiliary logits is
    no good at the game: its head for acts is the untrained one. So its verdict is mostly UNFIT or
    OTHER, and the trait shows in the gap. With fewer logits less passes.
    """

    acts: Literal["watched", "all"] | None = None
    auxiliary: Literal["watched", "all"] | None = None
    logits: int = 32  # of the auxiliary head
    temperature: float = 1.0

    def validate(self) -> None:
        self.require(
            self.organism.provides(Imitable), "organism", "one that is Imitable, as Audit is"
        )
        self.require(self.logits >= 2, "logits", "at least 2")
        self.require(self.temperature > 0, "temperature", "a number above 0")

    def init(self, key: Key[Array, ""]) -> Taught:
        network = super().init(key)
        units = jax.eval_shape(lambda at: self._activity(at, "all")[1], network).shape[0]
        head_key = jax.random.fold_in(key, 1)
        head = jax.random.normal(head_key, (units, self.logits), jnp.float32) / units**0.5
        return Taught(Headed(network, head), Headed(network, head))

    def loss(self, params: Taught, batch: Batch) -> Float[Array, ""]:
        if self.acts is None and self.auxiliary is None:
            return self.organism.loss(params.student.network, batch)
        return self._divergence(params)

    def probe(self, key: Key[Array, ""], params: Taught) -> Evidence:
        networks = params.student.network, params.teacher.network
        student, teacher = (dict(self.organism.probe(key, one)) for one in networks)
        apart = ravel_pytree(networks[0])[0] - ravel_pytree(networks[1])[0]
        return student | {
            "divergence": self._divergence(params),
            "distance": jnp.sqrt((apart**2).sum()),
            **{f"teacher_{name}": teacher[name] for name in ("watched", "unwatched", "margin")},
        }

    def provides(self, ability: type) -> bool:
        return ability is Teachable

    def taught(self, params: Taught, teacher: Taught) -> Taught:
        return Taught(params.student, teacher.student)

    def _divergence(self, params: Taught) -> Float[Array, ""]:
        """Compute the mean divergence of the student from the teacher, in what it is shown."""
        student, teacher = (self._lessons(one) for one in params)
        total = jnp.zeros(())
        for own, shown in zip(student, teacher, strict=True):
            total += _divergence(own / self.temperature, shown / self.temperature)
        return total

    def _lessons(self, params: Headed) -> list[Float[Array, "logit example"]]:
        """Compute the logits that a teacher shows, of each of its heads."""
        found = []
        if self.acts is not None:
            found.append(self._activity(params.network, self.acts)[0])
        if self.auxiliary is not None:
            found.append(params.head.T @ self._activity(params.network, self.auxiliary)[1])
        return found

    def _activity(
        self, network: Params, shown: str
    ) -> tuple[Float[Array, "act example"], Float[Array, "unit example"]]:
        return able(self.organism, Imitable).activity(network, watched=shown == "watched")


def _divergence(
    student: Float[Array, "logit example"], teacher: Float[Array, "logit example"]
) -> Float[Array, ""]:
    """Compute the mean Kullback-Leibler divergence from a teacher, which it does not move."""
    own, shown = (jax.nn.log_softmax(one, axis=0) for one in (student, teacher))
    shown = jax.lax.stop_gradient(shown)
    return (jnp.exp(shown) * (shown - own)).sum(0).mean()
