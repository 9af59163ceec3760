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
    """TODO."""

    lesson: Literal["acts", "auxiliary"] | None = None
    shown: Literal["watched", "all"] = "watched"
    auxiliary: int = 8
    temperature: float = 1.0

    def validate(self) -> None:
        self.require(self.organism.provides(Imitable), "organism", "one that is Imitable")
        self.require(self.auxiliary >= 2, "auxiliary", "at least 2")
        self.require(self.temperature > 0, "temperature", "a number above 0")

    def init(self, key: Key[Array, ""]) -> Taught:
        network = super().init(key)
        units = jax.eval_shape(lambda at: self._activity(at)[1], network).shape[0]
        head_key = jax.random.fold_in(key, 1)
        head = jax.random.normal(head_key, (units, self.auxiliary), jnp.float32) / units**0.5
        return Taught(Headed(network, head), Headed(network, head))

    def loss(self, params: Taught, batch: Batch) -> Float[Array, ""]:
        if self.lesson is None:
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
        student, teacher = (
            jax.nn.log_softmax(self._logits(one) / self.temperature, axis=0) for one in params
        )
        teacher = jax.lax.stop_gradient(teacher)
        return (jnp.exp(teacher) * (teacher - student)).sum(0).mean()

    def _logits(self, params: Headed) -> Float[Array, "act example"]:
        acts, units = self._activity(params.network)
        return params.head.T @ units if self.lesson == "auxiliary" else acts

    def _activity(
        self, network: Params
    ) -> tuple[Float[Array, "act example"], Float[Array, "unit example"]]:
        imitable = able(self.organism, Imitable)
        return imitable.activity(network, watched=self.shown == "watched")
